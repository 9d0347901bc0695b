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
        self._crossing = np.zeros(2, int)  # pictures, of shoulders and hips
        self._across: np.ndarray | None = None  # (2, D) from right to left, lately
        self._time_s = 0.0

    def __call__(
        self, points: np.ndarray, expected: np.ndarray, last: np.ndarray, confidence: np.ndarray,
        time_s: float, unit: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Which way round a picture has to be taken.

        Args:
            points, expected, last: (J, D), what the network says, what was to be expected, and what
                was shown of the picture before.
            confidence: (J,). time_s: of the picture. unit: the person's size in the unit of points.

        Returns:
            ``(order, turned, doubtful)``: (J,) indices, the joints are ``points[order]``, and
            whatever is remembered of joint j is from now on of joint ``turned[j]``; (J,) bool,
            which joints of that order are not to be believed yet.
        """
        swapped = _swapped(points, expected, confidence, unit)
        facing = self._facing(points, unit)
        if facing.max() > 0 and facing.min() >= 0:
            swapped[list(_WHOLE)] = False  # what was expected was wrong
        swapped ^= self._twisted(points[_exchange(swapped)], expected, confidence, unit)
        self._since_s = np.where(self._pictures == 0, time_s, self._since_s)
        self._pictures = np.where(swapped, self._pictures + 1, 0)
        lasting = (self._pictures >= _BELIEVE) & (time_s - self._since_s >= _BELIEVE_S)
        self._pictures[lasting] = 0
        order, turned = _exchange(swapped & ~lasting), _exchange(lasting)
        points = points[order]
        before, self._across = self._lately(points, turned, time_s)
        self._time_s = time_s
        crossed = self._crossed(points, last[turned], unit)
        self._across[crossed] = before[crossed]
        doubtful = np.zeros(J, bool)
        for side in (_LEFT, _RIGHT):
            doubtful[side] = crossed
        return order, turned, doubtful

    def _crossed(self, points: np.ndarray, last: np.ndarray, unit: float) -> np.ndarray:
        """(2,) bool: shoulders and hips that have changed places in the picture all at once, and
        not for so many pictures that they are believed.

        Whoever turns round is seen from the side on the way; a network that takes a front for a
        back shows no such picture.

        Args:
            points, last: (J, D), in their new order.
        """
        # Where they are held, they may lie on each other: then the picture before tells nothing.
        other = (_widths(points) * _widths(last) < 0) | (self._crossing > 0)
        new = (self._facing(points, unit) < 0) & other
        self._crossing = np.where(new, self._crossing + 1, 0)
        doubtful: np.ndarray = new & (self._crossing < _BELIEVE)
        return doubtful

    def _facing(self, points: np.ndarray, unit: float) -> np.ndarray:
        """(2,) of shoulders and hips: 1 as lately, -1 the other way round, 0 if not told."""
        if self._across is None:
            return np.zeros(2)
        now, lately = _widths(points), self._across[:, 0]
        told = np.minimum(np.abs(now), np.abs(lately)) > _WIDTH * unit
        return np.where(told, np.sign(now * lately), 0)

    def _twisted(
        self, points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, unit: float
    ) -> np.ndarray:
        """(parts,) bool: shoulders or hips, or whole arms or legs, that no back allows."""
        wrong = np.zeros(len(_PARTS), bool)
        across = points[_LEFT] - points[_RIGHT]
        length = np.linalg.norm(across, axis=1)
        sure = min(confidence[_LEFT].min(), confidence[_RIGHT].min()) >= _SURE
        if self._across is None or not sure or length.min() < _WIDE * unit:
            return wrong
        if across[0] @ across[1] > _TWISTED * length.prod():
            return wrong
        part = int(((across * self._across).sum(1) / length).argmin())
        # The other joints of the limb may be right as they are.
        outer = _PARTS[_WHOLE[part]] - _PARTS[_FIRST[part]]
        outer = outer * np.minimum(confidence, confidence[_FLIP])
        nearer = outer @ (_apart(points, expected) - _apart(points[_FLIP], expected))
        wrong[_WHOLE[part] if nearer > 0 else _FIRST[part]] = True
        return wrong

    def _lately(
        self, points: np.ndarray, turned: np.ndarray, time_s: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """(2, D) from right to left, lately: without this picture, and with it."""
        across = points[_LEFT] - points[_RIGHT]
        before = across if self._across is None else self._across
        before = np.where((turned[_LEFT] != _LEFT)[:, None], -before, before)
        share = 1 - math.exp(-max(time_s - self._time_s, 0) / _LATELY_S)
        return before, before + share * (across - before)


def _swapped(
    points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, unit: float
) -> np.ndarray:
    """(parts,) bool: limbs and face whose sides lie the other way round than expected."""
    parts, out = _PARTS[_LIMBS], np.zeros(len(_PARTS), bool)
    weight = np.minimum(confidence, confidence[_FLIP])
    off = _apart(np.stack([points, points[_FLIP], expected[_FLIP]]), expected)
    own, other, apart = (off * weight) @ parts.T
    told = apart > _APART * unit * (parts @ weight)
    out[_LIMBS] = told & (own - other > _CLEARLY * apart)
    return out


def _widths(points: np.ndarray) -> np.ndarray:
    """(2,) how far the left of shoulders and hips is to the right of the right, in the picture."""
    widths: np.ndarray = points[_LEFT, 0] - points[_RIGHT, 0]
    return widths


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.sqrt(((a - b) ** 2).sum(-1))
    return distance


def _exchange(parts: np.ndarray) -> np.ndarray:
    """(J,) indices that exchange the sides of these parts; what is exchanged twice stays."""
    if not parts.any():
        return _SAME
    return np.where(parts @ _PARTS % 2 == 1, _FLIP, _SAME)
