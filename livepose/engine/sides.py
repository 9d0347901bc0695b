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

import math

import numpy as np

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


class Sides:
    """Of one person."""

    def __init__(self) -> None:
        self._pictures = np.zeros(len(_PARTS), int)
        self._since_s = np.zeros(len(_PARTS))
        self._crossing = [0, 0]  # pictures, of shoulders and hips
        self._across: np.ndarray | None = None  # (2, D) from right to left, lately
        self._time_s = 0.0

    def __call__(
        self, points: np.ndarray, expected: np.ndarray, last: np.ndarray, confidence: np.ndarray,
        time_s: float, unit: float,
    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:  # fmt: skip
        """Which way round a picture has to be taken.

        Args:
            points, expected, last: (J, D), what the network says, what was to be expected, and what
                was shown of the picture before.
            confidence: (J,). time_s: of the picture. unit: the person's size in the unit of points.

        Returns:
            ``(order, turned, doubtful)``: (J,) indices, the joints are ``points[order]``, and
            whatever is remembered of joint j is from now on of joint ``turned[j]``; (J,) bool,
            which joints of that order are not to be believed yet. None where nothing changes and
            nothing is doubtful.
        """
        across = _across(points)
        swapped = _swapped(points, expected, confidence, unit)
        facing = self._facing(across, unit)
        if max(facing) > 0 and min(facing) >= 0:
            swapped[list(_WHOLE)] = False  # what was expected was wrong
        order = _exchange(swapped)
        there = points if order is None else points[order]
        swapped ^= self._twisted(there, expected, confidence, unit)
        order, turned = self._believed(swapped, time_s)
        if order is not None:
            across = _across(points[order])
        before = self._lately(across, turned, time_s)
        crossed = self._crossed(across, _across(last if turned is None else last[turned]), unit)
        if not any(crossed):
            return order, turned, None
        assert self._across is not None  # by `_lately`
        doubtful = np.zeros(J, bool)
        for k in np.flatnonzero(crossed):
            self._across[k] = before[k]
            doubtful[[_LEFT[k], _RIGHT[k]]] = True
        return order, turned, doubtful

    def _believed(
        self, swapped: np.ndarray, time_s: float
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """``(order, turned)`` of `__call__`, by how long the parts have been swapped."""
        if not (swapped.any() or self._pictures.any()):
            return None, None
        self._since_s = np.where(self._pictures == 0, time_s, self._since_s)
        self._pictures = np.where(swapped, self._pictures + 1, 0)
        lasting = (self._pictures >= _BELIEVE) & (time_s - self._since_s >= _BELIEVE_S)
        self._pictures[lasting] = 0
        return _exchange(swapped & ~lasting), _exchange(lasting)

    def _crossed(self, across: np.ndarray, last: np.ndarray, unit: float) -> list[bool]:
        """Of shoulders and hips: whether they have changed places in the picture all at once, and
        not for so many pictures that they are believed.

        Whoever turns round is seen from the side on the way; a network that takes a front for a
        back shows no such picture.

        Args:
            across, last: (2, D), from right to left in their new order, now and in the picture
                before.
        """
        facing, doubtful = self._facing(across, unit), [False, False]
        for k, (now, then) in enumerate(zip(_widths(across), _widths(last), strict=True)):
            # Where they are held, they may lie on each other: then the picture before tells
            # nothing.
            new = facing[k] < 0 and (now * then < 0 or self._crossing[k] > 0)
            self._crossing[k] = self._crossing[k] + 1 if new else 0
            doubtful[k] = new and self._crossing[k] < _BELIEVE
        return doubtful

    def _facing(self, across: np.ndarray, unit: float) -> list[int]:
        """Of shoulders and hips: 1 as lately, -1 the other way round, 0 if not told."""
        if self._across is None:
            return [0, 0]
        facing, least = [0, 0], _WIDTH * unit
        for k, (now, lately) in enumerate(zip(_widths(across), _widths(self._across), strict=True)):
            if min(abs(now), abs(lately)) > least:
                facing[k] = 1 if now * lately > 0 else -1
        return facing

    def _twisted(
        self, points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, unit: float
    ) -> np.ndarray | bool:
        """(parts,) bool: shoulders or hips, or whole arms or legs, that no back allows."""
        if self._across is None or min(confidence[joint] for joint in _BACK) < _SURE:
            return False
        across = _across(points)
        lengths = [math.hypot(*row) for row in across.tolist()]
        if min(lengths) < _WIDE * unit:
            return False
        if across[0] @ across[1] > _TWISTED * lengths[0] * lengths[1]:
            return False
        part = int(((across * self._across).sum(1) / lengths).argmin())
        # The other joints of the limb may be right as they are.
        outer = _PARTS[_WHOLE[part]] - _PARTS[_FIRST[part]]
        outer = outer * np.minimum(confidence, confidence[_FLIP])
        nearer = outer @ (_apart(points, expected) - _apart(points[_FLIP], expected))
        wrong = np.zeros(len(_PARTS), bool)
        wrong[_WHOLE[part] if nearer > 0 else _FIRST[part]] = True
        return wrong

    def _lately(self, across: np.ndarray, turned: np.ndarray | None, time_s: float) -> np.ndarray:
        """Remembers (2, D) from right to left; returns what was lately, without this picture."""
        before = across if self._across is None else self._across
        if turned is not None:
            before = np.where((turned[_LEFT] != _LEFT)[:, None], -before, before)
        share = 1 - math.exp(-max(time_s - self._time_s, 0) / _LATELY_S)
        self._across, self._time_s = before + share * (across - before), time_s
        return before


def _swapped(
    points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, unit: float
) -> np.ndarray:
    """(parts,) bool: limbs and face whose sides lie the other way round than expected."""
    parts, out = _PARTS[_LIMBS], np.zeros(len(_PARTS), bool)
    weight = np.minimum(confidence, confidence[_FLIP])
    off = _apart(np.array([points, points[_FLIP], expected[_FLIP]]), expected)
    own, other, apart = (off * weight) @ parts.T
    told = apart > _APART * unit * (parts @ weight)
    out[_LIMBS] = told & (own - other > _CLEARLY * apart)
    return out


def _across(points: np.ndarray) -> np.ndarray:
    """(2, D) from right to left, of shoulders and hips."""
    across: np.ndarray = points[_LEFT] - points[_RIGHT]
    return across


def _widths(across: np.ndarray) -> list[float]:
    """How far the left of shoulders and hips is to the right of the right, in the picture."""
    return [float(row[0]) for row in across]


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    off = a - b
    distance: np.ndarray = np.sqrt((off * off).sum(-1))
    return distance


def _exchange(parts: np.ndarray) -> np.ndarray | None:
    """(J,) indices that exchange the sides of these parts; what is exchanged twice stays. None
    where nothing is exchanged.
    """
    return np.where(parts @ _PARTS % 2 == 1, _FLIP, _SAME) if parts.any() else None
