"""Poses in the viewer's world: metres, x right, y away, z up, feet on the floor z = 0 (numpy only).

The engine gives joints about each person's own pelvis. Where the persons stand, and on what
height, is worked out here, for the eye only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from livepose.frames import Pose
from livepose.skeleton import indices

# Ankle joints are drawn as balls of about this radius that rest on the floor.
SOLE = 0.035
# Height of the pelvis of somebody whose feet are not to be seen.
PELVIS_HEIGHT = 0.92
# Seconds: quickly out of the floor, slowly down to it, so that a jump looks like one.
RISE, SINK = 0.05, 0.35

_ANKLES = indices(["left_ankle", "right_ankle"])
_TRUSTED = 0.3
_REACH = 2.5
_FOCAL = 0.9


def to_world(xyz: np.ndarray, mirror: bool = False) -> np.ndarray:
    """Camera axes (x right, y down, z away) -> world axes (x right, y away, z up)."""
    x, y, z = np.moveaxis(np.asarray(xyz, np.float32), -1, 0)
    return np.stack([-x if mirror else x, z, -y], axis=-1)


class Stage:
    """Stands persons on the floor and beside one another; remembers their heights over time."""

    def __init__(self) -> None:
        self._heights: dict[int, float] = {}
        self._time_s = -math.inf

    def place(
        self, poses: Sequence[Pose], width: int, time_s: float, mirror: bool = False
    ) -> np.ndarray:
        """(P, J, 3) world positions of the joints of all poses of one frame `width` pixels wide."""
        if not poses:
            self._heights.clear()
            return np.zeros((0, 0, 3), np.float32)
        passed = time_s - self._time_s
        self._time_s = time_s
        before = self._heights if 0 <= passed < 1 else {}
        self._heights = {}
        offsets = spread(poses, width)
        placed = []
        for pose, (right, away) in zip(poses, offsets, strict=True):
            points = to_world(pose.xyz, mirror)
            height = self._height(pose, points, before.get(pose.id), passed)
            self._heights[pose.id] = height
            placed.append(
                points + np.array([-right if mirror else right, away, height], np.float32)
            )
        return np.stack(placed)

    def _height(self, pose: Pose, points: np.ndarray, before: float | None, passed: float) -> float:
        """Height of the pelvis: that at which the lower ankle touches the floor, smoothed."""
        seen = [points[i, 2] for i in _ANKLES if pose.confidence[i] >= _TRUSTED]
        seen = [float(z) for z in seen if np.isfinite(z)]
        target = SOLE - min(seen) if seen else PELVIS_HEIGHT
        if before is None:
            return target
        pace = RISE if target > before else SINK
        return target + (before - target) * math.exp(-passed / pace)


def spread(poses: Sequence[Pose], width: int) -> np.ndarray:
    """(P, 2) offsets (right, away) in metres of several persons about their middle.

    Scale and place of each person come from the match of its metric joints with its pixels; the
    focal length is a guess, good enough to tell who stands beside, before and behind whom.
    """
    if len(poses) < 2:
        return np.zeros((len(poses), 2), np.float32)
    places = []
    for pose in poses:
        good = (pose.confidence >= _TRUSTED) & np.isfinite(pose.joints).all(-1)
        if good.sum() < 2:
            good = np.isfinite(pose.joints).all(-1)
        pixels, metres = pose.joints[good], pose.xyz[good, :2]
        if len(pixels) < 2:
            places.append((0.0, 0.0))
            continue
        centre_px, centre_m = pixels.mean(0), metres.mean(0)
        spread_px, spread_m = pixels - centre_px, metres - centre_m
        scale = float((spread_px * spread_m).sum() / max(float((spread_m**2).sum()), 1e-6))
        scale = max(scale, 1.0)
        pelvis_px = centre_px[0] - scale * centre_m[0]
        places.append(((pelvis_px - width / 2) / scale, _FOCAL * width / scale))
    offsets = np.array(places, np.float32)
    return np.clip(offsets - offsets.mean(0), -_REACH, _REACH)
