"""``livepose eval``: measures a model, or the labels of any other program, on a data set."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from livepose.data.readers import READERS, read
from livepose.data.samples import DataError, Samples, inside
from livepose.data.teachers import points_of
from livepose.engine.device import PRECISIONS, DeviceError, choose
from livepose.evaluate.calibration import judged, reliability
from livepose.evaluate.coco import CocoError, oks_ap
from livepose.evaluate.gallery import write_gallery
from livepose.evaluate.metrics import (
    GROUPS,
    grouped,
    pck,
    pck_by_tilt,
    pck_head_neck,
    pckh,
    score_3d,
    to_metres,
)
from livepose.evaluate.protocol import forward_ms, picture_sizes, placed, predict
from livepose.models.margipose import Config
from livepose.models.networks import PoseNetwork
from livepose.models.store import (
    WeightsError,
    find,
    jsonable,
    load_model,
    read_card,
    update_measured,
)
from livepose.skeleton import INDEX

# Columns of the table: the measure, its heading, its factor.
_COLUMNS = {
    "pck": ("PCK@0.2 %", 100), "pckh": ("PCKh@0.5 %", 100), "pck_head_neck": ("head-neck %", 100),
    "mpjpe": ("MPJPE mm", 1), "pa_mpjpe": ("PA-MPJPE mm", 1), "pck_3d": ("3D PCK %", 100),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", choices=sorted(READERS), required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--split", default="test", help="train, val or test, as the data set has")
    parser.add_argument("--model", default="base", help="name or .safetensors file")
    parser.add_argument(
        "--predictions", type=Path, metavar="NPZ",
        help="measure these labels (see `livepose label`) in place of a model",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, help="so many pictures only, evenly spread")
    parser.add_argument(
        "--size", type=int, nargs="+", default=[None], metavar="PIXELS",
        help="input sizes, one after the other, in place of the model's own",
    )  # fmt: skip
    parser.add_argument(
        "--peak-radius", type=int, metavar="CELLS",
        help="x and y from so many cells about the peak, 0: from the whole map",
    )  # fmt: skip
    parser.add_argument("--flip", action="store_true", help="mean with the mirror image")
    parser.add_argument("--crops", type=int, default=1, help="mean of so many squares, 1 to 5")
    parser.add_argument("--boxed", action="store_true", help="squares about the labelled people, "
                        "not whole pictures")  # fmt: skip
    parser.add_argument("--narrow", action="store_true", help="with --boxed: only the middle of "
                        "squares where it is enough, as of people who are followed")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="float32", choices=("auto", *PRECISIONS))
    parser.add_argument("--no-vnni", action="store_true", help="with --precision int8: as on "
                        "processors without these instructions")  # fmt: skip
    parser.add_argument("--time", action="store_true", help="also time the forward pass")
    parser.add_argument("--ap", action="store_true", help="also OKS AP (extra eval)")
    parser.add_argument("--gallery", type=Path, help="page of the worst pictures (.html)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--card", action="store_true", help="write them into the model's card, "
                        "those of --predictions as a peer's")  # fmt: skip


def main(args: argparse.Namespace) -> int:
    try:
        if args.card and (options := _not_for_cards(args)):
            raise ValueError(f"--card takes figures of the protocol in docs/evaluation.md only: "
                             f"not with {', '.join(options)}")  # fmt: skip
        samples = read(args.dataset, args.root, args.split)
        if args.limit:
            samples = samples.spread(args.limit)
        every = [_evaluated(args, samples, size) for size in args.size]
    except (CocoError, DataError, DeviceError, ValueError, WeightsError) as error:
        print(f"livepose eval: {error}", file=sys.stderr)
        return 2
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        what = every if len(every) > 1 else every[0]
        args.json.write_text(json.dumps(jsonable(what), indent=2, allow_nan=False) + "\n")
    return 0


def _evaluated(args: argparse.Namespace, samples: Samples, size: int | None) -> dict[str, Any]:
    """All figures at one input size; prints them, and writes what else was asked for."""
    about: dict[str, Any] = {"dataset": args.dataset, "split": args.split}
    begin, sizes = time.monotonic(), None
    if args.predictions:
        points, confidence = points_of(samples, args.predictions)
        about["model"] = args.predictions.stem
    else:
        net, own = _network(args, size)
        points, confidence, sizes = predict(net, samples, size, flip=args.flip,
                                            crops=args.crops, boxed=args.boxed,
                                            narrow=args.narrow)  # fmt: skip
        about |= own
    figures = about | measure(samples, points, sizes)
    figures["reliability"] = reliability(*judged(samples, points, confidence))
    if args.ap:
        figures["oks_ap"] = oks_ap(samples, points, confidence)
    figures["seconds"] = round(time.monotonic() - begin, 1)
    if args.time and not args.predictions:
        figures["forward_ms"] = round(forward_ms(net, figures["size"]), 2)
    _print(figures)
    if args.gallery:
        write_gallery(args.gallery, samples, points, confidence)
    if args.card:
        _into_card(args, figures, size)
    return figures


def _network(args: argparse.Namespace, size: int | None) -> tuple[PoseNetwork, dict[str, Any]]:
    """The model where it shall run, and what to say of it."""
    placement = choose(args.device, args.precision)
    if placement.note:
        print(placement.note, file=sys.stderr)
    net, card = load_model(args.model)
    if isinstance(net.config, Config) and args.peak_radius is not None:
        net.config = replace(net.config, peak_radius=args.peak_radius)
    return placed(net, placement, vnni=not args.no_vnni), {
        "model": args.model, "size": size or card.config.input_size,
        "peak_radius": getattr(net.config, "peak_radius", None),
        "flip": args.flip, "crops": args.crops, "boxed": args.boxed, "narrow": args.narrow,
        "precision": placement.precision_name, "vnni": not args.no_vnni,
        "device": placement.device_name,
    }  # fmt: skip


def _not_for_cards(args: argparse.Namespace) -> list[str]:
    """The options that were given and make figures which are none of a card's headlines."""
    options = {
        "--limit": args.limit is not None, "--flip": args.flip, "--crops": args.crops > 1,
        "--peak-radius": args.peak_radius is not None, "--no-vnni": args.no_vnni,
        "--narrow": args.narrow,
    }  # fmt: skip
    return [name for name, given in options.items() if given]


