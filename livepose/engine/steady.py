"""What is shown of each person: joints without jitter, metres, bones that keep their lengths."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from livepose.engine.region import Found
from livepose.engine.smoothing import RESET_S, PointFilter, Smoothing
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
    distance: PointFilter = field(default_factory=lambda: PointFilter(_DISTANCE))
    bones: Bones = field(default_factory=Bones)
    metres: float | None = None  # away, at the picture before
    time_s: float = 0.0


class Steady:
    """Remembers every person by id; used by one thread at a time."""

    def __init__(self) -> None:
        self._ones: dict[int, _One] = {}

    def forget(self) -> None:
        """Another source: everybody is new."""
        self._ones.clear()

    def keep(self, ids: set[int]) -> None:
        """Forgets everybody else."""
        self._ones = {k: one for k, one in self._ones.items() if k in ids}

    def __call__(
        self, id_: int, found: Found, time_s: float, camera: Intrinsics, view: View,
        smoothing: Smoothing, ahead_s: float = 0.0,
    ) -> Pose:  # fmt: skip
        """The pose to show.

        time_s: of the picture. ahead_s: from then to the painting, if `smoothing.predict` is set.
        """
        one = self._ones.setdefault(id_, _One())
        if one.metres is None or not 0 <= time_s - one.time_s < RESET_S:
            one.metres = float(self._metres(found, camera, view))
        one.time_s = time_s
        points = np.column_stack([found.joints, found.depth])
        lag = 0.0
        if smoothing.on:
            one.points.settings = smoothing
            unit = _SIZE * view.height * camera.focal / one.metres
            points = one.points(points, found.confidence, time_s, unit)
            lag = one.points.lag_s
            if smoothing.predict:
                ahead = min(ahead_s + lag, _LONGEST_AHEAD_S)
                points = points + one.points.velocity * ahead
                lag -= ahead
        q = metric.rays(points[:, :2], points[:, 2], camera)
        away = np.array([[metric.distance(q, found.confidence, view.height)]])
        if smoothing.on:
            away = np.exp(one.distance(np.log(away), np.ones(1), time_s, 1.0))
        one.metres = float(away[0, 0])
        placed = q * one.metres
        position = placed[_PELVIS]
        xyz = placed - position
        if smoothing.on:
            xyz = one.bones(xyz, found.confidence)
        return Pose(
            joints=points[:, :2].astype(np.float32), xyz=xyz.astype(np.float32),
            confidence=found.confidence, score=found.score, region=found.region, id=id_,
            position=position.astype(np.float32), lag_s=lag,
        )  # fmt: skip

    @staticmethod
    def _metres(found: Found, camera: Intrinsics, view: View) -> np.ndarray:
        q = metric.rays(found.joints, found.depth, camera)
        return metric.distance(q, found.confidence, view.height)
