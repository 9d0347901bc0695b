"""When each picture of a file is due, so that it plays at its own pace."""

from __future__ import annotations

# A file that is later than this (slow disk, decoding slower than real time, a debugger) is not
# caught up with any more: its clock is moved instead.
MAX_LAG_S = 1.0
# Positions that jump by more than this, or not at all, are not believed.
MAX_STEP_S = 10.0


class Pacer:
    """Turns positions in a file into moments on the monotonic clock, all in nanoseconds.

    The first picture is due at once; each later one as long after its predecessor as it is in
    the file, or `period_s` where the positions do not tell (missing, a loop, broken stamps).
    """

    def __init__(self, period_s: float) -> None:
        self._period_ns = round(period_s * 1e9)
        self._due_ns: int | None = None
        self._media_s: float | None = None
        self._skipped = 0

    def due_ns(self, media_s: float | None, now_ns: int) -> int:
        """When the picture at `media_s`, decoded at `now_ns`, is due."""
        if self._due_ns is None:
            due = now_ns
        else:
            due = self._due_ns + self._step_ns(media_s)
            if now_ns - due > MAX_LAG_S * 1e9:
                due = now_ns
        self._due_ns, self._media_s, self._skipped = due, media_s, 0
        return due

    def late(self, now_ns: int) -> int:
        """How many pictures to leave out so that the next one is not late by a whole period."""
        if self._due_ns is None:
            return 0
        return max(0, (now_ns - self._due_ns) // self._period_ns - 1)

    def skipped(self, count: int) -> None:
        """`count` pictures are left out before the next one."""
        self._skipped += count

    def restart(self, now_ns: int) -> None:
        """The last picture was shown at `now_ns` instead of when it was due (after a pause)."""
        self._due_ns = now_ns

    def _step_ns(self, media_s: float | None) -> int:
        if media_s is not None and self._media_s is not None:
            step = media_s - self._media_s
            if 0 < step <= MAX_STEP_S:
                return round(step * 1e9)
        return (1 + self._skipped) * self._period_ns
