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
from livepose.engine.region import (
    SURE,
    Found,
    beside,
    following,
    narrowed,
    settled,
    stacked,
)
from livepose.frames import Region
from livepose.skeleton import FLIP, indices

MOST = 10
_FLIP = list(FLIP)
# Poses are alike by the mean over joints of exp(-(d / spread)^2 / 2), d in sizes of the person.
_SPREAD = 0.25
SAME = 0.85  # two poses of one picture that are so alike are one person seen twice
_LIKE = 0.15  # a person and a pose that are less alike are strangers
_LOOK_S = 0.4  # so long an unseen person is looked for where it was
_HIDDEN_S = 0.2  # so long it cannot turn up somewhere else
FORGET_S = 1.0  # so long an unseen person is expected where it was going
_KEEP_S = 20.0  # so long it is known again by its colours
_KNOWN = 0.75  # from this likeness of colours on
_PLACE = 0.25  # what being at the old place adds to it
_CLEAR = 0.5  # score that somebody has to have once; furniture has less, at 0.25 it is followed
_TRIED_S = 0.3  # so long it is looked at, in every picture, whether it becomes as clear as that
_REPAINT = 15  # pictures after which the colours are looked at again


@dataclass(slots=True, eq=False)
class Person:
    """Somebody who is followed.

    velocity: (2,) of the whole body, in pixels per second. since_s: when first seen. id: 0 until it
    is somebody, rather than something that looks a little like it.
    """

    found: Found
    time_s: float
    since_s: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    colours: np.ndarray | None = None
    seen: int = 0  # pictures
    look: Region | None = None
    id: int = 0

    def expected(self, time_s: float) -> np.ndarray:
        """(J, 2) where the joints should be at this time."""
        ahead = min(max(time_s - self.time_s, 0.0), 0.3)
        return self.found.joints + self.velocity * ahead


def likeness(
    a: np.ndarray, b: np.ndarray, sure: np.ndarray, size: np.ndarray | float
) -> np.ndarray:  # fmt: skip
    """(..., J, 2) twice, (..., J) which joints count, (...) size in pixels -> (...) in 0..1."""
    d2 = ((a - b) ** 2).sum(-1) / (_SPREAD * np.asarray(size)[..., None]) ** 2
    return (np.exp(-d2 / 2) * sure).sum(-1) / np.maximum(sure.sum(-1), 1)


