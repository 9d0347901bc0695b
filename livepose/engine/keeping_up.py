"""Whether a network keeps up with the pictures, told by those that it misses."""

from __future__ import annotations

# Pictures are counted for so long: whatever holds a machine up for a second makes no difference.
_WINDOW_S = 8.0
_MISSED = 0.05
# Nothing came for so long: paused, stalled, another source.
_GAP_S = 2.0


class KeepingUp:
    """Counts pictures that are looked at, and those that newer ones have replaced meanwhile."""

    def __init__(self) -> None:
        self._begin_s: float | None = None
        self._last_s = 0.0
        self._looked = self._replaced = 0

    def restart(self) -> None:
        """What came so far does not count: something else took the time."""
        self._begin_s = None

    def missed(self, taken_s: float, replaced: int) -> float:
        """With each picture that is looked at: the share of pictures that were missed, where the
        time to count is over and it is too large, else 0. Counting begins anew then.

        taken_s: when the picture was taken. replaced: how many were, since there is a slot.
        """
        if self._begin_s is None or not 0 <= taken_s - self._last_s < _GAP_S:
            self._anew(taken_s, replaced)
        assert self._begin_s is not None
        self._last_s = taken_s
        self._looked += 1
        if taken_s - self._begin_s < _WINDOW_S:
            return 0.0
        missed = replaced - self._replaced
        share = missed / (missed + self._looked)
        self._anew(taken_s, replaced)
        return share if share > _MISSED else 0.0

    def _anew(self, begin_s: float, replaced: int) -> None:
        self._begin_s, self._replaced, self._looked = begin_s, replaced, 0
