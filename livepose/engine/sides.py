"""Left and right of a person: networks mix them up for a picture or a few, bodies do not.

Whoever turns round is seen turning, and every joint arrives about where it was expected. After a
swap the joints are where their counterparts of the other side were expected. Then they are taken
the old way round, until that has lasted for so long that it was the old way that was wrong. Arms,
legs and face each have their own say: networks swap legs only, as often as the whole body.
"""

from __future__ import annotations

import numpy as np

from livepose.skeleton import FLIP, INDEX, J

_PARTS = np.zeros((3, J))
for _row, _names in enumerate((("eye", "ear"), ("shoulder", "elbow", "wrist"),
                               ("hip", "knee", "ankle"))):  # fmt: skip
    _PARTS[_row, [INDEX[f"{side}_{name}"] for side in ("left", "right") for name in _names]] = 1
_FLIP = np.array(FLIP)
# Exchanged joints are nearer to what was expected by this part of the distance between the sides.
_CLEARLY = 0.5
# Sides that are less apart, in person sizes, cannot be told.
_APART = 0.1
# So long, and in so many pictures, a swap has to be seen before it is believed.
_BELIEVE_S, _BELIEVE = 0.2, 3


class Sides:
    """Of one person."""

    def __init__(self) -> None:
        self._pictures = np.zeros(len(_PARTS), int)
        self._since_s = np.zeros(len(_PARTS))

    def __call__(
        self, points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, time_s: float,
        unit: float,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Which way round a picture has to be taken.

        Args:
            points, expected: (J, D), what the network says and what was to be expected.
            confidence: (J,). time_s: of the picture. unit: the person's size in the unit of points.

        Returns:
            ``(order, turned)``, (J,) indices: the joints are ``points[order]``, and whatever is
            remembered of joint j is from now on of joint ``turned[j]``.
        """
        swapped = _swapped(points, expected, confidence, unit)
        self._since_s = np.where(self._pictures == 0, time_s, self._since_s)
        self._pictures = np.where(swapped, self._pictures + 1, 0)
        lasting = (self._pictures >= _BELIEVE) & (time_s - self._since_s >= _BELIEVE_S)
        self._pictures[lasting] = 0
        return _exchange(swapped & ~lasting), _exchange(lasting)


def _swapped(
    points: np.ndarray, expected: np.ndarray, confidence: np.ndarray, unit: float
) -> np.ndarray:
    """(parts,) bool: those whose sides lie the other way round than expected."""
    weight = np.minimum(confidence, confidence[_FLIP])
    nearer = _apart(points, expected) - _apart(points[_FLIP], expected)
    apart = _PARTS @ (weight * _apart(expected, expected[_FLIP]))
    told = apart > _APART * unit * (_PARTS @ weight)
    swapped: np.ndarray = told & (_PARTS @ (weight * nearer) > _CLEARLY * apart)
    return swapped


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance: np.ndarray = np.sqrt(((a - b) ** 2).sum(-1))
    return distance


def _exchange(parts: np.ndarray) -> np.ndarray:
    """(J,) indices that exchange the sides of these parts, and leave the others."""
    return np.where(parts @ _PARTS > 0, _FLIP, np.arange(J))
