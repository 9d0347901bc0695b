"""What the network sees of a person, and the square of the picture that it looks at next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from livepose.crop import WIDTHS
from livepose.frames import Region
from livepose.skeleton import indices

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
# Part of what is looked at (`WIDTHS`) that somebody may take for it to be enough, and to stay it.
_COMES, _GOES = 0.8, 0.9
# Arms that are not seen may be anywhere.
_ARMS = indices([f"{side}_{name}" for side in ("left", "right") for name in ("elbow", "wrist")])
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


def found(xyz: np.ndarray, confidence: np.ndarray, looks: Sequence[Region]) -> list[Found]:
    """What the network says of each square, in the picture.

    A pose that is not all numbers has score 0: one such joint would stay for ever in the means
    that it enters.

    Args:
        xyz: (B, J, 3) normalised coordinates. confidence: (B, J). looks: the B squares.
    """
    squares = np.array([(look.cx, look.cy, look.side / 2) for look in looks])[:, None]
    joints = xyz[..., :2] * squares[..., 2:] + squares[..., :2]
    depth = xyz[..., 2] * squares[..., 2]
    numbers = np.isfinite(xyz.sum((1, 2)) + confidence.sum(1))  # so is each that is added up
    scores = np.where(numbers, score(confidence), 0.0).tolist()
    return [Found(*each) for each in zip(joints, depth, confidence, scores, looks, strict=True)]


def stacked(poses: Sequence[Found]) -> tuple[np.ndarray, np.ndarray]:
    """Joints (P, J, 2), and which of them are sure (P, J)."""
    joints, confidence = _rows([p.joints for p in poses]), _rows([p.confidence for p in poses])
    return joints, confidence >= SURE


def _rows(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stacked; of one, which is the usual number, without a copy."""
    return arrays[0][None] if len(arrays) == 1 else np.array(arrays)


def whole(width: int, height: int) -> Region:
    """The whole picture, padded to a square."""
    return Region((width - 1) / 2, (height - 1) / 2, float(max(width, height)))


def following(poses: Sequence[Found], width: int, height: int) -> list[Region | None]:
    """Where to look for the people of `poses` in the next frame; None for who is lost.

    Args:
        width, height: of the picture in pixels.
    """
    if not poses:
        return []
    joints, sure = stacked(poses)
    low = np.where(sure[..., None], joints, np.inf).min(1).tolist()
    high = np.where(sure[..., None], joints, -np.inf).max(1).tolist()
    number = sure.sum(1).tolist()
    return [_about(box, n / sure.shape[1], width, height)
            if usable(pose) and n >= MIN_JOINTS else None
            for pose, n, *box in zip(poses, number, low, high, strict=True)]  # fmt: skip


def _about(
    box: Sequence[Sequence[float]], share: float, width: int, height: int
) -> Region | None:  # fmt: skip
    """A square about joints, this share of all, between two corners."""
    (left, top), (right, bottom) = box
    cx, cy = (left + right) / 2, (top + bottom) / 2
    if not (0 <= cx < width and 0 <= cy < height):
        return None
    # Where joints are outside the picture or hidden, the visible ones are only part of the person:
    # do not close in on them.
    side = max(right - left, bottom - top) * MARGIN / max(0.6, share)
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


def enough(takes: float, before: float = 1.0) -> float:
    """So much of a square's width is enough for somebody who takes so much of it.

    before: how much was in the last picture.
    """
    fits = (w for w in WIDTHS if takes < w * (_GOES if w == before else _COMES))
    return min(fits, default=1.0)


def narrowed(look: Region, pose: Found, before: float) -> Region:
    """The square of who was seen in that pose, with the width that is `enough`."""
    sure = pose.confidence >= SURE
    takes = 2 * float(np.abs(pose.joints[sure, 0] - look.cx).max(initial=0)) / look.side
    width = enough(takes, before) if sure[_ARMS].all() else 1.0
    return look if width == look.width else replace(look, width=width)


def beside(look: Region) -> Region:
    """A slightly larger square a little beside: what is there is seen in it as well."""
    return Region(look.cx + _ASIDE * look.side, look.cy + _ASIDE * look.side,
                  (1 + 2 * _ASIDE) * look.side)  # fmt: skip


def usable(pose: Found) -> bool:
    """Whether somebody is there."""
    return pose.score >= MIN_SCORE


def same(a: Region, b: Region) -> bool:
    """Whether two squares are about the same person."""
    apart = max(abs(a.cx - b.cx), abs(a.cy - b.cy))
    return apart < 0.3 * min(a.side, b.side) and 0.5 < a.side / b.side < 2


def score(confidence: np.ndarray) -> np.ndarray:
    """(..., J) -> (...), of the person as a whole: the mean of the better half of joints."""
    best = np.sort(confidence, -1)[..., confidence.shape[-1] // 2 :]
    return best.sum(-1) / best.shape[-1]
