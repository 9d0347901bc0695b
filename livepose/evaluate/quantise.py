"""``livepose quantise``: measures what a network needs to run in int8, and what that costs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from livepose.crop import cut, to_input, whole
from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.evaluate.protocol import evaluate, picture
from livepose.models.networks import PoseNetwork
from livepose.models.quantised import observe, quantised
from livepose.models.store import WeightsError, find, load_model, save_model

_BATCH = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="name or .safetensors file; its card gets the ranges")
    parser.add_argument("--lsp", type=Path, required=True, help="Leeds Sports Pose: train and val")
    parser.add_argument("--pictures", type=int, default=200, help="so many of the train split")
    parser.add_argument(
        "--leave", nargs="*", metavar="LAYERS", default=[],
        help="what the names of layers begin with that stay in float32",
    )  # fmt: skip
    parser.add_argument(
        "--most", type=float, default=0.3, metavar="POINTS",
        help="of PCK that may be lost, else nothing is kept",
    )  # fmt: skip
    parser.add_argument(
        "--every", type=int, default=2, metavar="N",
        help="judged on the val split and every Nth picture of the train split that is left",
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    try:
        net, card = load_model(args.model)
        train, val = read("lsp", args.lsp, "train"), read("lsp", args.lsp, "val")
        spread = train.spread_rows(args.pictures)
        seen = observe(net, batches(train.take(spread), net.config.input_size))
        # What rounding loses is a few joints: the validation split alone is too small to say.
        others = train.take(np.setdiff1d(np.arange(len(train)), spread)[:: args.every])
        before = _score(net, val, others)
        net.ranges = {k: ends for k, ends in seen.items() if not k.startswith(tuple(args.leave))}
        if not net.ranges:
            raise DataError("--leave leaves no layer to be rounded")
        after, avx2 = (_score(quantised(net, net.ranges, vnni), val, others)
                       for vnni in (True, False))  # fmt: skip
        print(f"{card.name}: PCK@0.2 on {len(val) + len(others)} pictures {100 * before:.2f} % "
              f"in float32, {100 * after:.2f} % in int8 but for {len(seen) - len(net.ranges)} "
              f"of {len(seen)} layers, {100 * avx2:.2f} % without VNNI")  # fmt: skip
    except (DataError, WeightsError) as error:
        print(f"livepose quantise: {error}", file=sys.stderr)
        return 2
    if (lost := 100 * (before - min(after, avx2))) > args.most:
        print(f"livepose quantise: {lost:.2f} points are lost, more than {args.most:g}; "
              "the card is as it was", file=sys.stderr)  # fmt: skip
        return 1
    command = f"livepose quantise {card.name} --lsp DIR --pictures {len(spread)}"
    lost_points = {"lost_points": before - after, "lost_points_without_vnni": before - avx2}
    told = {"command": command, "left": args.leave,
            **{k: round(100 * v, 3) for k, v in lost_points.items()}}  # fmt: skip
    training = {**card.training, "int8": told}
    save_model(find(args.model), net, training, card.measured)
    return 0


def _score(net: PoseNetwork, *parts: Samples) -> float:
    return float(np.average([evaluate(net, part).pck for part in parts],
                            weights=[len(part) for part in parts]))  # fmt: skip


def batches(samples: Samples, size: int) -> Iterator[Tensor]:
    """The whole pictures as the network gets them."""
    for start in range(0, len(samples), _BATCH):
        images = [picture(file) for file in samples.images[start : start + _BATCH]]
        squares = [whole(image.shape[1], image.shape[0]) for image in images]
        yield to_input([cut(*each, size) for each in zip(images, squares, strict=True)])
