"""Poses in the viewer's world: metres, x right, y away, z up, feet on the floor z = 0 (numpy only).

The camera stands above the origin. What is drawn is moved sideways so that the people stay in the
middle of the view: `Stage.focus` is the place on the floor that is drawn at the origin.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from livepose.frames import Pose, Viewpoint
from livepose.lift import floor
from livepose.lift.camera import Intrinsics
from livepose.skeleton import INDEX, indices

# Ankle joints are drawn as balls of about this radius that rest on the floor.
SOLE = 0.035
# Height of the pelvis of somebody whose feet are not to be seen.
PELVIS_HEIGHT = 0.92
# Seconds: quickly out of the floor, slowly down to it, so that a jump looks like one.
RISE, SINK = 0.05, 0.35
# The focus follows people who leave its neighbourhood (metres), in about so many seconds.
NEAR, FOLLOW = 0.6, 0.5
TRAIL_S = 4.0
_TRAIL_STEP = 0.03  # metres between two points of a trail

_ANKLES = indices(["left_ankle", "right_ankle"])
_PELVIS = INDEX["pelvis"]
_TRUSTED = 0.3
_FRUSTUM = 0.45  # metres of a frustum's sides along the camera's axis


class Stage:
    """Stands people on the floor at their places; remembers heights and ways over time.

    focus: (2,) x and y of the world that are drawn at the origin.
    """

    def __init__(self) -> None:
        self.focus = np.zeros(2)
        self._heights: dict[int, float] = {}
        self._ways: dict[int, deque[tuple[float, float, float]]] = {}
        self._time_s = -math.inf

    def place(
        self, poses: Sequence[Pose], viewpoint: Viewpoint | None, time_s: float,
        mirror: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """(P, J, 3) positions of the joints of all poses of one frame, about the focus."""
        if not poses:
            self._heights.clear()
            return np.zeros((0, 0, 3), np.float32)
        passed = time_s - self._time_s
        self._time_s = time_s
        lasting = 0 <= passed < 1
        before = self._heights if lasting else {}
        self._heights = {}
        placed = []
        for pose in poses:
            points = in_world(pose, viewpoint, mirror)
            points[:, 2] -= points[_PELVIS, 2]
            height = self._height(pose, points, before.get(pose.id), passed)
            self._heights[pose.id] = height
            points[:, 2] += height
            placed.append(points)
        out = np.stack(placed)
        self._follow(out[:, _PELVIS, :2].mean(0), passed if lasting else None)
        self._remember(poses, out[:, _PELVIS], time_s)
        out[..., :2] -= self.focus
        return out.astype(np.float32)

    def trails(self) -> list[tuple[int, np.ndarray]]:
        """(id, (N, 3) points on the floor about the focus) of the last seconds, oldest first."""
        out = []
        for number, way in self._ways.items():
            points = np.array([(x, y, 0.01) for _, x, y in way])
            points[:, :2] -= self.focus
            out.append((number, points))
        return out

    def _height(self, pose: Pose, points: np.ndarray, before: float | None, passed: float) -> float:
        """Height of the pelvis: that at which the lower ankle touches the floor, smoothed."""
        seen = [points[i, 2] for i in _ANKLES if pose.confidence[i] >= _TRUSTED]
        seen = [float(z) for z in seen if np.isfinite(z)]
        target = SOLE - min(seen) if seen else PELVIS_HEIGHT
        if before is None:
            return target
        pace = RISE if target > before else SINK
        return target + (before - target) * math.exp(-passed / pace)

    def _follow(self, middle: np.ndarray, passed: float | None) -> None:
        if not np.isfinite(middle).all():
            return
        away = middle - self.focus
        far = float(np.linalg.norm(away))
        if passed is None:
            self.focus = middle
        elif far > NEAR:
            self.focus = self.focus + away * (1 - NEAR / far) * (1 - math.exp(-passed / FOLLOW))

    def _remember(self, poses: Sequence[Pose], where: np.ndarray, time_s: float) -> None:
        for pose, (x, y, _) in zip(poses, where, strict=True):
            way = self._ways.setdefault(pose.id, deque())
            if way and not 0 <= time_s - way[-1][0] < 1:  # a cut
                way.clear()
            if not way or math.hypot(x - way[-1][1], y - way[-1][2]) > _TRAIL_STEP:
                way.append((time_s, float(x), float(y)))
        for number in list(self._ways):
            way = self._ways[number]
            while way and not 0 <= time_s - way[0][0] < TRAIL_S:
                way.popleft()
            if not way:
                del self._ways[number]


def in_world(pose: Pose, viewpoint: Viewpoint | None, mirror: bool = False) -> np.ndarray:
    """(J, 3) where the joints are; about the pelvis, upright, where the engine gives no place."""
    flip = np.array([-1.0 if mirror else 1.0, 1.0, 1.0])
    if viewpoint is None or pose.position is None:
        x, y, z = np.moveaxis(np.asarray(pose.xyz, float), -1, 0)
        return np.stack([x, z, -y], axis=-1) * flip
    points = np.asarray(pose.xyz, float) + pose.position
    return floor.to_world(points, viewpoint.up, viewpoint.height) * flip


def frustum(viewpoint: Viewpoint, width: int, height: int) -> np.ndarray:
    """(8, 2, 3) lines of the camera's field of view, in world coordinates.

    width, height: of the picture in pixels.
    """
    camera = Intrinsics.of_fov(width, height, viewpoint.fov)
    half = np.array([width, height]) / 2 / camera.focal * _FRUSTUM
    corners = np.array([[x * half[0], y * half[1], _FRUSTUM]
                        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])  # fmt: skip
    lines = [(np.zeros(3), c) for c in corners]
    lines += list(zip(corners, np.roll(corners, -1, 0), strict=True))
    return floor.to_world(np.array(lines), viewpoint.up, viewpoint.height)
