"""What every source of pictures has in common: the protocol, its options, what it hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from livepose.frames import Truth


class SourceError(Exception):
    """A source cannot be used; the message is one sentence for the user, saying what to do."""


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What the user asks of a source. What does not apply to a source is ignored by it.

    width, height: pixels asked of a camera, and the size of the synthetic picture.
    fps: pictures per second; None: 30 for cameras and the synthetic source, 2 for image folders.
    fourcc: pixel format asked of a camera. MJPG, because uncompressed pictures above 640x480 do
        not fit through USB 2 at full rate; a camera without it keeps what it has.
    realtime: files play at their own pace, leaving out pictures when late; False: as fast as
        they are decoded. Lossless captures are never paced.
    loop: files and folders start again at their end.
    open_timeout_s: how long a URL may take to open, or be silent later, before it is given up.
    stall_s: a `read` that takes longer than this is reported as a stall.
    retry_s, retry_max_s: first and longest back-off before a lost camera or URL is tried again.
    """

    width: int | None = 640
    height: int | None = 480
    fps: float | None = None
    fourcc: str | None = "MJPG"
    realtime: bool = True
    loop: bool = False
    open_timeout_s: float = 5.0
    stall_s: float = 3.0
    retry_s: float = 0.5
    retry_max_s: float = 8.0

    def __post_init__(self) -> None:
        for name in ("width", "height", "fps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be positive, got {value}")
        for name in ("open_timeout_s", "stall_s", "retry_s", "retry_max_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a positive time, got {getattr(self, name)}")
        if self.fourcc is not None and (len(self.fourcc) != 4 or not self.fourcc.isascii()):
            raise ValueError(f"fourcc must be four ASCII letters, got {self.fourcc!r}")


DEFAULTS = CaptureOptions()


@dataclass(frozen=True, slots=True)
class Applied:
    """What a source really delivers. fps 0 and fourcc "" mean unknown.

    note: one clause for the user where it differs from what was asked, else "".
    """

    width: int
    height: int
    fps: float = 0.0
    fourcc: str = ""
    note: str = ""

    def __str__(self) -> str:
        return describe(self.width, self.height, self.fps, self.fourcc)


def describe(width: int, height: int, fps: float = 0.0, fourcc: str = "") -> str:
    """``"640x480 at 30 MJPG"``, leaving out what is unknown (0 or empty)."""
    rate = f" at {round(fps, 2):g}" if fps else ""
    return f"{width}x{height}{rate}{' ' + fourcc if fourcc else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One picture as a source delivers it, before it is checked and becomes a `Frame`.

    image: any array OpenCV may deliver, or None for a broken picture.
    start_ns: the earliest monotonic moment at which the picture honestly existed. Cameras: the
        driver's stamp, else the return of `grab`; MJPEG over HTTP: the arrival of its first
        byte; other streams: the return of `grab`; files: the begin of decoding.
    media_s: position in the file in seconds.
    problem: for a broken picture, what is wrong with it (may be empty).
    skipped: pictures left out just before this one, because newer ones had arrived.
    """

    image: np.ndarray | None
    start_ns: int
    media_s: float | None = None
    truth: Truth | None = None
    problem: str = ""
    skipped: int = 0


class Source(Protocol):
    """A source of pictures. Only the capture thread calls its methods; all of them may block."""

    @property
    def name(self) -> str:
        """Short name for the user."""

    @property
    def live(self) -> bool:
        """True for cameras and streams: tried again when lost, drained while paused.

        Everything else is paced, stands still while paused, and ends. Asked after `open`.
        """

    @property
    def applied(self) -> Applied | None:
        """What is really delivered, once open.

        None if not known before the first picture, or where each may be of another size.
        """

    def open(self) -> None:
        """Starts, or starts afresh at the beginning.

        Raises:
            SourceError: it cannot be opened.
        """

    def read(self) -> Reading | None:
        """The next picture; None at the end of a file or when a live source is gone.

        Raises:
            SourceError: as None, with a reason to tell the user.
        """

    def close(self) -> None:
        """Frees the device. Harmless when not open."""


@runtime_checkable
class Skips(Protocol):
    """A source that can leave out pictures for less than reading them costs."""

    def skip(self, count: int) -> int:
        """Leaves out up to `count` pictures; returns how many (fewer at the end)."""