def measure(
    samples: Samples, points: np.ndarray, sizes: np.ndarray | None = None
) -> dict[str, Any]:  # fmt: skip
    """All measures that the labels allow, as plain numbers.

    ``per_joint``, ``per_group`` and ``per_tilt`` are PCK's; ``detail`` has the first two of the
    other measures.

    Args:
        points: (N, J, 3) x, y and z (about the pelvis) in pixels, z NaN where it is not known.
        sizes: (N, 2) of the pictures; without them, the pictures are read where they matter.
    """
    score = pck(points[..., :2], samples)
    figures: dict[str, Any] = {
        "images": score.images, "pck": score.pck, "auc": score.auc,
        "threshold": "0.2 of left shoulder to right hip",
        "per_joint": score.per_joint, "per_group": score.per_group,
    }  # fmt: skip
    figures["per_tilt"] = {
        degrees: {"images": of.images, "pck": of.pck}
        for degrees, of in pck_by_tilt(points[..., :2], samples).items()
    }
    detail = figures["detail"] = {}
    boxed = samples.head is not None and np.isfinite(samples.head).any()
    heads = [INDEX["head_top"], INDEX["neck"]]
    if boxed or samples.known[:, heads].all(1).any():
        name, by = ("pckh", pckh) if boxed else ("pck_head_neck", pck_head_neck)
        head = by(points[..., :2], samples)
        figures |= {name: head.pck, f"{name}_auc": head.auc}
        detail[name] = {"per_joint": head.per_joint, "per_group": head.per_group}
    if samples.xyz is None or samples.camera is None or np.isnan(points[..., 2]).all():
        return figures
    sizes = picture_sizes(samples) if sizes is None else sizes
    shown = inside(samples.joints, sizes[:, None])
    counts = samples.known & shown & ~np.isnan(samples.xyz[..., 0])
    metres = to_metres(points, samples.camera, samples.xyz[:, INDEX["pelvis"], 2])
    ends = [INDEX[n] for n in ("head_top", "pelvis", "left_ankle", "right_ankle")]
    whole = counts[:, ends].all(1)
    everybody, seen = np.full(len(whole), True), samples.present == 1
    for name, rows, which in (
        ("3d", everybody, counts), ("3d_full_body", whole, counts),
        ("3d_upper_body", ~whole, counts), ("3d_visible", everybody, counts & seen),
    ):  # fmt: skip
        figures[name] = asdict(score_3d(metres[rows], samples.xyz[rows], which[rows]))
        per_joint = figures[name].pop("per_joint")
        if name == "3d":
            detail |= {"pck_3d" if m == "pck" else m: {"per_joint": v, "per_group": grouped(v)}
                       for m, v in per_joint.items()}  # fmt: skip
    return figures


