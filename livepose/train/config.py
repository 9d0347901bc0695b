"""The settings of a training run, read from a TOML file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of the mix. reader: lsp, lspet, coco, pseudo or empty. share: of the stream.

    teacher, depth: files of pseudo-labels that clean the 2D labels and add weak depth.
    Paths are relative to the folder given as --data.
    """

    reader: str
    root: str
    share: float
    teacher: str = ""
    depth: str = ""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """See the comments in `livepose/train/configs`. Rates are for AdamW."""

    data: tuple[Part, ...]
    trunk: str = "lightning"
    input_size: int = 192
    start_from: str = ""  # movenet-*.safetensors in --data, or a model of livepose
    steps: int = 10_000
    batch: int = 32
    rate: float = 5e-4
    trunk_rate: float = 1.0
    frozen_blocks: int = 0  # first blocks of the trunk (and its stem) that are left as they are
    weight_decay: float = 0.01
    warm_up: int = 200
    clip: float = 1.0
    ema: float = 0.999
    sigma: float = 1.0
    presence_weight: float = 0.1  # of the confidence in the loss
    seed: int = 1
    workers: int = 1
    validate_every: int = 500
    notes: dict[str, Any] = field(default_factory=dict)


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
        raw["data"] = tuple(Part(**part) for part in raw["data"])
        return TrainConfig(**raw)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file}: {error}") from error
