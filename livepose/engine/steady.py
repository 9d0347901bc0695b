"""What is shown of each person: joints without jitter, metres, bones that keep their lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from livepose.engine.region import Found
from livepose.engine.sides import Sides
from livepose.engine.smoothing import RESET_S, NumberFilter, PointFilter, Smoothing
from livepose.frames import Pose
from livepose.lift import metric
from livepose.lift.bones import Bones
from livepose.lift.camera import USUAL_FOV, Intrinsics
from livepose.skeleton import INDEX

# Of the distance to the camera: people walk, they do not jump to and fro.
_DISTANCE = Smoothing(min_cutoff=0.3, beta=1.0, d_cutoff=1.0, follow=0.0)
# A person's size in the filter's terms: about a torso, so much of its height.
_SIZE = 0.3
_LONGEST_AHEAD_S = 0.15
_PELVIS = INDEX["pelvis"]


@dataclass(frozen=True, slots=True)
class View:
    """What the user says of camera and people.

    fov: degrees across the longer side of the picture. height: of people, in metres.
    """

    fov: float = USUAL_FOV
    height: float = metric.USUAL_HEIGHT

    def __post_init__(self) -> None:
        Intrinsics.of_fov(1, 1, self.fov)
        low, high = metric.HEIGHT_RANGE
        if not low <= self.height <= high:
            raise ValueError(f"height must be {low} to {high} metres: {self.height}")


@dataclass(slots=True)
class _One:
    """What is remembered of one person."""

    points: PointFilter = field(default_factory=PointFilter)
    sides: Sides = field(default_factory=Sides)
    distance: NumberFilter = field(default_factory=lambda: NumberFilter(_DISTANCE))
    bones: Bones = field(default_factory=Bones)
    metres: float = math.nan  # away, at the picture before
    time_s: float = 0.0

    def smooth(
        self, points: np.ndarray, confidence: np.ndarray, time_s: float, unit: float,
        settings: Smoothing, ahead_s: float,
    ) -> tuple[np.ndarray, np.ndarray, float]:  # fmt: skip
        """Steady points (J, 3) and their confidence, left and right as they were; and their lag."""
        self.points.settings = settings
        expected, doubtful = self.points.expected(time_s), None
        if expected is not None:
            last = self.points.last
            assert last is not None  # something is expected
            order, turned, doubtful = self.sides(points, expected, last, confidence, time_s, unit)
            if turned is not None:
                self.points.reorder(turned)
            if order is not None:
                points, confidence = points[order], confidence[order]
        points = self.points(points, confidence, time_s, unit, doubtful)
        lag = self.points.lag_s
        if settings.predict:
            ahead = min(ahead_s + lag, _LONGEST_AHEAD_S)
            points = points + self.points.motion * ahead
            lag -= ahead
        return points, confidence, lag

    def steady_distance(self, metres: float, time_s: float) -> float:
        return math.exp(self.distance(math.log(metres), time_s))


class Steady:
    """Remembers every person by id; used by one thread at a time."""

    def __init__(self) -> None:
        self._ones: dict[int, _One] = {}
        self._scale: tuple[Intrinsics, View] | None = None

    def forget(self) -> None:
        """Another source: everybody is new."""
        self._ones.clear()

    def keep(self, ids: set[int]) -> None:
        """Forgets everybody else."""
        self._ones = {k: one for k, one in self._ones.items() if k in ids}

    def __call__(
        self, people: Sequence[tuple[int, Found]], time_s: float, camera: Intrinsics, view: View,
        smoothing: Smoothing, ahead_s: float = 0.0,
    ) -> list[Pose]:  # fmt: skip
        """The poses to show.

        people: of one picture, with their ids. time_s: of the picture. ahead_s: from then to the
        painting, if `smoothing.predict` is set.
        """
        if not people:
            return []
        ones = [self._ones.setdefault(id_, _One()) for id_, _ in people]
        points = np.array([np.column_stack([found.joints, found.depth]) for _, found in people])
        confidence = np.array([found.confidence for _, found in people])
        lags = [0.0] * len(ones)
        if smoothing.on:
            self._locate(ones, points, confidence, time_s, camera, view)
            for k, one in enumerate(ones):
                unit = _SIZE * view.height * camera.focal / one.metres
                points[k], confidence[k], lags[k] = one.smooth(
                    points[k], confidence[k], time_s, unit, smoothing, ahead_s
                )
        q = metric.rays(points[..., :2], points[..., 2], camera)
        away = metric.distance(q, confidence, view.height)
        if smoothing.on:
            for k, one in enumerate(ones):
                away[k] = one.steady_distance(float(away[k]), time_s)
        placed = q * away[:, None, None]
        position = placed[:, _PELVIS]
        xyz = placed - position[:, None]
        for k, one in enumerate(ones):
            one.metres, one.time_s = float(away[k]), time_s
            if smoothing.on:
                # In heights: they stay right when the user says another height.
                xyz[k] = view.height * one.bones(xyz[k] / view.height, confidence[k])
        joints, xyz, position = (a.astype(np.float32) for a in (points[..., :2], xyz, position))
        return [Pose(joints=joints[k], xyz=xyz[k], confidence=confidence[k], score=found.score,
                     region=found.region, id=id_, position=position[k], lag_s=lags[k])
                for k, (id_, found) in enumerate(people)]  # fmt: skip

    def _locate(
        self, ones: Sequence[_One], points: np.ndarray, confidence: np.ndarray, time_s: float,
        camera: Intrinsics, view: View,
    ) -> None:  # fmt: skip
        """Says about how far away those are who are new, or everybody by another scale."""
        if (camera, view) != self._scale:
            self._scale = camera, view
            for one in self._ones.values():
                one.metres = math.nan
                one.distance.reset()
        new = [k for k, one in enumerate(ones)
               if math.isnan(one.metres) or time_s - one.time_s >= RESET_S]  # fmt: skip
        if new:
            q = metric.rays(points[new][..., :2], points[new][..., 2], camera)
            away = metric.distance(q, confidence[new], view.height)
            for k, metres in zip(new, away, strict=True):
                ones[k].metres = float(metres)
