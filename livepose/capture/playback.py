"""The life of one source on its own thread: open, read, hand over, try again, end."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from livepose.capture.control import Control
from livepose.capture.health import Health
from livepose.capture.pacing import Pacer
from livepose.capture.picture import to_bgr
from livepose.capture.source import (
    Applied,
    CaptureOptions,
    Reading,
    Skips,
    Source,
    SourceError,
    describe,
)
from livepose.frames import Truth
from livepose.timing.timeline import Timeline, now_ns

log = logging.getLogger(__name__)

# A new source waits this long for the old one to let go of the device, then opens regardless.
HANDOVER_S = 1.0
# Leaving out pictures costs time too: after this long one is shown, late as it may be.
MAX_SKIP_S = 0.1
RATE_WINDOW_S = 3.0
FALLBACK_FPS = 30.0


@dataclass(slots=True)
class Counts:
    """captured: whole pictures read. dropped: pictures nobody will see, because a newer one took
    their place or they were left out to stay in real time. broken: not pictures at all."""

    captured: int = 0
    dropped: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A checked picture on its way to becoming a `Frame`."""

    image: np.ndarray
    timeline: Timeline
    media_s: float | None
    truth: Truth | None


class Hub(Protocol):
    """What a playback needs of the capture thread that it belongs to."""

    options: CaptureOptions
    control: Control
    lossless: bool

    def emit(self, playback: Playback, level: str, kind: str, message: str) -> None: ...
    def hand_over(self, playback: Playback, picture: Picture) -> None: ...
    def leave_out(self, playback: Playback, count: int) -> None: ...
    def wait_free(self, timeout_s: float) -> bool: ...


class _LostError(Exception):
    """A live source is gone; the message says so to the user."""


