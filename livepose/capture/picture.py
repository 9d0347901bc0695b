"""Whatever a source delivers -> the one form of picture that the rest of the program knows."""

from __future__ import annotations

import numpy as np

from livepose.cv import cv2


def to_bgr(image: object) -> np.ndarray | None:
    """A contiguous BGR uint8 picture (H, W, 3), or None if `image` is none that could be shown.

    Grey, BGRA and 16 bit (full range) are converted; a good picture is passed on uncopied.
    """
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3) or image.size == 0:
        return None
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif image.dtype != np.uint8:
        return None
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return np.ascontiguousarray(image)
    code = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}.get(channels)
    return None if code is None else cv2.cvtColor(np.ascontiguousarray(image), code)
