"""What a playback has to tell about its source: stalls, recoveries, and things that come often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from livepose.capture.source import CaptureOptions
from livepose.timing.timeline import now_ns

# Events that could come with every picture come at most this often.
QUIET_S = 2.0

Emit = Callable[[str, str, str], None]  # level, kind, message


class Health:
    """Written by the thread that reads the source, looked at by the watchdog."""

    def __init__(self, options: CaptureOptions, emit: Emit) -> None:
        self._options = options
        self._emit = emit
        # Held while an event is sent, so that a stall is never told after its own recovery.
        self._lock = threading.RLock()
        self._busy: tuple[int, str] | None = None  # since when, in which call of the source
        self._reported: tuple[int, str] | None = None  # the call already reported as a stall
        self._trouble = False  # something was told that a good picture recovers from
        self._told: dict[str, float] = {}

    @contextmanager
    def inside(self, call: str) -> Iterator[None]:
        """Marks that the thread is inside the source (``"open"`` or ``"read"``) and may block."""
        self._busy = (now_ns(), call)
        try:
            yield
        finally:
            with self._lock:
                self._busy = None

    def check(self, name: str) -> float:
        """Reports a stall if there is one; for how many seconds it has been one, else negative.

        The watchdog calls this, as the thread concerned is stuck inside the source `name`.
        """
        with self._lock:
            busy = self._busy
            if busy is None:
                return -1.0
            since, call = busy
            opening = call == "open"
            limit = self._options.stall_s + (self._options.open_timeout_s if opening else 0.0)
            waited = (now_ns() - since) / 1e9
            if waited > limit and self._reported != busy:
                self._reported, self._trouble = busy, True
                doing = "does not open" if opening else "has sent no picture"
                self._emit(
                    "warning",
                    "stalled",
                    f"{name} {doing} for {waited:.1f} s: check its cable or network, "
                    "or choose another source.",
                )
            return waited - limit

    def lost(self) -> None:
        """The source is gone; the next good picture is a recovery."""
        self._trouble = True

    def good(self, name: str) -> None:
        """A whole picture came from the source `name`."""
        if self._trouble:
            with self._lock:
                self._trouble = False
                self._emit("info", "recovered", f"{name} sends pictures again.")

    def seldom(self, level: str, kind: str, message: str) -> None:
        """Tells it unless something of that kind was told just now."""
        now = time.monotonic()
        if now - self._told.get(kind, -QUIET_S) >= QUIET_S:
            self._told[kind] = now
            self._emit(level, kind, message)
