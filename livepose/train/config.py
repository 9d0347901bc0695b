"""The settings of a training run, read from a TOML file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch

from livepose.models.margipose import Config, check_size
from livepose.models.networks import NetworkConfig, config_of
from livepose.train.loss import COORDINATE_LOSSES, REGULARISERS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


SCHEDULES = ("cosine", "one-cycle")
DETECTION = ("joint", "first", "none")
SELECT = ("best", "last")
PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of the mix. reader: a key of `livepose.data.readers.READERS`.

    share: of the stream. teachers: files of pseudo-labels that vote with the human label, which
    has `trust` votes. depth: file of pseudo-labels that adds weak depth, or "none" where the data
    set's own shall not count. Paths are relative to the folder given as --data, those of
    pseudo-labels to --labels.
    """

    reader: str
    root: str
    share: float = 1.0
    split: str = "train"
    teachers: tuple[str, ...] = ()
    trust: float = 1.5
    depth: str = ""
    licence: str = ""  # for the card, in place of what the reader says


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """See the comments in `livepose/train/configs`. Rates are for AdamW."""

    data: tuple[Part, ...]
    backgrounds: str = ""  # folder of pictures to put people with masks before
    validation: Part = Part("lsp", "data/lsp_dataset", split="val")
    network: NetworkConfig = field(default_factory=Config)
    start_from: str = ""  # movenet-*.safetensors in --data, or a model of livepose: its name, or
    # its file in --labels
    distil_from: str = ""  # a model of livepose whose maps are learned, too, on every square
    distil_weight: float = 1.0
    sizes: tuple[int, ...] = ()  # of the squares, one for each batch: what is named twice comes
    # twice as often; () for the network's own input_size
    turned: float = 0.1  # share of the people who are turned any way up
    beside: float = 0.0  # share of the people who get another one, cut out, beside them
    steps: int = 10_000
    batch: int = 32
    rate: float = 5e-4
    pretrained_rate: float = 1.0  # of the parts that start_from gives, as a share of rate
    frozen_blocks: int = 0  # first blocks of the trunk (and its stem) that are left as they are
    learn: tuple[str, ...] = ()  # what the names of parameters that learn begin with; () for all
    weight_decay: float = 0.01
    warm_up: int = 200
    clip: float = 1.0
    ema: float = 0.999
    schedule: str = "cosine"  # after warm_up; or one-cycle: up for 0.3 of the steps, then down
    coordinates: str = "euclidean"  # loss of x and y: a key of `loss.COORDINATE_LOSSES`
    regulariser: str = "js"  # of the maps: a key of `loss.REGULARISERS`
    sigma: float = 1.0
    skeletons: int = 0  # without pictures, for each step; for networks with lift_layers
    lifting_first: int = (
        0  # steps in which the lifting learns from skeletons alone, before all else
    )
    confidence_weight: float = 0.1  # of the confidence in the loss
    seed: int = 1
    workers: int = 1
    validate_every: int = 500
    select: str = "best"  # weights that count: the best in AUC on the validation split; or the last
    # Of a multitask network: detection beside regression (joint), before it (first), or not at all.
    detection: str = "joint"
    detection_weight: float = 1.0
    # Of the forward pass: float32 or bfloat16; auto: bfloat16 where the machine computes in it.
    # The losses are float32 in any case.
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, known in (("schedule", SCHEDULES), ("coordinates", COORDINATE_LOSSES),
                            ("regulariser", REGULARISERS), ("precision", ("auto", *PRECISIONS)),
                            ("detection", DETECTION), ("select", SELECT)):  # fmt: skip
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"unknown {name} {value!r}; known: {', '.join(known)}")
        if "test" in [part.split for part in (*self.data, self.validation)]:
            raise ValueError("test splits take no part in training or selection")
        if self.skeletons and not getattr(self.network, "lift_layers", 0):
            raise ValueError("skeletons are of use to a network with lift_layers only")
        if self.lifting_first and not self.skeletons:
            raise ValueError("lifting_first needs skeletons: how many for each step")
        for size in self.sizes:
            check_size(size, size)


def _checked(kind: type, raw: dict[str, Any]) -> dict[str, Any]:
    """The settings, lists as tuples; ValueError names the one that is of another type."""
    types, settings = get_type_hints(kind), {}
    if unknown := sorted(set(raw) - set(types)):
        raise ValueError(f"unknown settings {unknown}; known: {', '.join(types)}")
    for name, value in raw.items():
        wanted, each = types[name], (value,)
        if get_origin(wanted) is tuple and isinstance(value, list):
            wanted, each = get_args(wanted)[0], tuple(value)
            value = each
        allowed = (int, float) if wanted is float else wanted
        if wanted in (int, float, str) and not all(
            isinstance(v, allowed) and not isinstance(v, bool) for v in each
        ):
            raise ValueError(f"{name} = {raw[name]!r} must be of type {wanted.__name__}")
        settings[name] = value
    return settings


def read_config(file: Path) -> TrainConfig:
    """Reads and checks a TOML file; ValueError names what is wrong with it.

    ``like = "base"`` takes over what it does not say itself from base.toml beside it, and
    ``shares = {lsp = 0.2}`` gives the data of a reader there another share.
    """
    raw = _raw(file)
    try:
        raw["data"] = [Part(**_checked(Part, part)) for part in raw["data"]]
        if "validation" in raw:
            raw["validation"] = Part(**_checked(Part, raw["validation"]))
        raw["network"] = config_of(raw.get("network", {}))
        return TrainConfig(**_checked(TrainConfig, raw))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error


def _raw(file: Path, by: Sequence[Path] = ()) -> dict[str, Any]:
    """What a file says, and those that it is like; by: those that are like it."""
    if file in by:
        raise ValueError(f"{file} is like itself, by way of {by[-1].name}")
    try:
        raw = tomllib.loads(file.read_text())
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}") from error
    if "like" in raw:
        raw = _raw(file.with_name(f"{raw.pop('like')}.toml"), (*by, file)) | raw
    for reader, share in raw.pop("shares", {}).items():
        parts = [part for part in raw.get("data", []) if part.get("reader") == reader]
        if len(parts) != 1:
            raise ValueError(f"{file}: shares: {len(parts)} of the data are read by {reader!r}")
        parts[0]["share"] = share
    return raw
