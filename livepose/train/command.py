"""``livepose train CONFIG``: trains a network and packs it as weights with a card."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from livepose.data.mix import usable
from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.data.teachers import with_depth, with_teachers
from livepose.models.store import WeightsError
from livepose.train.config import Part, TrainConfig, read_config
from livepose.train.processes import machine

CONFIGS = Path(__file__).parent / "configs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a TOML file, or the name of one that livepose ships (base)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--labels",
        type=Path,
        help="folder of what was made: pseudo-labels, rendered people (default: DATA/labels)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; goes on if it exists"
    )
    parser.add_argument("--steps", type=int, help="instead of the configuration's")
    parser.add_argument(
        "--workers", type=int, help="processes that load pictures, instead of the configuration's"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a configuration asks for: the mix with its shares, the validation split, backgrounds."""

    parts: list[tuple[Samples, float]]
    validation: Samples
    backgrounds: tuple[Path, ...]


def read_part(part: Part, data: Path, labels: Path) -> Samples:
    """The samples of one data set of the mix, cleaned and with depth as the part asks."""
    root = data / part.root
    made = labels / part.root  # rendered people lie where pseudo-labels do
    there = any(made.parent.glob(f"{made.name}*"))
    samples = read(part.reader, made if there else root, part.split)
    if part.teachers:
        files = [labels / name for name in part.teachers]
        samples = with_teachers(samples, files, part.trust)
    if part.depth == "none":
        return replace(samples, depth=np.full_like(samples.depth, np.nan))
    return with_depth(samples, labels / part.depth) if part.depth else samples


def read_data(config: TrainConfig, data: Path, labels: Path) -> TrainingData:
    """Reads all that a configuration names.

    Raises:
        DataError: something is missing or broken.
    """
    backgrounds = read("empty", data / config.backgrounds).images if config.backgrounds else ()
    return TrainingData(
        [(read_part(part, data, labels), part.share) for part in config.data],
        read_part(config.validation, data, labels), backgrounds,
    )  # fmt: skip


def find_config(name: str, data: Path, labels: Path) -> TrainConfig:
    """The configuration in a file, or of a shipped name; its start is looked up in the folders."""
    file = Path(name)
    config = read_config(file if file.exists() else CONFIGS / f"{name}.toml")
    for folder in (data, labels):
        if (start := folder / config.start_from).is_file():
            return replace(config, start_from=str(start))
    return config


def main(args: argparse.Namespace) -> int:
    labels = args.labels or args.data / "labels"
    try:
        config = find_config(args.config, args.data, labels)
        if args.steps:
            config = replace(config, steps=args.steps)
        if args.workers is not None:
            config = replace(config, workers=args.workers)
        data = read_data(config, args.data, labels)
        from livepose.train.loop import Run

        run = Run(config, args.out, args.device)
        went_on = run.resume()
        if run.rank == 0:
            for samples, share in ((usable(part), share) for part, share in data.parts):
                out = f"; left out: {samples.left_out}" if samples.omitted else ""
                print(f"{samples.name}: {len(samples)} pictures, share {share}{out}")
            begin = f"{'going on at' if went_on else 'from'} step {run.step} of {config.steps}"
            print(f"{begin}, on {machine(run.device)}", flush=True)
        best = run.train(data.parts, data.validation, data.backgrounds)
    except (DataError, FloatingPointError, OSError, ValueError, WeightsError) as error:
        print(f"livepose train: {error}", file=sys.stderr)
        return 2
    if run.rank == 0 and run.step == config.steps:
        print(f"best AUC on the validation split: {best:.4f}; weights in {args.out / 'best.pt'}")
    return 0
