"""``livepose eval``: measures a model on a data set."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from livepose.data.readers import read
from livepose.data.samples import DataError
from livepose.engine.device import PRECISIONS, DeviceError, choose
from livepose.evaluate.protocol import evaluate, forward_ms
from livepose.models.store import WeightsError, find, load_model, update_measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", choices=("lsp",), required=True)
    parser.add_argument(
        "--root", type=Path, required=True, help="folder with joints.mat and images/"
    )
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--model", default="base", help="name or .safetensors file")
    parser.add_argument("--size", type=int, help="input size in place of the model's own")
    parser.add_argument(
        "--peak-radius",
        type=int,
        metavar="CELLS",
        help="x and y from so many cells about the peak, 0: from the whole map",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="float32", choices=("auto", *PRECISIONS))
    parser.add_argument("--time", action="store_true", help="also time the forward pass")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--card", action="store_true", help="write them into the model's card")


def main(args: argparse.Namespace) -> int:
    try:
        placement = choose(args.device, args.precision)
        if placement.note:
            print(placement.note, file=sys.stderr)
        net, card = load_model(args.model)
        if args.peak_radius is not None:
            net.config = replace(net.config, peak_radius=args.peak_radius)
        samples = read(args.dataset, args.root, args.split)
        begin = time.monotonic()
        net = net.to(  # type: ignore[call-overload]
            device=placement.device, dtype=placement.dtype, memory_format=torch.channels_last
        )
        score = evaluate(net, samples, args.size)
    except (DataError, DeviceError, ValueError, WeightsError) as error:
        print(f"livepose eval: {error}", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {
        "dataset": args.dataset,
        "split": args.split,
        "model": args.model,
        "size": args.size or card.config.input_size,
        "peak_radius": net.config.peak_radius,
        "images": score.images,
        "pck": score.pck,
        "per_joint": score.per_joint,
        "threshold": "0.2 of left shoulder to right hip",
        "precision": placement.precision_name,
        "device": placement.device_name,
        "seconds": round(time.monotonic() - begin, 1),
    }
    if args.time:
        figures["forward_ms"] = round(forward_ms(net, figures["size"]), 2)
    for name, value in score.per_joint.items():
        print(f"{name:<16}{100 * value:6.1f}")
    print(f"PCK@0.2, {args.dataset} {args.split}, {score.images} images: {100 * score.pck:.2f} %")
    if args.time:
        print(f"forward pass of one picture: {figures['forward_ms']} ms on {figures['device']}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    if args.card:
        command = f"livepose eval --dataset {args.dataset} --root DIR --split {args.split}"
        for option in ("size", "peak_radius"):
            if (value := getattr(args, option)) is not None:
                command += f" --{option.replace('_', '-')} {value}"
        row = {k: figures[k] for k in ("pck", "per_joint", "size", "precision", "images")}
        key = f"{args.dataset}_{args.split}"
        update_measured(
            find(args.model),
            {f"{key}_pck": score.pck, key: {**row, "command": f"{command} --model {card.name}"}},
        )
    return 0
