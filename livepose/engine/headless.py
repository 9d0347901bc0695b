"""The pipeline without a window: annotated video, latency report, trace."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from livepose.cv import cv2
from livepose.engine.draw import annotated
from livepose.engine.session import Session
from livepose.frames import Event, Result
from livepose.timing.report import report, write_trace
from livepose.timing.timeline import Timeline

# What ends a run that nobody watches: the source cannot be used, or not any more.
_FATAL = {"failed", "retry", "unplugged", "stalled"}
FALLBACK_FPS = 30.0  # of the video, where the source does not tell its own
LONGEST_S = 10.0  # that a picture of the video stays


class HeadlessError(Exception):
    """The run cannot go on; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class HeadlessOptions:
    """frames: stop after so many (None: at the end of the source). seconds: or after so long.

    video, trace: files to write. mirror: flips the video.
    """

    frames: int | None = None
    seconds: float | None = None
    video: Path | None = None
    trace: Path | None = None
    mirror: bool = False


SessionFactory = Callable[[Callable[[Result], None], Callable[[Event], None]], Session]


def run(make_session: SessionFactory, options: HeadlessOptions) -> dict[str, Any]:
    """Runs a session to its end and returns the figures (see `livepose.timing.report`).

    Ctrl-C ends it early, with the figures so far.

    Raises:
        HeadlessError: the source or the model cannot be used.
    """
    # Bounded: where writing the video is slower than the network, the network waits.
    inbox: queue.Queue[Result | Event] = queue.Queue(16)
    over = threading.Event()

    def post(item: Result | Event) -> None:
        while not over.is_set():
            with suppress(queue.Full):
                return inbox.put(item, timeout=0.1)

    session = make_session(post, post)
    writer: _Video | None = None
    timelines: list[tuple[int, Timeline]] = []
    begin = last = None
    quiet = 0
    session.start()
    try:
        while options.frames is None or len(timelines) < options.frames:
            if options.seconds and begin and time.monotonic() - begin >= options.seconds:
                break
            try:
                item = inbox.get(timeout=0.2)
            except queue.Empty:
                # The last picture may still be in the network when its source has ended.
                quiet = quiet + 1 if session.state == "ended" and session.idle else 0
                if quiet >= 2:
                    break
                continue
            if isinstance(item, Event):
                _tell(item)
                continue
            last = time.monotonic()
            begin = begin or last
            session.painted(item)
            timelines.append((item.frame.id, item.frame.timeline))
            if options.video:
                writer = writer or _Video(options.video, session.source_fps or FALLBACK_FPS)
                at = item.frame.media_s
                now = item.frame.timeline.start_ns / 1e9
                writer.add(annotated(item, options.mirror), now if at is None else at)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:
        over.set()
        stats = session.stats()
        session.stop()
        if writer:
            writer.close()
    if not timelines:
        raise HeadlessError("No picture came through, so there is nothing to report.")
    if options.trace:
        write_trace(options.trace, timelines)
    seconds = (last or 0.0) - (begin or 0.0)
    return report(stats, frames=len(timelines), seconds=seconds, model=session.choice.name)


def _tell(event: Event) -> None:
    if event.kind in _FATAL or (event.origin == "engine" and event.level == "error"):
        raise HeadlessError(event.message)
    if event.level != "info":
        print(event.message, file=sys.stderr)


class _Video:
    """Writes a video of constant rate: each picture stays until the time of the next one."""

    def __init__(self, file: Path, fps: float) -> None:
        self._file, self._fps = file, fps
        self._writer: Any = None
        self._image: np.ndarray | None = None
        self._written, self._start, self._at = 0, 0.0, 0.0
        file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, image: np.ndarray, at_s: float) -> None:
        """`image` is the newest one from `at_s` on."""
        if self._image is None:
            self._open(image)
            self._start = at_s
        else:
            if not 0 < at_s - self._at < LONGEST_S:  # a file begins again
                self._start += at_s - self._at - 1 / self._fps
            # At least once: two pictures within one period are both shown.
            until = round((at_s - self._start) * self._fps)
            self._write(max(1, until - self._written))
        self._image, self._at = image, at_s

    def _open(self, image: np.ndarray) -> None:
        h, w = image.shape[:2]
        self._size = (w, h)
        self._writer = cv2.VideoWriter(
            str(self._file), cv2.VideoWriter.fourcc(*"mp4v"), self._fps, self._size
        )
        if not self._writer.isOpened():
            raise HeadlessError(f"{self._file} cannot be written: give a path that ends in .mp4.")

    def _write(self, times: int) -> None:
        assert self._image is not None
        image = self._image
        if image.shape[1::-1] != self._size:  # a video has one size
            image = cv2.resize(image, self._size)
        for _ in range(times):
            self._writer.write(image)
        self._written += times

    def close(self) -> None:
        if self._image is not None:
            self._write(1)
            self._writer.release()