class Playback(threading.Thread):
    """Reads one source until it ends or the playback is cancelled. Abandoned if it hangs: then
    nothing it still reads reaches anybody."""

    def __init__(
        self,
        hub: Hub,
        make: Callable[[], Source],
        name: str,
        counts: Counts,
    ) -> None:
        super().__init__(name="capture", daemon=True)
        self.source_name = name
        self.state = "opening"
        self.applied: Applied | None = None
        self.counts = counts
        self.live = False
        self._hub = hub
        self._make = make
        self._predecessors: tuple[Playback, ...] = ()
        self._cancelled = threading.Event()
        self._health = Health(hub.options, self._emit)
        self._times: deque[int] = deque(maxlen=1000)
        self._size: tuple[int, int] | None = None

    def wait_for(self, predecessors: Sequence[Playback]) -> None:
        """Before `start`: the playbacks whose device this one may need."""
        self._predecessors = tuple(predecessors)

    def cancel(self) -> None:
        """Ends the playback as soon as the source lets it. Does not wait."""
        self._cancelled.set()
        self._hub.control.wake()

    def fps(self) -> float:
        """Whole pictures per second over the last seconds."""
        begin = now_ns() - RATE_WINDOW_S * 1e9
        times = [t for t in tuple(self._times) if t >= begin]
        span = times[-1] - times[0] if len(times) > 1 else 0
        return (len(times) - 1) / span * 1e9 if span else 0.0

    def stalled_s(self) -> float:
        """For how long the source has been stalled; reports it. Called by the watchdog."""
        return -1.0 if self._cancelled.is_set() else self._health.check(self.source_name)

    def run(self) -> None:
        try:
            self._await_predecessors()
            self._run()
        except Exception as error:  # a bug must not silence the capture for good
            log.exception("capture of %s failed", self.source_name)
            self._fail(f"{self.source_name} failed unexpectedly ({error}): choose it again.")
        finally:
            self._predecessors = ()

    # -- opening and trying again --------------------------------------------------------------

    def _await_predecessors(self) -> None:
        """Lets the playbacks before free their device, which may be the same camera."""
        end = time.monotonic() + HANDOVER_S
        for playback in self._predecessors:
            playback.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        if self._cancelled.is_set():
            return
        options = self._hub.options
        try:
            source = self._make()
        except SourceError as error:
            self._fail(str(error))
            return
        self.source_name = source.name
        self._emit("info", "opening", f"Opening {source.name}.")
        delay = options.retry_s
        while not self._cancelled.is_set():
            before = self.counts.captured
            try:
                self._open(source)
                self._play(source)
                return
            except _LostError as error:
                reason = str(error)
                if self.counts.captured > before:
                    delay = options.retry_s
                    self._emit("warning", "unplugged", reason)
            except SourceError as error:
                reason = str(error)
                if not self.live:
                    self._fail(reason)
                    return
            finally:
                source.close()
            self._back_off(reason, delay)
            delay = min(2 * delay, options.retry_max_s)

    def _open(self, source: Source) -> None:
        self.state = "opening"
        self.live = source.live
        with self._health.inside("open"):
            source.open()
        self.live = source.live
        self.source_name = source.name
        self.applied = source.applied
        self._size = None
        self.state = "playing"
        given = f": {self.applied}" if self.applied else ""
        note = f" ({self.applied.note})" if self.applied and self.applied.note else ""
        self._emit("info", "opened", f"{source.name} is open{given}{note}.")

    def _back_off(self, reason: str, delay: float) -> None:
        self.state = "waiting"
        self._health.lost()
        self._emit("warning", "retry", f"{reason} Trying again in {delay:.2g} s.")
        self._cancelled.wait(delay)

    def _fail(self, reason: str) -> None:
        self.state = "failed"
        self._emit("error", "failed", reason)

    # -- playing -------------------------------------------------------------------------------

    def _play(self, source: Source) -> None:
        if source.live:
            self._play_live(source)
        else:
            self._play_file(source)

    def _play_live(self, source: Source) -> None:
        """Reads as fast as pictures come, so that none grows old in a buffer."""
        before = self.counts.captured
        while not self._cancelled.is_set():
            try:
                reading = self._read(source)
            except SourceError as error:
                raise _LostError(str(error)) from error
            if reading is None:
                if self.counts.captured > before:
                    raise _LostError(f"{source.name} has stopped sending: is it still plugged in?")
                raise _LostError(
                    f"{source.name} opened but sends no picture: is another program using it?"
                )
            image = self._checked(reading)
            if image is None:
                continue
            timeline = Timeline(reading.start_ns)
            self._times.append(timeline.mark("capture").end_ns)
            if not self._hub.control.admit(self._cancelled.is_set):
                continue
            if not self._wait_free():
                return
            picture = Picture(image, timeline, reading.media_s, reading.truth)
            self._hub.hand_over(self, picture)

    def _play_file(self, source: Source) -> None:
        """Decodes one picture ahead and holds it until it is due.

        Where the file is paced, a picture begins to exist when it is due, as if a camera had
        taken it then: waiting for that moment is no lag, being decoded after it is.
        """
        options = self._hub.options
        pacer = None
        if options.realtime and not self._hub.lossless:
            rate = source.applied.fps if source.applied else 0.0
            pacer = Pacer(1 / (rate or options.fps or FALLBACK_FPS))
        while not self._cancelled.is_set():
            if pacer is not None and isinstance(source, Skips):
                self._skip(source, pacer)
            try:
                reading = self._read(source)
            except SourceError as error:
                self._end("warning", str(error))
                return
            if reading is None:
                self._end("info", f"{source.name} has ended.")
                return
            image = self._checked(reading)
            if image is None:
                continue
            ready = now_ns()
            start = pacer.due_ns(reading.media_s, ready) if pacer else reading.start_ns
            if not self._wait_free():
                return
            turn = self._hub.control.wait_turn(start if pacer else 0, self._cancelled.is_set)
            if turn is None:
                return
            if turn.held:
                start = turn.at_ns
                if pacer:
                    pacer.restart(start)
            self._times.append(turn.at_ns)
            timeline = Timeline(start)
            timeline.mark("capture", ready)
            self._hub.hand_over(self, Picture(image, timeline, reading.media_s, reading.truth))

    def _skip(self, source: Skips, pacer: Pacer) -> None:
        """Leaves out the pictures whose time has passed."""
        end = now_ns() + MAX_SKIP_S * 1e9
        skipped = 0
        with self._health.inside("read"):
            while pacer.late(now_ns()) > skipped and now_ns() < end and source.skip(1):
                skipped += 1
        if skipped:
            pacer.skipped(skipped)
            self._hub.leave_out(self, skipped)

    def _end(self, level: str, message: str) -> None:
        if self.counts.captured == 0:
            self._fail(f"{self.source_name} holds no picture that can be decoded.")
            return
        self.state = "ended"
        if self.counts.broken:
            message += f" Broken pictures skipped: {self.counts.broken}."
        self._emit(level, "ended", message)

    def _wait_free(self) -> bool:
        """Lossless captures wait for the consumer; False if cancelled meanwhile."""
        while self._hub.lossless and not self._cancelled.is_set():
            if self._hub.wait_free(0.05):
                break
        return not self._cancelled.is_set()

    # -- single pictures -----------------------------------------------------------------------

    def _read(self, source: Source) -> Reading | None:
        with self._health.inside("read"):
            reading = source.read()
        if reading is not None and reading.skipped:
            self._hub.leave_out(self, reading.skipped)
        return reading

    def _checked(self, reading: Reading) -> np.ndarray | None:
        """The picture in the one form known further on; None, counted and told, if it is none."""
        image = to_bgr(reading.image)
        if image is None:
            self.counts.broken += 1
            what = reading.problem or f"{self.source_name} sent a broken picture"
            self._health.seldom("warning", "broken", f"{what}: it is skipped.")
            return None
        self.counts.captured += 1
        self._health.good(self.source_name)
        self._watch_size(image.shape[1], image.shape[0])
        return image

    def _watch_size(self, width: int, height: int) -> None:
        size, old = (width, height), self._size
        self._size = size
        if self.applied is None and self.live:
            self.applied = Applied(width, height)  # a stream that does not say beforehand
        if self.applied is None or size == old:
            return
        if size != (self.applied.width, self.applied.height):
            self.applied = replace(self.applied, width=width, height=height)
        if old is not None:
            message = f"{self.source_name} now sends {describe(*size)} instead of {describe(*old)}."
            self._health.seldom("info", "resized", message)

    def _emit(self, level: str, kind: str, message: str) -> None:
        self._hub.emit(self, level, kind, message)
