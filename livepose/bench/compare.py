"""``livepose compare A B``: two configurations on the same frames, as a table and a video.

Both follow people as `livepose run` does, with one detector and one set of settings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from livepose import resources
from livepose.cv import cv2
from livepose.engine import device
from livepose.engine.backends import BACKENDS
from livepose.engine.building import build
from livepose.engine.comparison import Difference, difference
from livepose.engine.draw import annotated
from livepose.engine.loading import Choice
from livepose.engine.predictor import Predictor
from livepose.frames import Frame, Result
from livepose.models.store import WeightsError
from livepose.run import add_people, settings_of
from livepose.skeleton import JOINTS
from livepose.timing.timeline import Timeline, now_ns

_WARM = 5  # pictures whose times do not count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "MODEL[@SIZE][/BACKEND[/PRECISION]], for example base@192/torch/float32"
    parser.add_argument("a", help=what)
    parser.add_argument("b", help=what)
    parser.add_argument("--source", default=str(resources.CLIP), help="video (default: bundled)")
    parser.add_argument("--frames", type=int, help="stop after so many")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads for both networks")
    parser.add_argument("--video", type=Path, help="side-by-side video to write (.mp4)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    add_people(parser)


def parse(text: str) -> Choice:
    """``base@192/torch/float32`` -> what shall run.

    Raises:
        ValueError: it does not mean anything.
    """
    path, ending, tail = text.rpartition(".safetensors")  # slashes of a path are its own
    head, *rest = tail.split("/")
    backend, precision = [*rest, "", ""][:2]
    if len(rest) > 2:
        raise ValueError(f"{text!r} is not MODEL[@SIZE][/BACKEND[/PRECISION]]")
    if backend and backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; known: {', '.join(BACKENDS)}")
    if precision and precision not in device.PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; known: {', '.join(device.PRECISIONS)}")
    return Choice.of(path + ending + head, backend or "auto", precision)


def main(args: argparse.Namespace) -> int:
    try:
        settings = settings_of(args)
        device.set_cpu_threads(args.threads)
        placement = device.choose(args.device)
        both = []
        for text in (args.a, args.b):
            predict, note = build(parse(text), placement, settings)
            if note:
                print(note, file=sys.stderr)
            both.append(predict)
        figures = _run(both[0], both[1], args)
    except (OSError, ValueError, WeightsError, device.DeviceError) as error:
        print(f"livepose compare: {error}", file=sys.stderr)
        return 2
    print(_table(figures))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _run(a: Predictor, b: Predictor, args: argparse.Namespace) -> dict[str, Any]:
    predictors = {"a": a, "b": b}
    times: dict[str, list[float]] = {"a": [], "b": []}
    results: dict[str, Result] = {}
    found: list[Difference] = []
    writer: Any = None
    for frame, fps in frames(args.source, args.frames):
        # In turns: the second one finds the picture in the processor's caches.
        for side in ("ab", "ba")[len(found) % 2]:
            # Its own clock; the same picture, id and all.
            result = predictors[side](replace(frame, timeline=Timeline(now_ns())))
            times[side].append(result.frame.timeline.total_ms)
            results[side] = result
        found.append(difference(results["a"], results["b"]))
        if args.video:
            picture = side_by_side(results["a"], results["b"])
            if writer is None:
                args.video.parent.mkdir(parents=True, exist_ok=True)
                size = (picture.shape[1], picture.shape[0])
                kind = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(args.video), kind, fps, size)
                if not writer.isOpened():
                    raise OSError(f"{args.video} cannot be written: give a path that ends in .mp4")
            writer.write(picture)
    if writer is not None:
        writer.release()
    if not found:
        raise ValueError(f"{args.source} is not a video that can be read")
    torsos = np.array([d.torsos for d in found])
    with np.errstate(all="ignore"):
        joints = {name: _number(np.nanmean(torsos[:, j]) if (~np.isnan(torsos[:, j])).any()
                                else np.nan) for j, name in enumerate(JOINTS)}  # fmt: skip
    means = [d.mean for d in found if not np.isnan(d.mean)]
    return {
        "frames": len(found), "a": _side(results["a"], times["a"]),
        "b": _side(results["b"], times["b"]),
        "both_found": float(np.mean([d.people[2] for d in found])),
        "difference_torsos": float(np.mean(means)) if means else None, "joints": joints,
    }  # fmt: skip


def _side(result: Result, times: list[float]) -> dict[str, Any]:
    kept = times[_WARM:] or times
    return {
        "name": result.title, "device": result.device,
        "median_ms": float(np.median(kept)), "p95_ms": float(np.percentile(kept, 95)),
    }  # fmt: skip


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def frames(source: str, limit: int | None = None) -> Iterator[tuple[Frame, float]]:
    """The pictures of a video with their times, and its pictures a second."""
    capture = cv2.VideoCapture(source)
    fps, k = capture.get(cv2.CAP_PROP_FPS) or 30.0, 0
    while limit is None or k < limit:
        ok, image = capture.read()
        if not ok:
            return
        yield Frame(k, image, Timeline(now_ns()), source, media_s=k / fps), fps
        k += 1


def side_by_side(a: Result, b: Result) -> np.ndarray:
    """Both results of a frame, A left, B right, with their names and times."""
    return np.hstack([annotated(a), annotated(b)])


def _table(figures: dict[str, Any]) -> str:
    lines = [f"{'':<4}{'':<40}{'median, ms':>12}{'95 %':>9}"]
    for side in ("a", "b"):
        own = figures[side]
        name = f"{own['name']} on {own['device']}"
        lines.append(f"{side.upper():<4}{name:<40}{own['median_ms']:>12.2f}{own['p95_ms']:>9.2f}")
    mean = figures["difference_torsos"]
    lines.append(f"{figures['frames']} frames, {figures['both_found']:.2f} people found by both; "
                 + (f"their joints are {100 * mean:.1f} % of a torso apart" if mean is not None
                    else "nothing to compare"))  # fmt: skip
    worst = sorted(((v, k) for k, v in figures["joints"].items() if v is not None), reverse=True)
    lines += [f"  {name:<20}{100 * value:>6.1f} %" for value, name in worst]
    return "\n".join(lines)
