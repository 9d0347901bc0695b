"""Pictures from disk, while a run goes on: those that cannot be used are named once and counted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from livepose.cv import cv2


class Pictures:
    """Reads pictures and masks; `broken` are those that could not be used so far.

    A process that loads data beside others has a count of its own.
    """

    def __init__(self) -> None:
        self.broken: set[Path] = set()

    def read(self, file: Path) -> np.ndarray | None:
        """(H, W, 3) BGR bytes, or None."""
        return self._told(file, cv2.imread(str(file), cv2.IMREAD_COLOR), "picture")

    def mask_of(self, image: np.ndarray, file: Path) -> np.ndarray | None:
        """(H, W) bytes, of the size of the picture, or None."""
        mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        fits = mask is not None and mask.shape == image.shape[:2]
        return self._told(file, mask if fits else None, "mask of its picture's size")

    def _told(self, file: Path, image: np.ndarray | None, what: str) -> np.ndarray | None:
        if image is None and file not in self.broken:
            self.broken.add(file)
            print(f"{file}: not a readable {what}, skipped ({len(self.broken)} so far)",
                  file=sys.stderr)  # fmt: skip
        return image


def box_of(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of where a mask (bytes) says that a person is; None: nowhere."""
    x, y, w, h = cv2.boundingRect((mask > 127).astype("u1"))
    return (x, y, w, h) if w else None
