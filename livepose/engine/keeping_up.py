"""Whether a network keeps up with the pictures, told by those that it misses."""

from __future__ import annotations

from livepose.frames import Frame

# Pictures are counted for so long: whatever holds a machine up for a second makes no difference.
_WINDOW_S = 8.0
_MISSED = 0.05
# Nothing came for so long: paused, stalled, another source.
_GAP_S = 2.0


class KeepingUp:
    """Counts, from one picture that was looked at to the next, those in between."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._last_s = 0.0
        self._seen = 0

    def restart(self) -> None:
        """What came so far does not count: something else took the time."""
        self._first = None

    def missed(self, frame: Frame) -> float:
        """With each frame that is looked at: the share of pictures that were missed, where the
        time to count is over and it is too large, else 0. Counting begins anew then.
        """
        at_s = frame.timeline.start_ns / 1e9
        if self._first is None or not 0 <= at_s - self._last_s < _GAP_S:
            self._first, self._seen = (frame.id, at_s), 0
        first, begin_s = self._first
        self._last_s = at_s
        if at_s - begin_s < _WINDOW_S:
            self._seen += 1
            return 0.0
        share = 1 - self._seen / max(1, frame.id - first)
        self._first, self._seen = (frame.id, at_s), 1
        return share if share > _MISSED else 0.0
