"""The capture thread: drains any source into a one-slot hand-over, whatever happens to it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from livepose.capture.control import Control
from livepose.capture.open import parse_source, shown
from livepose.capture.playback import Counts, Picture, Playback
from livepose.capture.slot import Slot
from livepose.capture.source import DEFAULTS, Applied, CaptureOptions, Source
from livepose.frames import Event, Frame

log = logging.getLogger(__name__)

# A live source that hangs this many stall times beyond its first report is opened anew.
HANG_FACTOR = 3
# But not for ever: each time leaves a thread behind.
MAX_HANGING = 4


class CaptureThread:
    """Reads a source on its own thread; frames come out of `slot`, newest first.

    Frame ids strictly increase over the life of the object, also across `switch` and reopening,
    so that frames of two sources are never confused; pictures that were dropped use up ids too.

    Nothing here blocks the caller but `stop`, which does so for a bounded time. A source stuck
    inside OpenCV is abandoned: its thread is left behind and what it still reads is thrown away.

    Events, all of origin ``"capture"``, come on the capture threads, one at a time:

    - ``opening``, ``opened`` (info)
    - ``failed`` (error): cannot be used and is not tried again; state ``"failed"``
    - ``ended`` (info; warning if the file breaks off): the last frame may still be in the slot,
      which stays open; state ``"ended"``
    - ``unplugged`` (warning): a camera or stream that had sent pictures is gone
    - ``retry`` (warning): why a camera or stream is not there, and when it is tried again
    - ``stalled`` (warning): no answer from the source for `CaptureOptions.stall_s`
    - ``recovered`` (info): pictures come again after ``retry`` or ``stalled``
    - ``broken`` (warning), ``resized`` (info): at most one of each every two seconds
    """

    def __init__(
        self,
        source: str | Source,
        options: CaptureOptions = DEFAULTS,
        *,
        on_event: Callable[[Event], None] = lambda e: None,
        lossless: bool = False,
    ) -> None:
        """
        Args:
            source: what `parse_source` takes (parsed on the capture thread: if it names nothing
                that is an event, not an error here), or a source, which then belongs to this.
            on_event: called on capture threads.
            lossless: every picture is handed over, the source waits for the consumer, and files
                are not paced: for runs without a window.
        """
        self.slot: Slot[Frame] = Slot()
        self.options = options
        self.control = Control()
        self.lossless = lossless
        self._on_event = on_event
        self._lock = threading.Lock()  # which playback is current; ids; the slot's producer
        self._event_lock = threading.RLock()
        self._next_id = 0
        self._started = False
        self._stopped = threading.Event()
        self._playbacks: list[Playback] = []  # those whose threads may still run
        self._spec = source
        self._playback = self._new_playback(source, Counts())
        self._watchdog = threading.Thread(target=self._watch, name="capture-watchdog", daemon=True)

    # -- control -------------------------------------------------------------------------------

    def start(self) -> None:
        with self._lock:
            if self._started:
                raise RuntimeError("a capture thread can be started only once")
            if self._stopped.is_set():
                raise RuntimeError("the capture thread is stopped")
            self._started = True
            self._launch(self._playback)
        self._watchdog.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Ends it for good and closes the slot; True if every thread has ended in time.

        If not, a source hangs inside OpenCV; its daemon thread dies with the process.
        """
        end = time.monotonic() + timeout_s
        with self._lock:
            self._stopped.set()
            self._playback.cancel()
            threads = [*self._playbacks, *([self._watchdog] if self._started else [])]
        self.slot.close()
        others = [t for t in threads if t is not threading.current_thread() and t.ident]
        for thread in others:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in others)

    def switch(self, source: str | Source) -> None:
        """Goes over to another source at once, also from one that hangs or has ended.

        While paused it stays paused, but the first picture of the new source is handed over.
        """
        with self._lock:
            if self._stopped.is_set():
                raise RuntimeError("the capture thread is stopped")
            self._spec = source
            self._replace(self._new_playback(source, Counts()))
            self.slot.clear()
            self.control.step_once()

    def pause(self) -> None:
        """Hands nothing over any more. Files stand still, cameras and streams are drained."""
        self.control.pause()

    def resume(self) -> None:
        self.control.resume()

    def step(self) -> None:
        """While paused: one more picture."""
        self.control.step()

    # -- what is going on ----------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        return self.control.paused

    @property
    def state(self) -> str:
        """opening, playing, paused, waiting (for the next try), ended, failed or stopped."""
        if self._stopped.is_set() or not self._started:
            return "stopped"
        state = self._playback.state
        return "paused" if state == "playing" and self.control.paused else state

    @property
    def captured(self) -> int:
        """Whole pictures read since start or switch."""
        return self._playback.counts.captured

    @property
    def dropped(self) -> int:
        """Pictures replaced by newer ones or left out to stay in real time, since then.

        Pictures of a paused camera are not counted: nobody wanted them.
        """
        return self._playback.counts.dropped

    @property
    def broken(self) -> int:
        """Pictures that could not be used, since then."""
        return self._playback.counts.broken

    @property
    def fps(self) -> float:
        """Whole pictures per second, measured over the last seconds."""
        return self._playback.fps()

    @property
    def applied(self) -> Applied | None:
        """What the source really delivers; None while unknown, or if each picture has its size."""
        return self._playback.applied

    @property
    def live(self) -> bool:
        """Whether it is a camera or a stream, once it is open."""
        return self._playback.live

    @property
    def source_name(self) -> str:
        return self._playback.source_name

    # -- for the playbacks ----------------------------------------------------------------------

    def emit(self, playback: Playback, level: str, kind: str, message: str) -> None:
        """Tells the user, unless the playback has been replaced meanwhile."""
        with self._event_lock:
            if playback is not self._playback or self._stopped.is_set():
                return
            try:
                self._on_event(Event("capture", level, kind, message))
            except Exception:
                log.exception("an event handler failed")

    def hand_over(self, playback: Playback, picture: Picture) -> None:
        with self._lock:
            if playback is not self._playback:
                return
            frame = Frame(
                id=self._next_id,
                image=picture.image,
                timeline=picture.timeline,
                source=playback.source_name,
                media_s=picture.media_s,
                truth=picture.truth,
            )
            self._next_id += 1
            if self.slot.put(frame):
                playback.counts.dropped += 1

    def leave_out(self, playback: Playback, count: int) -> None:
        """`count` pictures were dropped before they were decoded."""
        with self._lock:
            if playback is self._playback:
                playback.counts.dropped += count
                self._next_id += count

    def wait_free(self, timeout_s: float) -> bool:
        return self.slot.wait_free(timeout_s)

    # -- inside --------------------------------------------------------------------------------

    def _new_playback(self, source: str | Source, counts: Counts) -> Playback:
        options = self.options
        if isinstance(source, str):
            spec = source
            return Playback(self, lambda: parse_source(spec, options), shown(spec), counts)
        made = source
        return Playback(self, lambda: made, made.name, counts)

    def _launch(self, playback: Playback) -> None:
        self._playbacks = [s for s in self._playbacks if s.is_alive()]
        playback.wait_for(self._playbacks)
        self._playbacks = [*self._playbacks, playback]
        playback.start()

    def _replace(self, playback: Playback) -> None:
        self._playback.cancel()
        self._playback = playback
        if self._started:
            self._launch(playback)

    def _watch(self) -> None:
        """Looks after the thread that may be stuck inside its source."""
        tick = min(0.25, self.options.stall_s / 4)
        while not self._stopped.wait(tick):
            playback = self._playback
            # Only a source made from its name can be opened a second time beside the hanging one.
            if (
                playback.stalled_s() > HANG_FACTOR * self.options.stall_s
                and playback.live
                and isinstance(self._spec, str)
            ):
                with self._lock:
                    hanging = sum(s.is_alive() for s in self._playbacks)
                    current = playback is self._playback and not self._stopped.is_set()
                    if current and hanging <= MAX_HANGING:
                        self._replace(self._new_playback(self._spec, playback.counts))
