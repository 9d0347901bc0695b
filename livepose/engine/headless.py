"""The pipeline without a window: annotated video, latency report, trace."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable
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
    inbox: queue.SimpleQueue[Result | Event] = queue.SimpleQueue()
    session = make_session(inbox.put, inbox.put)
    writer = _Video(options.video) if options.video else None
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
            if writer:
                writer.add(annotated(item, options.mirror), item.frame.media_s)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:
        stats = session.stats()
        session.stop()
        if writer:
            writer.close()
    if not timelines:
        raise HeadlessError("No picture came through, so there is nothing to report.")
    if options.trace:
        write_trace(options.trace, timelines)
    seconds = (last or 0.0) - (begin or 0.0)
    return report(stats, frames=len(timelines), seconds=seconds, model=session.model)


def _tell(event: Event) -> None:
    if event.kind in _FATAL or (event.origin == "engine" and event.level == "error"):
        raise HeadlessError(event.message)
    if event.level != "info":
        print(event.message, file=sys.stderr)


class _Video:
    """Writes pictures as they come; the rate is that of the first two."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writer: Any = None
        self._first: tuple[np.ndarray, float | None] | None = None
        file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, image: np.ndarray, media_s: float | None) -> None:
        if self._writer is None:
            if self._first is None:
                self._first = (image, media_s)
                return
            first, at = self._first
            step = (media_s - at) if media_s is not None and at is not None else 0.0
            self._open(first, 1 / step if step > 1e-3 else 30.0)
            self._write(first)
        self._write(image)

    def _open(self, image: np.ndarray, fps: float) -> None:
        h, w = image.shape[:2]
        self._size = (w, h)
        self._writer = cv2.VideoWriter(
            str(self._file), cv2.VideoWriter.fourcc(*"mp4v"), fps, self._size
        )
        if not self._writer.isOpened():
            raise HeadlessError(f"{self._file} cannot be written: give a path that ends in .mp4.")

    def _write(self, image: np.ndarray) -> None:
        if image.shape[1::-1] != self._size:  # a video has one size
            image = cv2.resize(image, self._size)
        self._writer.write(image)

    def close(self) -> None:
        if self._writer is None and self._first is not None:
            self._open(self._first[0], 30.0)
            self._write(self._first[0])
        if self._writer is not None:
            self._writer.release()
