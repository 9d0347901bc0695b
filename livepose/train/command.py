"""``livepose train CONFIG``: trains a network and packs it as weights with a card."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.data.teachers import with_depth, with_teachers
from livepose.models.store import WeightsError
from livepose.train.config import Part, TrainConfig, read_config

CONFIGS = Path(__file__).parent / "configs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a TOML file, or the name of one that livepose ships (base)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--labels", type=Path, help="folder of pseudo-labels (default: DATA/labels)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; goes on if it exists"
    )
    parser.add_argument("--steps", type=int, help="instead of the configuration's")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def read_part(part: Part, data: Path, labels: Path) -> Samples:
    """The samples of one data set of the mix, cleaned and with depth as the part asks."""
    samples = read(part.reader, data / part.root, part.split)
    if part.teachers:
        files = [labels / name for name in part.teachers]
        samples = with_teachers(samples, files, part.trust)
    return with_depth(samples, labels / part.depth) if part.depth else samples


def main(args: argparse.Namespace) -> int:
    try:
        file = Path(args.config)
        config: TrainConfig = read_config(
            file if file.exists() else CONFIGS / f"{args.config}.toml"
        )
        if args.steps:
            config = replace(config, steps=args.steps)
        if (args.data / config.start_from).is_file():
            config = replace(config, start_from=str(args.data / config.start_from))
        labels = args.labels or args.data / "labels"
        parts = [(read_part(part, args.data, labels), part.share) for part in config.data]
        val = read_part(config.validation, args.data, labels)
        backgrounds = (
            read("empty", args.data / config.backgrounds).images if (config.backgrounds) else ()
        )
        from livepose.train.loop import Run

        run = Run(config, args.out, args.device)
        went_on = run.resume()
    except (DataError, ValueError, OSError, WeightsError) as error:
        print(f"livepose train: {error}", file=sys.stderr)
        return 2
    if run.rank:
        run.train(parts, val, backgrounds)
        return 0
    for samples, share in parts:
        print(f"{samples.name}: {len(samples)} pictures, share {share}")
    print(f"{'going on at' if went_on else 'from'} step {run.step} of {config.steps}", flush=True)
    try:
        best = run.train(parts, val, backgrounds)
    except (DataError, FloatingPointError, OSError) as error:
        print(f"livepose train: {error}", file=sys.stderr)
        return 2
    print(f"best AUC on the validation split: {best:.4f}; weights in {args.out / 'best.pt'}")
    return 0
