"""What the network sees of a person, and the square of the picture that it looks at next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from livepose.frames import Region

# Room about the joints for the next frame's motion, and for hands, feet and the top of the head.
MARGIN = 1.3
# A joint says where the person is from this confidence on.
SURE = 0.3
# Fewer sure joints than this, or a lower score, and the person is lost.
MIN_JOINTS = 5
MIN_SCORE = 0.25
# Parts of its side that a region may be off before it moves.
_SLACK = 0.05
# Pixels of which the corners of a region are multiples, see `livepose.crop.cut`.
_GRID = 4
# Parts of its side that a second look at somebody new is off the first.
_ASIDE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A pose as the network saw it, before anything is known of the person.

    joints: (J, 2) pixels. depth: (J,) pixels about the pelvis. confidence: (J,) in 0..1.
    """

    joints: np.ndarray
    depth: np.ndarray
    confidence: np.ndarray
    score: float
    region: Region


def whole(width: int, height: int) -> Region:
    """The whole picture, padded to a square."""
    return Region((width - 1) / 2, (height - 1) / 2, float(max(width, height)))


def following(pose: Found, width: int, height: int) -> Region | None:
    """Where to look for the person of `pose` in the next frame; None if it is lost.

    Args:
        width, height: of the picture in pixels.
    """
    sure = pose.confidence >= SURE
    if pose.score < MIN_SCORE or sure.sum() < MIN_JOINTS:
        return None
    points = pose.joints[sure]
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    cx, cy = (left + right) / 2, (top + bottom) / 2
    if not (0 <= cx < width and 0 <= cy < height):
        return None
    # Where joints are outside the picture or hidden, the visible ones are only part of the person:
    # do not close in on them.
    side = max(right - left, bottom - top) * MARGIN / max(0.6, int(sure.sum()) / len(sure))
    smallest, largest = 0.08 * max(width, height), 1.5 * max(width, height)
    return _on_pixels(cx, cy, min(max(side, smallest), largest))


def _on_pixels(cx: float, cy: float, side: float) -> Region:
    """The nearest square whose corners are on a grid of `_GRID` pixels: the fastest to cut."""
    side = _GRID * max(1, round(side / _GRID))
    x, y = (_GRID * round((middle - (side - 1) / 2) / _GRID) for middle in (cx, cy))
    return Region(x + (side - 1) / 2, y + (side - 1) / 2, float(side))


def settled(old: Region | None, new: Region) -> Region:
    """The old region where the new one is much the same.

    The network's answer depends a little on where the square lies: whoever stands still should be
    seen in the same square.
    """
    if old is None:
        return new
    moved = max(abs(new.cx - old.cx), abs(new.cy - old.cy)) / old.side
    return old if moved < _SLACK and abs(new.side / old.side - 1) < 2 * _SLACK else new


def beside(look: Region) -> Region:
    """A slightly larger square a little beside: what is there is seen in it as well."""
    return Region(look.cx + _ASIDE * look.side, look.cy + _ASIDE * look.side,
                  (1 + 2 * _ASIDE) * look.side)  # fmt: skip


def usable(pose: Found) -> bool:
    """Whether somebody is there, with a number for everything.

    One joint that is none would stay for ever in the means that it enters.
    """
    numbers = np.concatenate([pose.joints.ravel(), pose.depth, pose.confidence])
    return pose.score >= MIN_SCORE and bool(np.isfinite(numbers).all())


def same(a: Region, b: Region) -> bool:
    """Whether two squares are about the same person."""
    apart = max(abs(a.cx - b.cx), abs(a.cy - b.cy))
    return apart < 0.3 * min(a.side, b.side) and 0.5 < a.side / b.side < 2


def score(confidence: np.ndarray) -> float:
    """Confidence of the person as a whole: the mean of its better half of joints."""
    best = np.sort(confidence)[len(confidence) // 2 :]
    return float(best.sum()) / len(best)
