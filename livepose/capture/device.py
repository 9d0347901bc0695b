"""The seam to OpenCV's video input: everything opened goes through `open_device`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from livepose.cv import cv2

# A V4L2 camera that has gone silent blocks a read for 10 s by default; there is no property for
# it, and OpenCV reads this at the first read.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "5")
# OPENCV_FFMPEG_CAPTURE_OPTIONS is left alone: the often advised "fflags;nobuffer" holds for the
# whole process, loses the first pictures of video files, and gains nothing where a stream is
# drained anyway.


class Device(Protocol):
    """The part of ``cv2.VideoCapture`` that is used here."""

    def isOpened(self) -> bool: ...
    def set(self, prop: int, value: float) -> bool: ...
    def get(self, prop: int) -> float: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


Factory = Callable[[int | str, int, Sequence[int]], Device]


def open_device(target: int | str, api: int, params: Sequence[int] = ()) -> Device:
    """``cv2.VideoCapture``; ask `isOpened` whether it worked."""
    return cv2.VideoCapture(target, api, list(params))


def fourcc_text(code: float) -> str:
    """The four letters of a FOURCC as OpenCV reads it back; "" if it is none."""
    try:
        text = int(code).to_bytes(4, "little").decode("ascii").rstrip("\0 ")
    except (OverflowError, ValueError):  # negative, NaN, not ASCII
        return ""
    return text if text.isprintable() else ""


def sane_rate(fps: float) -> float:
    """Pictures per second as OpenCV reads them back; 0 if that is no rate."""
    return float(fps) if 0 < fps <= 1000 else 0.0
