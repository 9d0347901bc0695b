"""Single pictures and folders of pictures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from livepose.capture.source import DEFAULTS, Applied, CaptureOptions, Reading, SourceError
from livepose.capture.video import check_readable
from livepose.cv import cv2
from livepose.timing.timeline import now_ns

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".avif")
)
DEFAULT_FPS = 2.0


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


class ImageSource:
    """An image file, or the image files of a folder in natural order (2 before 10)."""

    live = False

    def __init__(self, path: Path, options: CaptureOptions = DEFAULTS) -> None:
        self.name = path.name or str(path)
        self.applied: Applied | None = None
        self._path = path
        self._loop = options.loop
        self._fps = options.fps or DEFAULT_FPS
        self._files: list[Path] = []
        self._index = 0  # pictures handed out since open, over all rounds of a loop
        self._good = False  # one at least can be decoded, else there is nothing to loop over

    def open(self) -> None:
        self._files = self._list()
        self._index, self._good = 0, False
        if self._path.is_dir():
            self.applied = None  # each picture may have its own size
            return
        check_readable(self._path)
        image = decode(self._path)
        if image is None:
            raise SourceError(f"{self._path} is not a picture that can be decoded.")
        self.applied = Applied(image.shape[1], image.shape[0], self._fps)

    def read(self) -> Reading | None:
        count = len(self._files)
        if not count or (self._index >= count and not (self._loop and self._good)):
            return None
        start = now_ns()
        path = self._files[self._index % count]
        media_s = self._index / self._fps
        self._index += 1
        image = decode(path)
        self._good |= image is not None
        problem = "" if image is not None else f"{path.name} is not a picture that can be decoded"
        return Reading(image, start, media_s, problem=problem)

    def close(self) -> None:
        self._files = []

    def _list(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path]
        try:
            files = [p for p in self._path.iterdir() if is_image(p) and p.is_file()]
        except OSError as error:
            reason = error.strerror or str(error)
            raise SourceError(f"{self._path} cannot be listed ({reason}).") from error
        if not files:
            kinds = ", ".join(sorted(s[1:] for s in SUFFIXES))
            raise SourceError(f"The folder {self._path} holds no picture (accepted: {kinds}).")
        return sorted(files, key=natural_order)


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts ``a2.png`` before ``a10.png``."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)]


def decode(path: Path) -> np.ndarray | None:
    """The picture in a file as BGR uint8, turned as its EXIF data says; None if it is broken."""
    try:
        # Not cv2.imread: on Windows it cannot open paths beyond the ANSI code page.
        return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
