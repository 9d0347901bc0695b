"""Squares of a picture: cutting them out, and the way back from their coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from livepose.cv import cv2


@dataclass(frozen=True, slots=True)
class Square:
    """A turned square of a picture: centre and side in pixels, angle in radians, mirrored or not."""

    cx: float
    cy: float
    side: float
    angle: float = 0.0
    flip: bool = False

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3): pixels of the picture -> pixels of the square at size x size."""
        scale = size / self.side
        c, s = scale * np.cos(self.angle), scale * np.sin(self.angle)
        linear = np.array([[c, -s], [s, c]])
        if self.flip:
            linear[0] *= -1
        middle = (size - 1) / 2
        shift = np.array([middle, middle]) - linear @ [self.cx, self.cy]
        return np.column_stack([linear, shift])

    def to_picture(self, xy: np.ndarray) -> np.ndarray:
        """(..., 2) normalised coordinates of the square (-1..1) -> pixels of the picture."""
        matrix = self.matrix(2)
        pixels = np.asarray(xy) + 0.5  # at 2 x 2 pixels, -1..1 is -1/2..3/2
        return (pixels - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def whole(width: int, height: int) -> Square:
    """The whole picture in a square, padded on the short sides."""
    return Square((width - 1) / 2, (height - 1) / 2, max(width, height))


def cut(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The square of the picture at size x size, black outside the picture."""
    # Area averaging on strong reduction, as a webcam frame would otherwise alias.
    shrink = square.side / size
    matrix = square.matrix(size)
    if shrink > 2:
        k = 1 / shrink
        image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
        # Pixel centres of the reduced picture: p' = (p + 1/2) k - 1/2.
        back = np.full(2, 0.5 / k - 0.5)
        matrix = np.column_stack([matrix[:, :2] / k, matrix[:, 2] + matrix[:, :2] @ back])
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)


def to_input(images: list[np.ndarray] | torch.Tensor) -> torch.Tensor:
    """BGR bytes (B, S, S, 3) -> (B, 3, S, S) RGB float32 in -1..1, channels last."""
    stack = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.stack(images))
    batch = stack.flip(-1).permute(0, 3, 1, 2)
    return batch.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
