"""``livepose steadiness``: how much joints shake, and how late smoothing makes them.

Jitter is the root mean square of the second difference from picture to picture, in thousandths of
a torso: what the eye sees as shaking. Lag is the time by which the smoothed joints follow the raw
ones: of all times t the one for which ``raw - t * velocity`` explains them best, with the velocity
of the raw joints smoothed evenly to both sides. With MediaPipe at hand its own smoothing is
measured on the same clip, and livepose's filter on MediaPipe's raw joints, set to the same lag.
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

from livepose import resources
from livepose.engine.smoothing import PointFilter, Smoothing

_EVEN = np.array([1, 4, 6, 4, 1]) / 16
_EDGE = 10  # pictures at either end that do not count
_STILL = 0.15  # torsos a second
# MediaPipe's 33 landmarks that are COCO's 17 joints.
_COCO = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


def steadiness(points: np.ndarray, raw: np.ndarray, fps: float, unit: float) -> dict[str, float]:
    """Figures of a track (F, N, 2) against the raw one, both in pixels.

    unit: a torso in pixels. Returns ``lag_ms``, ``jitter``, and ``jitter_still`` of the joints that
    hardly move at the time, NaN where all do.
    """
    flat, rough = (a.reshape(len(a), -1) for a in (points, raw))
    even = np.stack([np.convolve(column, _EVEN, "same") for column in rough.T], 1)
    velocity = np.gradient(even, axis=0) * fps
    inner = np.s_[_EDGE:-_EDGE]
    moved = (velocity[inner] ** 2).sum()
    late = -((flat - rough)[inner] * velocity[inner]).sum() / max(moved, 1e-9)
    shake = np.diff(flat, 2, axis=0)[_EDGE - 1 : 1 - _EDGE] / unit
    still = np.abs(velocity[inner]) / unit < _STILL
    return {
        "lag_ms": 1e3 * float(late),
        "jitter": 1e3 * float(np.sqrt((shake**2).mean())),
        "jitter_still": 1e3 * float(np.sqrt((shake[still] ** 2).mean())) if still.any() else np.nan,
    }


def smoothed(
    raw: np.ndarray, confidence: np.ndarray, fps: float, unit: float, settings: Smoothing
) -> np.ndarray:
    """The track (F, N, 2) as livepose's filter lets it through; confidence (F, N)."""
    points = PointFilter(settings)
    return np.array([points(p, c, k / fps, unit)
                     for k, (p, c) in enumerate(zip(raw, confidence, strict=True))])  # fmt: skip


def at_lag(
    raw: np.ndarray, confidence: np.ndarray, fps: float, unit: float, lag_ms: float
) -> tuple[np.ndarray, Smoothing]:
    """The filter with the settings' own proportions and `beta` such that it lags so much."""
    low, high = 0.3, 300.0
    for _ in range(18):  # more beta, less lag
        middle = float(np.sqrt(low * high))
        settings = replace(Smoothing(), beta=middle)
        track = smoothed(raw, confidence, fps, unit, settings)
        if steadiness(track, raw, fps, unit)["lag_ms"] > lag_ms:
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
    parser.add_argument(
        "--mediapipe",
        metavar="PYTHON",
        help="interpreter of an environment with mediapipe, numpy and OpenCV",
    )
    parser.add_argument("--json", type=Path, help="file for the figures")


def main(args: argparse.Namespace) -> int:
    try:
        raw, confidence, fps = _track(args.source, args.model)
        rows = _rows(f"livepose {args.model}", raw, confidence, fps)
        if args.mediapipe:
            rows += _mediapipe(args.mediapipe, args.source)
    except (OSError, ValueError) as error:
        print(f"livepose steadiness: {error}", file=sys.stderr)
        return 2
    print(f"{'':<52}{'lag, ms':>9}{'jitter':>9}{'at rest':>9}")
    for row in rows:
        print(f"{row['name']:<52}{row['lag_ms']:>9.1f}{row['jitter']:>9.2f}"
              f"{row['jitter_still']:>9.2f}")  # fmt: skip
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def _rows(name: str, raw: np.ndarray, confidence: np.ndarray, fps: float) -> list[dict[str, Any]]:
    unit = torso(raw)
    own = smoothed(raw, confidence, fps, unit, Smoothing())
    return [{"name": f"{name}, raw", **steadiness(raw, raw, fps, unit)},
            {"name": f"{name}, smoothed", **steadiness(own, raw, fps, unit)}]  # fmt: skip


def _track(source: str, model: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Raw joints (F, 17, 2), confidence (F, 17) of the pictures with somebody, and their rate."""
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
        for pose in predict(frame).poses[:1]:
            joints.append(pose.joints[:17])
            confidence.append(pose.confidence[:17])
    if len(joints) < 3 * _EDGE:
        raise ValueError(f"{source} is not a video with somebody in it for long enough")
    return np.array(joints), np.array(confidence), fps


def _mediapipe(python: str, source: str) -> list[dict[str, Any]]:
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
    there = ~np.isnan(raw).any((1, 2)) & ~np.isnan(theirs).any((1, 2))
    raw, theirs = raw[there], theirs[there]
    unit, sure = torso(raw), np.ones(raw.shape[:2])
    own = steadiness(theirs, raw, fps, unit)
    same, settings = at_lag(raw, sure, fps, unit, own["lag_ms"])
    return [
        {"name": "mediapipe pose full, raw", **steadiness(raw, raw, fps, unit)},
        {"name": "mediapipe pose full, its own smoothing", **own},
        {"name": f"mediapipe pose full, livepose's (beta {settings.beta:.1f})",
         **steadiness(same, raw, fps, unit)},
    ]  # fmt: skip
