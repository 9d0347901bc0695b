"""``livepose steadiness``: how much joints shake, and how late smoothing makes them.

Jitter is said in two ways, both in thousandths of a torso: the standard deviation of joints that
rest for a second, and the root mean square of the second difference from picture to picture, which
is what the eye sees as shaking. Lag is the time by which joints follow the motion that is known, of
all joints and of the fast ones: of all times t the one for which ``known - t * velocity`` explains
them best. Known are the true joints where a file beside the video has them (as for the bundled
clip), else the raw ones; the velocity is smoothed evenly to both sides. With MediaPipe at hand its
own smoothing is measured on the same clip, and livepose's filter on MediaPipe's raw joints, set to
the same lag.

Tracks are (F, N, 2) pixels, a row for each picture of the video, NaN where nobody was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from livepose import resources
from livepose.bench.peers import add_mediapipe, mediapipe_python
from livepose.engine.smoothing import PointFilter, Smoothing

_EVEN = np.array([1, 4, 6, 4, 1]) / 16
_EDGE = 10  # pictures at either end that do not count
_STILL, _FAST = 0.15, 2.0  # torsos a second
_RESTS = 0.02  # torsos within a second
_NEAR_MS = 1.0  # lags are equal
# MediaPipe's 33 landmarks that are COCO's 17 joints.
_COCO = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


def steadiness(points: np.ndarray, known: np.ndarray, fps: float, unit: float) -> dict[str, float]:
    """Figures of a track against what is known of the motion.

    unit: a torso in pixels. Returns ``lag_ms``, ``lag_fast_ms`` of joints faster than `_FAST`,
    ``deviation_still``, ``jitter``, and ``jitter_still`` of the joints that hardly move at the
    time; NaN where there is nothing to tell it from.
    """
    flat, truth = (a.reshape(len(a), -1) for a in (points, known))
    even = np.stack([np.convolve(column, _EVEN, "same") for column in truth.T], 1)
    inner = np.s_[_EDGE:-_EDGE]
    velocity = (np.gradient(even, axis=0) * fps)[inner]
    shake = np.diff(flat, 2, axis=0)[_EDGE - 1 : 1 - _EDGE] / unit
    speed = np.abs(velocity) / unit
    # Networks may put a joint elsewhere on the body, all the time: that is no lag.
    off = flat - truth
    off = (off - np.nanmedian(off, axis=0))[inner]
    return {
        "lag_ms": _lag_ms(off, velocity, speed >= 0),
        "lag_fast_ms": _lag_ms(off, velocity, speed > _FAST),
        "deviation_still": _deviation(flat[inner] / unit, truth[inner] / unit, round(fps)),
        "jitter": _rms(shake), "jitter_still": _rms(shake[speed < _STILL]),
    }  # fmt: skip


def _lag_ms(off: np.ndarray, velocity: np.ndarray, where: np.ndarray) -> float:
    where = where & np.isfinite(off)
    moved = (velocity[where] ** 2).sum()
    return -1e3 * float((off[where] * velocity[where]).sum() / moved) if moved else np.nan


def _rms(values: np.ndarray) -> float:
    """In thousandths, without what is not known."""
    values = values[np.isfinite(values)]
    return 1e3 * float(np.sqrt((values**2).mean())) if len(values) else np.nan


def _deviation(track: np.ndarray, known: np.ndarray, window: int) -> float:
    """Standard deviation about a straight line of coordinates that rest for so many pictures.

    track, known: (F, C) torsos. The median in thousandths: a breath is no jitter.
    """
    if len(track) < window:
        return np.nan
    step, part = max(1, window // 2), max(1, window // 3)
    # Means over a third of the time move less than noise does.
    means = sliding_window_view(known, part, axis=0).mean(-1)
    moved = np.ptp(sliding_window_view(means, window - part + 1, axis=0)[::step], axis=-1)
    parts = sliding_window_view(track, window, axis=0)[::step][moved < _RESTS]
    t = np.linspace(-1, 1, window)
    line = parts.mean(-1, keepdims=True) + (parts @ t / (t @ t))[:, None] * t
    # Two numbers of the line are fitted: so many fewer degrees of freedom.
    deviations = np.sqrt(((parts - line) ** 2).sum(-1) / (window - 2))
    deviations = deviations[np.isfinite(deviations)]
    return 1e3 * float(np.median(deviations)) if len(deviations) else np.nan


def smoothed(
    raw: np.ndarray, confidence: np.ndarray, fps: float, unit: float, settings: Smoothing
) -> np.ndarray:
    """The track as livepose's filter lets it through, at its true times; confidence (F, N)."""
    points, out = PointFilter.new(1, *raw.shape[1:]), np.full_like(raw, np.nan)
    for k in np.flatnonzero(np.isfinite(raw).all((1, 2))):
        one = slice(k, k + 1)
        out[one] = points(raw[one], confidence[one], k / fps, np.array([unit]), settings)
    return out


