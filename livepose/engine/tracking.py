"""Who is who: poses of one picture are given to the people of the pictures before.

Every person that is followed is expected somewhere (where it was, moved on by its speed). Poses
and people are matched by how alike pose and expectation are, all at once, so that two people who
cross do not swap. Somebody who is hidden or goes out keeps a place for a while, and is known again
by the colours of the clothes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from livepose.cv import cv2
from livepose.engine.region import SURE, Found, following, settled
from livepose.frames import Region
from livepose.skeleton import indices

MOST = 10
# Poses are alike by the mean over joints of exp(-(d / spread)^2 / 2), d in sizes of the person.
_SPREAD = 0.25
SAME = 0.85  # two poses of one picture that are so alike are one person seen twice
_LIKE = 0.15  # a person and a pose that are less alike are strangers
_LOOK_S = 0.4  # so long an unseen person is looked for where it was
_HIDDEN_S = 0.2  # so long it cannot turn up somewhere else
_FORGET_S = 1.0  # so long an unseen person is expected where it was going
_KEEP_S = 20.0  # so long it is known again by its colours
_KNOWN = 0.75  # from this likeness of colours on
_SETTLED = 2  # pictures until somebody new is shown
_CLEAR = 0.5  # score from which somebody is shown at once
_REPAINT = 15  # pictures after which the colours are looked at again


@dataclass(slots=True, eq=False)
class Person:
    """Somebody who is followed. velocity: (2,) of the whole body, in pixels per second."""

    id: int
    found: Found
    time_s: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    colours: np.ndarray | None = None
    seen: int = 0  # pictures
    look: Region | None = None

    @property
    def size(self) -> float:
        return size_of(self.found)

    def expected(self, time_s: float) -> np.ndarray:
        """(J, 2) where the joints should be at this time."""
        ahead = min(max(time_s - self.time_s, 0.0), 0.3)
        return self.found.joints + self.velocity * ahead


def size_of(found: Found) -> float:
    """About the height of the sitting person in pixels: the spread of the sure joints."""
    sure = found.confidence >= SURE
    points = found.joints[sure] if sure.sum() >= 2 else found.joints
    return float(max(2.0, 2.0 * np.sqrt(points.var(0).sum())))


def likeness(
    a: np.ndarray, b: np.ndarray, sure: np.ndarray, size: np.ndarray | float
) -> np.ndarray:  # fmt: skip
    """(..., J, 2) twice, (..., J) which joints count, (...) size in pixels -> (...) in 0..1."""
    d2 = ((a - b) ** 2).sum(-1) / (_SPREAD * np.asarray(size)[..., None]) ** 2
    return (np.exp(-d2 / 2) * sure).sum(-1) / np.maximum(sure.sum(-1), 1)


def alike(a: Found, b: Found) -> float:
    """How alike two poses of the same picture are; 0 where they share no sure joint."""
    sure = (a.confidence >= SURE) & (b.confidence >= SURE)
    return float(likeness(a.joints, b.joints, sure, min(size_of(a), size_of(b))))


def distinct(poses: Sequence[Found]) -> list[Found]:
    """The poses without those of a person seen twice: the better one stays. Best first."""
    kept: list[Found] = []
    for pose in sorted(poses, key=lambda p: -p.score):
        if all(alike(pose, other) < SAME for other in kept):
            kept.append(pose)
    return kept


class Tracker:
    """Gives ids that last.

    Args:
        most: people followed at the same time, 1 to `MOST`.
    """

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.people: list[Person] = []  # in this or the last pictures
        self._gone: list[Person] = []
        self._next = 1

    def forget(self) -> None:
        """Another source: everybody is new."""
        self.people, self._gone, self._next = [], [], 1

    @property
    def ids(self) -> set[int]:
        """Of everybody who is still remembered."""
        return {p.id for p in (*self.people, *self._gone)}

    def looks(self, time_s: float, width: int, height: int) -> list[Region]:
        """Where to look for the people who were seen a moment ago."""
        looks = []
        for person in self.people[: self.most]:
            if 0 <= time_s - person.time_s < _LOOK_S:
                new = following(person.found, width, height)
                person.look = settled(person.look, new) if new else None
                looks += [person.look] if person.look else []
        return looks

    def update(
        self, poses: Sequence[Found], time_s: float, image: np.ndarray
    ) -> list[tuple[Person, Found]]:
        """The people of this picture with their poses, those that are sure enough to be shown.

        poses: of different people, see `distinct`.
        """
        self._retire(time_s)
        pairs = sorted(self._matched(poses, time_s), key=lambda pair: pair[0].id)[: self.most]
        taken = {id(pose) for _, pose in pairs}
        for pose in poses:
            if id(pose) not in taken and len(pairs) < self.most:
                pairs.append((self._newcomer(pose, time_s, image), pose))
        for person, pose in pairs:
            self._move(person, pose, time_s, image)
        return [(p, f) for p, f in pairs if p.seen >= _SETTLED or f.score >= _CLEAR]

    def _retire(self, time_s: float) -> None:
        for p in (*self.people, *self._gone):
            if p.time_s > time_s:  # a film begins again
                p.time_s = time_s - _FORGET_S
        late = [p for p in self.people if time_s - p.time_s >= _FORGET_S]
        self.people = [p for p in self.people if p not in late]
        self._gone += [p for p in late if p.seen >= _SETTLED and p.colours is not None]
        self._gone = [p for p in self._gone if time_s - p.time_s < _KEEP_S]

    def _matched(self, poses: Sequence[Found], time_s: float) -> list[tuple[Person, Found]]:
        if not poses or not self.people:
            return []
        expected = np.stack([p.expected(time_s) for p in self.people])
        sizes = np.array([p.size for p in self.people])
        there = np.stack([p.found.confidence for p in self.people]) >= SURE
        joints = np.stack([f.joints for f in poses])
        sure = np.stack([f.confidence for f in poses]) >= SURE
        like = likeness(
            expected[:, None], joints[None], there[:, None] & sure[None], sizes[:, None]
        )
        rows, columns = linear_sum_assignment(-np.where(like >= _LIKE, like, 0))
        return [(self.people[r], poses[c]) for r, c in zip(rows, columns, strict=True)
                if like[r, c] >= _LIKE]  # fmt: skip

    def _newcomer(self, pose: Found, time_s: float, image: np.ndarray) -> Person:
        """Somebody who was here before, if the clothes are the same, or a stranger."""
        own = colours(image, pose)
        known = [(same_colours(own, p.colours), p) for p in self._gone]
        known += [(same_colours(own, p.colours), p) for p in self.people
                  if time_s - p.time_s > _HIDDEN_S and p.seen >= _SETTLED]  # fmt: skip
        best = max(known, key=lambda k: k[0], default=(0.0, None))
        if best[1] is not None and best[0] >= _KNOWN:
            person = best[1]
            self._gone = [p for p in self._gone if p is not person]
            person.velocity = np.zeros(2)
        else:
            person = Person(self._next, pose, time_s, colours=own)
            self._next += 1
        if person not in self.people:
            self.people.append(person)
        return person

    def _move(self, person: Person, pose: Found, time_s: float, image: np.ndarray) -> None:
        dt = time_s - person.time_s
        if dt > 0 and person.seen:
            sure = (pose.confidence >= SURE) & (person.found.confidence >= SURE)
            if sure.any():
                step = np.median(pose.joints[sure] - person.found.joints[sure], 0)
                person.velocity = person.velocity + 0.4 * (step / dt - person.velocity)
        person.found, person.time_s = pose, time_s
        person.seen += 1
        if person.colours is None or person.seen % _REPAINT == 0:
            now = colours(image, pose)
            if now is not None:
                old = person.colours
                person.colours = now if old is None else old + 0.3 * (now - old)


_TORSO = indices(["left_shoulder", "right_shoulder", "right_hip", "left_hip"])
_BINS = 8


def colours(image: np.ndarray, pose: Found) -> np.ndarray | None:
    """Histogram (2 * 8 * 8,) of hue and saturation, and of lightness, of the clothes on the torso.

    None where the torso is not seen well.
    """
    corners = pose.joints[_TORSO]
    if pose.confidence[_TORSO].min() < SURE:
        return None
    middle = corners.mean(0)
    shrunk = middle + 0.8 * (corners - middle)
    low = np.maximum(np.floor(shrunk.min(0)).astype(int), 0)
    high = np.ceil(shrunk.max(0)).astype(int) + 1
    part = image[low[1] : high[1], low[0] : high[0]]
    if min(part.shape[:2]) < 4:
        return None
    step = max(1, int(np.sqrt(part.shape[0] * part.shape[1] / 2000)))
    part = part[::step, ::step]
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round((shrunk - low) / step).astype(np.int32), 1)
    hsv = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_BGR2HSV)
    total = max(1, int(mask.sum()))
    hue = cv2.calcHist([hsv], [0, 1], mask, [_BINS, _BINS], [0, 180, 0, 256]).ravel()
    light = cv2.calcHist([hsv], [1, 2], mask, [_BINS, _BINS], [0, 256, 0, 256]).ravel()
    return np.concatenate([hue, light]) / (2 * total)


def same_colours(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """0..1, Bhattacharyya's coefficient of two histograms; 0 where one is missing."""
    return 0.0 if a is None or b is None else float(np.sqrt(np.maximum(a * b, 0)).sum())