def _sizes(joints: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """(P,) in pixels, about the height of the sitting person: the spread of the sure joints."""
    counts = (sure | (sure.sum(1, keepdims=True) < 2))[..., None]
    number = counts.sum(1, keepdims=True)
    off = joints - (joints * counts).sum(1, keepdims=True) / number
    spread = (off**2 * counts).sum((1, 2)) / number[:, 0, 0]
    return np.maximum(2.0, 2.0 * np.sqrt(spread))


def alike(a: Sequence[Found], b: Sequence[Found]) -> np.ndarray:
    """(A, B) how alike poses of the same picture are; 0 where they share no sure joint."""
    (joints, sure), (others, known) = stacked(a), stacked(b)
    least = np.minimum(_sizes(joints, sure)[:, None], _sizes(others, known))
    return likeness(joints[:, None], others, sure[:, None] & known, least)


def distinct(poses: Sequence[Found]) -> list[Found]:
    """The poses without those of a person seen twice: the better one stays. Best first.

    In another square, a network may take left for right.
    """
    best = sorted(poses, key=lambda pose: -pose.score)
    if len(best) < 2:
        return best
    joints, sure = stacked(best)
    size = _sizes(joints, sure)
    least = np.minimum(size[:, None], size)
    same = np.zeros(least.shape, bool)
    for order in (slice(None), _FLIP):
        both = sure[:, None] & sure[:, order]
        same |= likeness(joints[:, None], joints[:, order], both, least) >= SAME
    kept: list[int] = []
    for k in range(len(best)):
        if not same[k, kept].any():
            kept.append(k)
    return [best[k] for k in kept]


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
        return {p.id for p in (*self.people, *self._gone) if p.id}

    def looks(self, time_s: float, width: int, height: int) -> list[Region]:
        """Where to look for the people who were seen a moment ago."""
        there = [p for p in self.people if time_s - p.time_s < _LOOK_S][: self.most]
        ahead, looks = following([p.found for p in there], width, height), []
        for person, new in zip(there, ahead, strict=True):
            before = person.look.width if person.look else 1.0
            person.look = settled(person.look, new) if new else None
            if person.look:
                person.look = narrowed(person.look, person.found, before)
                # A ghost lives on where the square lies: it is not looked for in the same twice.
                aside = not person.id and person.seen % 2
                looks.append(beside(person.look) if aside else person.look)
        return looks

    def update(
        self, poses: Sequence[Found], time_s: float, image: np.ndarray
    ) -> list[tuple[Person, Found]]:
        """The people of this picture with their poses, those that are sure enough to be shown.

        poses: of different people, see `distinct`. time_s: never before the last picture's.
        """
        self._retire(time_s)
        pairs = sorted(self._matched(poses, time_s), key=lambda pair: pair[0].id or np.inf)
        pairs = pairs[: self.most]
        taken = {id(pose) for _, pose in pairs}
        new = [pose for pose in poses if id(pose) not in taken][: self.most - len(pairs)]
        pairs += self._newcomers(new, [person for person, _ in pairs], time_s, image)
        _learn_velocities(pairs, time_s)
        for person, pose in pairs:
            _move(person, pose, time_s, image)
            if not person.id and pose.score >= _CLEAR:
                person.id, self._next = self._next, self._next + 1
        seen = [person for person, _ in pairs]
        self.people = [p for p in self.people if p.id
                       or (p in seen and time_s - p.since_s < _TRIED_S)]  # fmt: skip
        return [(person, pose) for person, pose in pairs if person.id]

    def _retire(self, time_s: float) -> None:
        late = [p for p in self.people if time_s - p.time_s >= FORGET_S]
        self.people = [p for p in self.people if p not in late]
        self._gone += [p for p in late if p.colours is not None]
        self._gone = [p for p in self._gone if time_s - p.time_s < _KEEP_S]

    def _matched(self, poses: Sequence[Found], time_s: float) -> list[tuple[Person, Found]]:
        if not poses or not self.people:
            return []
        before, there = stacked([p.found for p in self.people])
        expected = np.array([p.expected(time_s) for p in self.people])
        joints, sure = stacked(poses)
        size = _sizes(before, there)[:, None]
        like = likeness(expected[:, None], joints, there[:, None] & sure, size)
        return [(self.people[r], poses[c]) for r, c in _assigned(like, _LIKE)]

    def _newcomers(
        self, poses: Sequence[Found], followed: Sequence[Person], time_s: float, image: np.ndarray
    ) -> list[tuple[Person, Found]]:
        """Those who were here before, if the clothes are the same, and strangers.

        Of several in the same clothes, whoever is nearer to where the person was.
        """
        away = [p for p in (*self._gone, *self.people) if p not in followed]
        known = [p for p in away if p.id and time_s - p.time_s > _HIDDEN_S]
        own = [colours(image, pose) for pose in poses]
        like = np.zeros((len(poses), len(known)))
        for row, (pose, colour) in enumerate(zip(poses, own, strict=True)):
            for column, person in enumerate(known):
                same = same_colours(colour, person.colours)
                if same >= _KNOWN:
                    like[row, column] = same + _PLACE * _nearness(pose, person, time_s)
        back = {row: known[column] for row, column in _assigned(like, _KNOWN)}
        new = []
        for row, pose in enumerate(poses):
            if row in back:
                new.append(back[row])
                new[-1].velocity = np.zeros(2)
            else:
                new.append(Person(pose, time_s, time_s, colours=own[row]))
        self._gone = [p for p in self._gone if p not in new]
        self.people += [p for p in new if p not in self.people]
        return list(zip(new, poses, strict=True))


def _learn_velocities(pairs: Sequence[tuple[Person, Found]], time_s: float) -> None:
    """Of those who were seen before, by the median of their joints."""
    pairs = [(person, pose) for person, pose in pairs if person.seen and time_s > person.time_s]
    if not pairs:
        return
    joints, sure = stacked([pose for _, pose in pairs])
    before, there = stacked([person.found for person, _ in pairs])
    both = sure & there
    steps = np.sort(np.where(both[..., None], joints - before, np.inf), 1)
    for (person, _), step, number in zip(pairs, steps, both.sum(1).tolist(), strict=True):
        if number:
            now = step[number // 2] / (time_s - person.time_s)
            person.velocity = person.velocity + 0.4 * (now - person.velocity)


def _move(person: Person, pose: Found, time_s: float, image: np.ndarray) -> None:
    person.found, person.time_s = pose, time_s
    person.seen += 1
    if person.colours is None or person.seen % _REPAINT == 0:
        now = colours(image, pose)
        if now is not None:
            old = person.colours
            person.colours = now if old is None else old + 0.3 * (now - old)


def _assigned(like: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Rows and columns that belong together, so that all are as alike as can be."""
    if like.shape == (1, 1):  # one person alone needs no search
        return [(0, 0)] if like[0, 0] >= least else []
    rows, columns = linear_sum_assignment(-np.where(like >= least, like, 0))
    return [(r, c) for r, c in zip(rows, columns, strict=True) if like[r, c] >= least]


def _nearness(pose: Found, person: Person, time_s: float) -> float:
    """0..1: the longer somebody was away, the less the old place tells."""
    (size,) = _sizes(*stacked([person.found]))
    apart = np.linalg.norm(pose.joints.mean(0) - person.expected(time_s).mean(0))
    return float(np.exp(-apart / (size * (1 + time_s - person.time_s))))


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
    high = np.maximum(np.ceil(shrunk.max(0)).astype(int) + 1, 0)
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