def at_lag(
    raw: np.ndarray, confidence: np.ndarray, fps: float, unit: float, lag_ms: float,
    known: np.ndarray,
) -> tuple[np.ndarray, Smoothing]:  # fmt: skip
    """The track by the filter with its own proportions and the `beta` that comes nearest to a lag.

    Not every lag can be reached: `steadiness` of the track says which one it is.
    """
    low, high = 0.3, 300.0
    for _ in range(18):  # more beta, less lag
        middle = float(np.sqrt(low * high))
        settings = replace(Smoothing(), beta=middle)
        track = smoothed(raw, confidence, fps, unit, settings)
        if steadiness(track, known, fps, unit)["lag_ms"] > lag_ms:
            low = middle
        else:
            high = middle
    settings = replace(Smoothing(), beta=high)
    return smoothed(raw, confidence, fps, unit, settings), settings


def torso(points: np.ndarray) -> float:
    """Median distance from left shoulder to right hip of a COCO track (F, 17, 2)."""
    return float(np.nanmedian(np.linalg.norm(points[:, 5] - points[:, 12], axis=-1)))


# --------------------------------------------------------------------------- the command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=str(resources.CLIP), help="video of one person")
    parser.add_argument("--model", default="base")
    add_mediapipe(parser)
    parser.add_argument("--json", type=Path, help="file for the figures")


def main(args: argparse.Namespace) -> int:
    python = mediapipe_python(args.mediapipe)
    try:
        raw, confidence, fps = _track(args.source, args.model)
        truth = _truth(args.source, len(raw))
        rows = _rows(f"livepose {args.model}", raw, confidence, fps, truth)
        if python:
            rows += _mediapipe(python, args.source, truth)
    except (OSError, ValueError) as error:
        print(f"livepose steadiness: {error}", file=sys.stderr)
        return 2
    print(_table(rows))
    print("Lag is that behind the " + ("raw" if truth is None else "true") + " joints.")
    for row in rows:
        wanted = row.get("lag_wanted_ms", row["lag_ms"])
        if abs(row["lag_ms"] - wanted) > _NEAR_MS:
            print(f"{row['name']} does not reach a lag of {wanted:.1f} ms: compare with care.")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def _table(rows: list[dict[str, Any]]) -> str:
    columns = {"lag, ms": "lag_ms", "when fast": "lag_fast_ms", "deviation": "deviation_still",
               "jitter": "jitter", "at rest": "jitter_still"}  # fmt: skip
    lines = [f"{'':<52}" + "".join(f"{title:>11}" for title in columns)]
    lines += [f"{row['name']:<52}" + "".join(f"{row[key]:>11.2f}" for key in columns.values())
              for row in rows]  # fmt: skip
    return "\n".join(lines)


def _rows(
    name: str, raw: np.ndarray, confidence: np.ndarray, fps: float, truth: np.ndarray | None
) -> list[dict[str, Any]]:
    unit, known = torso(raw), raw if truth is None else truth
    own = smoothed(raw, confidence, fps, unit, Smoothing())
    return [{"name": f"{name}, raw", **steadiness(raw, known, fps, unit)},
            {"name": f"{name}, smoothed", **steadiness(own, known, fps, unit)}]  # fmt: skip


def _truth(source: str, pictures: int) -> np.ndarray | None:
    """True joints (F, 17, 2) of a rendered video, from the file beside it; None without one."""
    file = Path(source).with_suffix(".truth.npz")
    if not file.exists():
        return None
    with np.load(file) as data:
        joints = data["joints"][:, :17].astype(float)
    return joints if len(joints) == pictures else None


def _track(source: str, model: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Raw joints (F, 17, 2) and confidence (F, 17) of every picture, and their rate."""
    from livepose.bench.compare import frames
    from livepose.engine import device
    from livepose.engine.building import build
    from livepose.engine.loading import Choice
    from livepose.engine.settings import EngineSettings

    settings = EngineSettings(smoothing=Smoothing(on=False))
    predict, _ = build(Choice(model), device.choose(), settings)
    joints: list[np.ndarray] = []
    confidence: list[np.ndarray] = []
    fps = 30.0
    for frame, fps in frames(source):  # noqa: B007
        poses = predict(frame).poses
        joints.append(poses[0].joints[:17] if poses else np.full((17, 2), np.nan))
        confidence.append(poses[0].confidence[:17] if poses else np.zeros(17))
    if sum(np.isfinite(picture).all() for picture in joints) < 3 * _EDGE:
        raise ValueError(f"{source} is not a video with somebody in it for long enough")
    return np.array(joints), np.array(confidence), fps


def _mediapipe(python: str, source: str, truth: np.ndarray | None) -> list[dict[str, Any]]:
    """MediaPipe's own smoothing, and livepose's on the same raw joints at the same lag."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "landmarks.npz"
        command = [python, "-m", "livepose.bench.landmarks", source, str(out)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise ValueError(f"MediaPipe did not run: {done.stderr.strip().splitlines()[-1]}")
        with np.load(out) as data:
            raw, theirs, fps = data["raw"][:, _COCO], data["smooth"][:, _COCO], float(data["fps"])
    unit, sure = torso(raw), np.ones(raw.shape[:2])
    known = raw if truth is None else truth
    own = steadiness(theirs, known, fps, unit)
    same, settings = at_lag(raw, sure, fps, unit, own["lag_ms"], known)
    return [
        {"name": "mediapipe pose full, raw", **steadiness(raw, known, fps, unit)},
        {"name": "mediapipe pose full, its own smoothing", **own},
        {"name": f"mediapipe pose full, livepose's (beta {settings.beta:.1f})",
         "lag_wanted_ms": own["lag_ms"], **steadiness(same, known, fps, unit)},
    ]  # fmt: skip