def _table(figures: dict[str, Any]) -> Iterator[str]:
    """Lines: for each pair of joints the mean, left and right of all measures, then the others."""
    measures = {"pck": figures, **figures["detail"]}
    yield " " * 10 + "".join(f"{_COLUMNS[m][0]:>21}" for m in measures)
    paired = {joint for pair in GROUPS.values() for joint in pair}
    single = dict.fromkeys(j for m in measures.values() for j in m["per_joint"] if j not in paired)
    for row in (*GROUPS, *single):
        cells = []
        for name, of in measures.items():
            names = (row, *GROUPS.get(row, ()))
            values = [_COLUMNS[name][1] * (of["per_group"] | of["per_joint"]).get(n, math.nan)
                      for n in names]  # fmt: skip
            mean, *sides = ["-" if math.isnan(v) else f"{v:.1f}" for v in values]
            cells.append(f"{mean:>8} {'/'.join(sides):>12}")
        yield f"{row:<10}" + "".join(cells)


def _print(figures: dict[str, Any]) -> None:
    for line in _table(figures):
        print(line.rstrip())
    what = f"{figures['dataset']} {figures['split']}, {figures['images']} images"
    what += f" of {figures['size']} pixels" if "size" in figures else ""
    print(f"PCK@0.2, {what}: {100 * figures['pck']:.2f} %, AUC {100 * figures['auc']:.2f} %")
    for degrees, of in figures["per_tilt"].items():
        print(f"trunk {degrees} degrees off upright: {100 * of['pck']:.1f} % of {of['images']}")
    if "pckh" in figures:
        auc = 100 * figures["pckh_auc"]
        print(f"PCKh@0.5: {100 * figures['pckh']:.2f} %, AUC {auc:.2f} %")
    if "pck_head_neck" in figures:
        share, auc = (100 * figures[name] for name in ("pck_head_neck", "pck_head_neck_auc"))
        print(f"PCK@0.5 of top of the head to neck (there are no head boxes: not MPII's PCKh): "
              f"{share:.2f} %, AUC {auc:.2f} %")  # fmt: skip
    for name in ("3d", "3d_full_body", "3d_upper_body", "3d_visible"):
        if name in figures and (f := figures[name])["joints"]:
            print(f"{name}: MPJPE {f['mpjpe']:.1f} mm, PA-MPJPE {f['pa_mpjpe']:.1f} mm, "
                  f"PCK@150mm {100 * f['pck']:.1f} %, AUC {100 * f['auc']:.1f} %")  # fmt: skip
    print(f"confidence: expected calibration error {figures['reliability']['ece']:.3f}")
    if "oks_ap" in figures:
        print("OKS", ", ".join(f"{k} {100 * v:.1f}" for k, v in figures["oks_ap"].items()))
    if "forward_ms" in figures:
        print(f"forward pass of one picture: {figures['forward_ms']} ms on {figures['device']}")


def _into_card(args: argparse.Namespace, figures: dict[str, Any], size: int | None) -> None:
    command = f"livepose eval --dataset {args.dataset} --root DIR --split {args.split}"
    command += f" --size {size}" * bool(size) + " --boxed" * args.boxed
    file, key = find(args.model), f"{args.dataset}_{args.split}" + "_boxed" * args.boxed
    if args.predictions:
        peer = args.predictions.stem
        kept = ("pck", "auc", "per_group", "3d")
        row: dict[str, Any] = {k: figures[k] for k in kept if k in figures}
        row["command"] = f"{command} --predictions {peer}.npz"
        peers = dict(read_card(file).measured.get("peers", {}))
        peers[key] = peers.get(key, {}) | {peer: row}
        update_measured(file, {"peers": peers})
        return
    card, precision = read_card(file), figures["precision"]
    command += f" --precision {precision}" * (precision != "float32") + f" --model {file.stem}"
    if figures["size"] != card.config.input_size or precision not in ("float32", "int8"):
        known = card.measured.get(f"{key}_at", {})
        row = {"pck": figures["pck"], "command": command}
        update_measured(file, {f"{key}_at": {**known, f"{figures['size']}/{precision}": row}})
        return
    if precision == "int8":
        row = {"pck": figures["pck"], "auc": figures["auc"], "ece": figures["reliability"]["ece"]}
        row |= {name: figures[name]["mpjpe"] for name in ("3d",) if name in figures}
        update_measured(file, {f"{key}_int8": {**row, "command": command}})
        return
    dropped = ("dataset", "split", "model", "device", "vnni", "seconds", "per_group", "per_tilt",
               "threshold", "detail")  # fmt: skip
    row = {k: v for k, v in figures.items() if k not in dropped}
    update_measured(file, {f"{key}_pck": figures["pck"],
                           key: {**row, "command": command}})  # fmt: skip
