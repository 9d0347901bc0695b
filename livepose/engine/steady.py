"""What is shown of each person: joints without jitter, metres, bones that keep their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from livepose.engine.region import Found
from livepose.engine.sides import Sides, reordered
from livepose.engine.smoothing import RESET_S, NumberFilter, PointFilter, Smoothing
from livepose.frames import Pose
from livepose.lift import metric
from livepose.lift.bones import Bones
from livepose.lift.camera import USUAL_FOV, Intrinsics
from livepose.rows import Rows
from livepose.skeleton import INDEX, J

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


@dataclass
class _People(Rows):
    """What is remembered of them.

    distance: (P,) filters of its logarithm. metres: (P,) away, at the picture before; not a number
    where unknown.
    """

    points: PointFilter
    sides: Sides
    distance: np.ndarray
    bones: Bones
    metres: np.ndarray
    time_s: np.ndarray

    @classmethod
    def new(cls, people: int) -> _People:
        points, distance = PointFilter.new(people, J, 3), [NumberFilter() for _ in range(people)]
        return cls(points, Sides.new(points.points), np.array(distance, object),
                   Bones.new(people), np.full(people, np.nan), np.zeros(people))  # fmt: skip

    def smooth(
        self, points: np.ndarray, confidence: np.ndarray, time_s: float, unit: np.ndarray,
        settings: Smoothing, ahead_s: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Steady points (P, J, 3) and their confidence, left and right as they were; and their
        lags (P,)."""
        known = self.points.known(time_s)
        if not known.all():
            self.points.start(~known, points, time_s)
            self.sides[~known] = Sides.new(points[~known], time_s)
        expected, last = self.points.expected(time_s), self.points.points
        order, turned, doubtful = self.sides(points, expected, last, confidence, time_s, unit)
        if turned is not None:
            self.points.reorder(turned)
        points, confidence = reordered(points, order), reordered(confidence, order)
        points = self.points(points, confidence, time_s, unit, settings, doubtful)
        lag = self.points.lag_s
        if settings.predict:
            ahead = np.minimum(ahead_s + lag, _LONGEST_AHEAD_S)
            points = points + self.points.motion * ahead[:, None, None]
            lag = lag - ahead
        return points, confidence, lag

    def steady_distance(self, metres: np.ndarray, time_s: float) -> np.ndarray:
        """(P,) -> (P,)"""
        logs = zip(self.distance, np.log(metres).tolist(), strict=True)
        steady: np.ndarray = np.exp([smooth(log, time_s, _DISTANCE) for smooth, log in logs])
        return steady


class Steady:
    """Remembers every person by id; used by one thread at a time."""

    def __init__(self) -> None:
        self._scale: tuple[Intrinsics, View] | None = None
        self.forget()

    def forget(self) -> None:
        """Another source: everybody is new."""
        self._ids: list[int] = []
        self._people = _People.new(0)

    def keep(self, ids: set[int]) -> None:
        """Forgets everybody else."""
        if not ids.issuperset(self._ids):
            rows = [row for row, id_ in enumerate(self._ids) if id_ in ids]
            self._ids, self._people = [self._ids[row] for row in rows], self._people[rows]

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
        if (camera, view) != self._scale:
            self._scale = camera, view
            self._people.metres.fill(np.nan)
            for smooth in self._people.distance:
                smooth.forget()
        ids = [id_ for id_, _ in people]
        new = [id_ for id_ in ids if id_ not in self._ids]
        if new:
            self._ids += new
            self._people = _People.joined([self._people, _People.new(len(new))])
        found = [found for _, found in people]
        if ids == self._ids:
            return _poses(self._people, ids, found, time_s, camera, view, smoothing, ahead_s)
        rows = [self._ids.index(id_) for id_ in ids]
        some = self._people[rows]
        poses = _poses(some, ids, found, time_s, camera, view, smoothing, ahead_s)
        self._people[rows] = some
        return poses


def _poses(
    people: _People, ids: Sequence[int], found: Sequence[Found], time_s: float, camera: Intrinsics,
    view: View, smoothing: Smoothing, ahead_s: float,
) -> list[Pose]:  # fmt: skip
    """Those of all who are in a picture."""
    joints = np.array([each.joints for each in found])
    depth, confidence = (np.array([getattr(each, name) for each in found])
                         for name in ("depth", "confidence"))  # fmt: skip
    points, lags = np.concatenate([joints, depth[..., None]], -1), np.zeros(len(ids))
    if smoothing.on:
        _locate(people, points, confidence, time_s, camera, view)
        unit = _SIZE * view.height * camera.focal / people.metres
        points, confidence, lags = people.smooth(
            points, confidence, time_s, unit, smoothing, ahead_s
        )
    q = metric.rays(points[..., :2], points[..., 2], camera)
    away = metric.distance(q, confidence, view.height)
    if smoothing.on:
        away = people.steady_distance(away, time_s)
    placed = q * away[:, None, None]
    position = placed[:, _PELVIS]
    xyz = placed - position[:, None]
    people.metres, people.time_s = away, np.full(len(ids), time_s)
    if smoothing.on:
        # In heights: they stay right when the user says another height.
        xyz = view.height * people.bones(xyz / view.height, confidence)
    joints, xyz, position = (a.astype(np.float32) for a in (points[..., :2], xyz, position))
    return [Pose(joints=joints[k], xyz=xyz[k], confidence=confidence[k], score=each.score,
                 region=each.region, id=ids[k], position=position[k], lag_s=float(lags[k]))
            for k, each in enumerate(found)]  # fmt: skip


def _locate(
    people: _People, points: np.ndarray, confidence: np.ndarray, time_s: float,
    camera: Intrinsics, view: View,
) -> None:  # fmt: skip
    """Says about how far away those are who are new, or everybody by another scale."""
    new = np.isnan(people.metres) | (time_s - people.time_s >= RESET_S)
    if new.any():
        q = metric.rays(points[new][..., :2], points[new][..., 2], camera)
        people.metres[new] = metric.distance(q, confidence[new], view.height)
