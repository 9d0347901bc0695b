"""Left and right of a person: networks mix them up for a picture or a few, bodies do not.

Whoever turns round is seen turning, and every joint arrives about where it was expected. After a
swap the joints are where their counterparts of the other side were expected. Then they are taken
the old way round, until that has lasted for so long that it was the old way that was wrong. Arms,
legs and face each have their own say: networks swap legs only, as often as the whole body.

Sides that were not apart a moment ago tell nothing by where they were. But no back is twisted by
half a turn: where shoulders and hips point to opposite sides, those are wrong that did not lately.
And a front that is taken for a back, or a back for a front, waits for a third picture
(`Sides._crossed`); those that are as they were lately are not swapped, whatever was expected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from livepose.rows import Rows
from livepose.skeleton import FLIP, INDEX, J

_NAMES = (("eye", "ear"), ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"),
          ("shoulder",), ("hip",))  # fmt: skip
_PARTS = np.zeros((len(_NAMES), J))
for _row, _names in enumerate(_NAMES):
    _PARTS[_row, [INDEX[f"{side}_{name}"] for side in ("left", "right") for name in _names]] = 1
# Judged by where they were expected; and by the back, as a whole or the first joints alone.
_LIMBS, _WHOLE, _FIRST = slice(0, 3), (1, 2), (3, 4)
_LEFT, _RIGHT = (np.array([INDEX[f"{side}_{name}"] for name in ("shoulder", "hip")])
                 for side in ("left", "right"))  # fmt: skip
_BACK = (*_LEFT, *_RIGHT)
_FLIP, _SAME = np.array(FLIP), np.arange(J)
# Exchanged joints are nearer to what was expected by this part of the distance between the sides.
_CLEARLY = 0.5
# Sides that are less apart, in person sizes, cannot be told.
_APART = 0.1
# Shoulders and hips point to opposite sides from this cosine between them on, where they are so
# long in person sizes and so sure.
_TWISTED, _WIDE, _SURE = -0.5, 0.15, 0.3
_LATELY_S = 0.5
# So wide in the picture, in person sizes, shoulders and hips tell front from back.
_WIDTH = 0.1
# So long, and in so many pictures, a swap has to be seen before it is believed.
_BELIEVE_S, _BELIEVE = 0.2, 3


@dataclass
class Sides(Rows):
    """Of P people; `new` makes one.

    across: (P, 2, D) from right to left of shoulders and hips, lately. pictures: (P, parts) in
    which the parts have been swapped, since `since_s`. crossing: (P, 2) pictures in which shoulders
    and hips have been crossed. time_s: (P,) of the last one.
    """

    across: np.ndarray
    pictures: np.ndarray
    since_s: np.ndarray
    crossing: np.ndarray
    time_s: np.ndarray

    @classmethod
    def new(cls, points: np.ndarray, time_s: float = 0.0) -> Sides:
        """For people who are seen for the first time, (P, J, D)."""
        parts = len(points), len(_PARTS)
        return cls(_across(points), np.zeros(parts, int), np.zeros(parts),
                   np.zeros((len(points), 2), int), np.full(len(points), time_s))  # fmt: skip

    def __call__(
        self, points: np.ndarray, expected: np.ndarray, last: np.ndarray, confidence: np.ndarray,
        time_s: float, unit: np.ndarray,
    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:  # fmt: skip
        """Which way round a picture has to be taken.

        Args:
            points, expected, last: (P, J, D), what the network says, what was to be expected, and
                what was shown of the picture before.
            confidence: (P, J). time_s: of the picture. unit: (P,) sizes in the unit of points.

        Returns:
            ``(order, turned, doubtful)``: (P, J) indices, a person's joints are ``points[order]``,
            and whatever is remembered of joint j is from now on of joint ``turned[j]``; (P, J)
            bool, which joints of that order are not to be believed yet. None where nothing changes
            and nothing is doubtful.
        """
        there, across = points, _across(points)
        swapped = _swapped(points, expected, confidence, unit)
        if swapped.any():
            facing = self._facing(across, unit)
            # What was expected was wrong.
            swapped[:, _WHOLE] &= ~((facing.max(1) > 0) & (facing.min(1) >= 0))[:, None]
            there = reordered(points, _exchange(swapped))
        twisted = self._twisted(there, expected, confidence, unit)
        if twisted is not None:
            swapped ^= twisted
        order, turned = self._believed(swapped, time_s)
        if order is not None:
            across = _across(reordered(points, order))
        before = self._lately(across, turned, time_s)
        crossed = self._crossed(across, _across(reordered(last, turned)), unit)
        if not crossed.any():
            return order, turned, None
        self.across = np.where(crossed[..., None], before, self.across)
        doubtful = np.zeros(points.shape[:2], bool)
        doubtful[:, _LEFT] = doubtful[:, _RIGHT] = crossed
        return order, turned, doubtful

    def _believed(
        self, swapped: np.ndarray, time_s: float
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """``(order, turned)`` of `__call__`, by how long the parts have been swapped."""
        if not (swapped.any() or self.pictures.any()):
            return None, None
        self.since_s = np.where(self.pictures == 0, time_s, self.since_s)
        self.pictures = np.where(swapped, self.pictures + 1, 0)
        lasting = (self.pictures >= _BELIEVE) & (time_s - self.since_s >= _BELIEVE_S)
        self.pictures[lasting] = 0
        return _exchange(swapped & ~lasting), _exchange(lasting)

    def _crossed(self, across: np.ndarray, last: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """(P, 2), of shoulders and hips: whether they have changed places in the picture all at
        once, and not for so many pictures that they are believed.

        Whoever turns round is seen from the side on the way; a network that takes a front for a
        back shows no such picture.

        Args:
            across, last: (P, 2, D), from right to left in their new order, now and in the picture
                before.
        """
        # Where they are held, they may lie on each other: then the picture before tells nothing.
        jumped = (_widths(across) * _widths(last) < 0) | (self.crossing > 0)
        if not jumped.any():
            return jumped
        new = (self._facing(across, unit) < 0) & jumped
        self.crossing = np.where(new, self.crossing + 1, 0)
        doubtful: np.ndarray = new & (self.crossing < _BELIEVE)
        return doubtful

    def _facing(self, across: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """(P, 2), of shoulders and hips: 1 as lately, -1 the other way round, 0 if not told."""
        now, lately = _widths(across), _widths(self.across)
        told = np.minimum(np.abs(now), np.abs(lately)) > _WIDTH * unit[:, None]
        return np.where(told, np.where(now * lately > 0, 1, -1), 0)

    def _twisted(
        self, points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, unit: np.ndarray
    ) -> np.ndarray | None:
        """(P, parts) bool: shoulders or hips, or whole arms or legs, that no back allows; None
        where there are none.
        """
        across = _across(points)
        away = (across[:, 0] * across[:, 1]).sum(-1) < 0
        if not away.any():
            return None
        wrong, length = np.zeros((len(points), len(_PARTS)), bool), np.linalg.norm(across, axis=-1)
        for p in np.flatnonzero(away):
            if across[p, 0] @ across[p, 1] > _TWISTED * length[p].prod():
                continue
            if length[p].min() < _WIDE * unit[p] or confidence[p, _BACK].min() < _SURE:
                continue
            part = int(((across[p] * self.across[p]).sum(1) / length[p]).argmin())
            # The other joints of the limb may be right as they are.
            outer = _PARTS[_WHOLE[part]] - _PARTS[_FIRST[part]]
            outer = outer * np.minimum(confidence[p], confidence[p, _FLIP])
            off = _apart(points[p], expected[p]) - _apart(points[p, _FLIP], expected[p])
            wrong[p, _WHOLE[part] if outer @ off > 0 else _FIRST[part]] = True
        return wrong

    def _lately(self, across: np.ndarray, turned: np.ndarray | None, time_s: float) -> np.ndarray:
        """Remembers (P, 2, D) from right to left; returns what was lately, without this picture."""
        before = self.across
        if turned is not None:
            before = np.where((turned[:, _LEFT] != _LEFT)[..., None], -before, before)
        share = 1 - np.exp((self.time_s - time_s) / _LATELY_S)
        self.across = before + share[:, None, None] * (across - before)
        self.time_s = np.full_like(self.time_s, time_s)
        return before


def reordered(points: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """(P, J, ...) in an order (P, J), if there is one."""
    return points if order is None else points[np.arange(len(points))[:, None], order]


def _swapped(
    points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, unit: np.ndarray
) -> np.ndarray:
    """(P, parts) bool: limbs and face whose sides lie the other way round than expected."""
    parts, out = _PARTS[_LIMBS], np.zeros((len(points), len(_PARTS)), bool)
    # Nearer to the other side's place by so much of what is between them, all joints of a part are
    # farther than this from their own.
    least = (1 + _CLEARLY) / 2 * _APART * unit
    if (_apart(points, expected).max(1) <= least).all():
        return out
    weight = np.minimum(confidence, confidence[:, _FLIP])
    off = _apart(np.array([points, points[:, _FLIP], expected[:, _FLIP]]), expected)
    own, other, apart = (off * weight) @ parts.T
    told = apart > _APART * unit[:, None] * (weight @ parts.T)
    out[:, _LIMBS] = told & (own - other > _CLEARLY * apart)
    return out


def _across(points: np.ndarray) -> np.ndarray:
    """(P, 2, D) from right to left, of shoulders and hips."""
    across: np.ndarray = points[:, _LEFT] - points[:, _RIGHT]
    return across


def _widths(across: np.ndarray) -> np.ndarray:
    """(P, 2) how far the left of shoulders and hips is to the right of the right in the picture."""
    return across[..., 0]


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    off = a - b
    distance: np.ndarray = np.sqrt((off * off).sum(-1))
    return distance


def _exchange(parts: np.ndarray) -> np.ndarray | None:
    """(P, J) indices that exchange the sides of these parts (P, parts); what is exchanged twice
    stays. None where nothing is exchanged.
    """
    return np.where(parts @ _PARTS % 2 == 1, _FLIP, _SAME) if parts.any() else None
