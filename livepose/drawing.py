"""Skeletons drawn into pictures with OpenCV, where no window does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from livepose import palette
from livepose.crop import cut, whole
from livepose.cv import cv2
from livepose.skeleton import BONES, INDEX, J

_SHIFT = 4  # OpenCV draws with 1/16 pixel


def _point(p: np.ndarray) -> tuple[int, int]:
    return round(float(p[0]) * (1 << _SHIFT)), round(float(p[1]) * (1 << _SHIFT))


def draw_skeleton(
    image: np.ndarray, points: np.ndarray, confidence: np.ndarray, number: int = 0
) -> None:
    """Draws one person into `image` (BGR) in place: sides by colour, confidence by opacity.

    points: (J, 2) pixels. confidence: (J,) in 0..1. number: the person's id, 0 for none.
    """
    opacity = palette.opacity(confidence)
    width = max(2, round(max(image.shape[:2]) / 250))
    joints = palette.joint_colours(number=number)
    bones = palette.bone_colours(BONES, number=number)
    # Faint parts are blended one by one; what is sure, the usual case, is drawn directly.
    for (a, b), rgb in zip(BONES, bones, strict=True):
        i, j = INDEX[a], INDEX[b]
        alpha = float(min(opacity[i], opacity[j]))
        if alpha > 0:
            _line(image, points[i], points[j], rgb[::-1], width, alpha)
    for i in range(J):
        if opacity[i] > 0.5:
            colour = tuple(int(c) for c in joints[i][::-1])
            cv2.circle(image, _point(points[i]), width << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)


def _line(
    image: np.ndarray, a: np.ndarray, b: np.ndarray, bgr: np.ndarray, width: int, alpha: float
) -> None:
    colour = tuple(int(c) for c in bgr)
    if alpha > 0.95:
        cv2.line(image, _point(a), _point(b), colour, width, cv2.LINE_AA, _SHIFT)
        return
    h, w = image.shape[:2]
    low = np.floor(np.minimum(a, b) - width - 1).astype(int).clip(0)
    high = np.ceil(np.maximum(a, b) + width + 2).astype(int).clip(0, [w, h])
    if (low >= high).any():
        return
    part = image[low[1] : high[1], low[0] : high[0]]
    drawn = part.copy()
    cv2.line(drawn, _point(a - low), _point(b - low), colour, width, cv2.LINE_AA, _SHIFT)
    part[:] = cv2.addWeighted(drawn, alpha, part, 1 - alpha, 0)


def fit(image: np.ndarray, points: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at `side` x `side`, black at its short sides, and its points there."""
    square = whole(image.shape[1], image.shape[0])
    matrix = square.matrix(side)
    return cut(image, square, side), points @ matrix[:, :2].T + matrix[:, 2]


def sheet(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size, side by side in rows of `columns`."""
    blank = np.zeros_like(tiles[0])
    padded = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    return np.vstack(rows)
