"""The settings of a training run, read from a TOML file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """See the comments in `livepose/train/configs`. Rates are for AdamW."""

    data: tuple[Part, ...]
    backgrounds: str = ""  # folder of pictures to put people with masks before
    validation: Part = Part("lsp", "data/lsp_dataset", split="val")
    network: NetworkConfig = field(default_factory=Config)
    start_from: str = ""  # movenet-*.safetensors in --data, or a model of livepose
    distil_from: str = ""  # a model of livepose whose maps are learned, too, on every square
    distil_weight: float = 1.0
    sizes: tuple[int, ...] = ()  # of the squares, one for each batch: what is named twice comes
    # twice as often; () for the network's own input_size
    turned: float = 0.1  # share of the people who are turned any way up
    steps: int = 10_000
    batch: int = 32
    rate: float = 5e-4
    pretrained_rate: float = 1.0  # of the parts that start_from gives, as a share of rate
    frozen_blocks: int = 0  # first blocks of the trunk (and its stem) that are left as they are
    weight_decay: float = 0.01
    warm_up: int = 200
    clip: float = 1.0
    ema: float = 0.999
    schedule: str = "cosine"  # after warm_up; or one-cycle: up for 0.3 of the steps, then down
    coordinates: str = "euclidean"  # loss of x and y: a key of `loss.COORDINATE_LOSSES`
    regulariser: str = "js"  # of the maps: a key of `loss.REGULARISERS`
    sigma: float = 1.0
    skeletons: int = 0  # without pictures, for each step; for networks with lift_layers
    presence_weight: float = 0.1  # of the confidence in the loss
    seed: int = 1
    workers: int = 1
    validate_every: int = 500
    # Of a multitask network: detection beside regression (joint), before it (first), or not at all.
    detection: str = "joint"
    detection_weight: float = 1.0
    precision: str = "bfloat16"  # or float32; the losses are float32 in any case
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in (("schedule", SCHEDULES), ("coordinates", COORDINATE_LOSSES),
                            ("regulariser", REGULARISERS), ("precision", PRECISIONS),
                            ("detection", DETECTION)):  # fmt: skip
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"unknown {name} {value!r}; known: {', '.join(known)}")
        if self.skeletons and not getattr(self.network, "lift_layers", 0):
            raise ValueError("skeletons are of use to a network with lift_layers only")
        for size in self.sizes:
            check_size(size, size)


def _part(raw: dict[str, Any]) -> Part:
    return Part(**{**raw, "teachers": tuple(raw.get("teachers", ()))})


def read_config(file: Path) -> TrainConfig:
    """Reads and checks a TOML file; ValueError names what is wrong with it."""
    try:
        raw = tomllib.loads(file.read_text())
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}") from error
    known = {f.name: f for f in fields(TrainConfig)}
    if unknown := sorted(set(raw) - set(known)):
        raise ValueError(f"{file}: unknown settings {unknown}; known: {', '.join(known)}")
    try:
        raw["data"] = tuple(_part(part) for part in raw["data"])
        if "validation" in raw:
            raw["validation"] = _part(raw["validation"])
        raw["network"] = config_of(raw.get("network", {}))
        raw["sizes"] = tuple(raw.get("sizes", ()))
        return TrainConfig(**raw)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error
