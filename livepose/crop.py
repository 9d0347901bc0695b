"""Squares of a picture: cutting them out, and the way back from their coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from livepose.cv import cv2
from livepose.frames import Region

# Parts of a square's width, about its middle, that may be enough to see a person.
WIDTHS = (0.625, 0.75)


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a picture: centre and side in pixels, angle in radians, mirrored or not.

    width: so much of its width, about its middle, is enough (1 or one of `WIDTHS`); it may be
    looked at as a whole all the same.
    """

    cx: float
    cy: float
    side: float
    angle: float = 0.0
    flip: bool = False
    width: float = field(default=1.0, compare=False)

    @classmethod
    def of(cls, region: Region) -> Square:
        """The same square, to cut out."""
        return cls(region.cx, region.cy, region.side, width=region.width)

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3): pixels of the picture -> pixels of the square at size x size."""
        scale, middle = size / self.side, (size - 1) / 2
        c, s = scale * math.cos(self.angle), scale * math.sin(self.angle)
        mirror = -1 if self.flip else 1
        return np.array([
            [mirror * c, -mirror * s, middle - mirror * (c * self.cx - s * self.cy)],
            [s, c, middle - (s * self.cx + c * self.cy)],
        ])  # fmt: skip

    def to_picture(self, xy: np.ndarray) -> np.ndarray:
        """(..., 2) normalised coordinates of the square (-1..1) -> pixels of the picture."""
        c, s = self.side / 2 * math.cos(self.angle), self.side / 2 * math.sin(self.angle)
        mirror = -1 if self.flip else 1
        # Rows are those of the inverse of `matrix`, transposed: a rotation's is its transpose.
        inverse = np.array([[mirror * c, -mirror * s], [s, c]])
        return np.asarray(xy) @ inverse + (self.cx, self.cy)


def whole(width: int, height: int) -> Square:
    """The whole picture in a square, padded on the short sides."""
    return Square((width - 1) / 2, (height - 1) / 2, max(width, height))


def cut(image: np.ndarray, square: Square, size: int, into: np.ndarray | None = None) -> np.ndarray:
    """The square of the picture at size x size, black outside the picture.

    into: memory for it, of that shape.
    """
    # Bilinear sampling alone would skip pixels and alias. Averaging blocks of a power of two is
    # the fast path of OpenCV, and only the part of the picture under the square pays.
    shrink = max(1, int(square.side / size))
    halvings = shrink.bit_length() - 1
    if (part := _pixels(image, square, halvings)) is not None:
        return cv2.resize(part, (size, size), into, interpolation=cv2.INTER_LINEAR)
    matrix = square.matrix(size)
    if halvings:
        step = 1 << halvings
        image, origin = _part(image, square, step)
        before = np.array([image.shape[1], image.shape[0]])
        reduced = np.maximum(1, np.round(before / step)).astype(int)
        image = _reduced(image, *map(int, reduced))
        # Pixel centres of the reduced part: p = (p' + 1/2) * before / reduced - 1/2 + origin.
        linear = matrix[:, :2] * (before / reduced)
        shift = matrix[:, 2] + matrix[:, :2] @ (origin - 0.5) + linear @ np.full(2, 0.5)
        matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(image, matrix, (size, size), into, flags=cv2.INTER_LINEAR)


def middle(crops: np.ndarray, columns: int) -> np.ndarray:
    """(..., S, S, 3) -> (..., S, columns, 3), without as much on the left as on the right."""
    side = (crops.shape[-2] - columns) // 2
    return crops[..., side : side + columns, :]


def resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture at another size; a small one of all of its pixels, not of some."""
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        image = _halved(image)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _reduced(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _halved(image: np.ndarray, margins: Sequence[int] = (0, 0, 0, 0)) -> np.ndarray:
    """At half the size; with so much black above, below, left and right of it."""
    width, height = image.shape[1] // 2, image.shape[0] // 2
    # Halved to where it belongs, rather than copied there: half the time.
    out, inner = _framed(image, width, height, margins)
    cv2.resize(image, (width, height), inner, interpolation=cv2.INTER_AREA)
    return out


def _pixels(image: np.ndarray, square: Square, halvings: int) -> np.ndarray | None:
    """The pixels under the square, halved so often, if they are whole ones; black outside.

    Twice as fast as sampling. Those who are followed are looked at in such squares
    (`livepose.engine.region`).
    """
    side, step = int(square.side), 1 << halvings
    x, y = (math.floor(middle - (side - 1) / 2) for middle in (square.cx, square.cy))
    whole_ones = Square(x + (side - 1) / 2, y + (side - 1) / 2, side)
    if square != whole_ones or side % step:
        return None
    height, width = image.shape[:2]
    part = image[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)]
    if not part.size:
        return None
    margins = [max(0, -y), max(0, y + side - height), max(0, -x), max(0, x + side - width)]
    if not halvings or any(margin % step for margin in margins):
        part, margins = _padded(part, margins), [0, 0, 0, 0]
    for k in range(halvings):  # one by one: only halving is fast
        last = k == halvings - 1
        part = _halved(part, [margin // step for margin in margins] if last else [0, 0, 0, 0])
    return part


def _padded(image: np.ndarray, margins: Sequence[int]) -> np.ndarray:
    """With black above, below, left and right."""
    if not any(margins):
        return image
    out, inner = _framed(image, image.shape[1], image.shape[0], margins)
    inner[:] = image
    return out


def _framed(
    like: np.ndarray, width: int, height: int, margins: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """An empty picture with so much black about it, and the part of it that is to be filled."""
    above, below, left, right = margins
    shape = (above + height + below, left + width + right, *like.shape[2:])
    out = np.empty(shape, like.dtype)
    out[:above], out[above + height :] = 0, 0
    out[:, :left], out[:, left + width :] = 0, 0
    return out, out[above : above + height, left : left + width]


def _part(image: np.ndarray, square: Square, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the picture that the square covers, and its top-left corner (x, y).

    Its corners are multiples of `step` where the picture allows.
    """
    limits = np.array([image.shape[1], image.shape[0]])
    corners = square.to_picture(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]))
    low = np.floor((corners.min(0) - step) / step).astype(int) * step
    high = np.ceil((corners.max(0) + 1 + step) / step).astype(int) * step
    low, high = low.clip(0), np.minimum(high, limits)
    if (low >= high).any():  # the square lies outside: any part is as black as another
        low, high = np.zeros(2, int), np.minimum(limits, step)
    return image[low[1] : high[1], low[0] : high[0]], low


def to_input(
    images: list[np.ndarray] | torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """BGR bytes (B, S, S, 3) -> (B, 3, S, S) RGB in -1..1, channels last."""
    stack = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.stack(images))
    batch = stack.flip(-1).permute(0, 3, 1, 2)
    return batch.to(dtype).div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
