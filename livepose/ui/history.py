"""The last seconds, frames and all, to step back through while the capture goes on."""

from __future__ import annotations

from collections import deque

from livepose.frames import Result

BUDGET_MB = 256


class History:
    """Results as long as their pictures fit into a budget; the oldest go first."""

    def __init__(self, budget_mb: float = BUDGET_MB) -> None:
        self._budget = budget_mb * 1e6
        self._size = 0.0
        self._results: deque[Result] = deque()

    def __len__(self) -> int:
        return len(self._results)

    def add(self, result: Result) -> None:
        """Takes the newest one; the same frame again takes the place of what was made of it."""
        if self._results and self._results[-1].frame.image is result.frame.image:
            self._size -= _bytes(self._results.pop())
        self._results.append(result)
        self._size += _bytes(result)
        while self._size > self._budget and len(self._results) > 1:
            self._size -= _bytes(self._results.popleft())

    def at(self, index: int) -> Result:
        """0 is the oldest; beyond the ends it is the one there."""
        return self._results[min(max(index, 0), len(self._results) - 1)]

    def find(self, result: Result) -> int:
        """Its index now, or 0 where it has gone."""
        return next((i for i, r in enumerate(self._results) if r is result), 0)

    def age_s(self, index: int) -> float:
        """How much older than the newest one."""
        newest, one = self._results[-1].frame, self.at(index).frame
        return (newest.timeline.start_ns - one.timeline.start_ns) / 1e9

    def clear(self) -> None:
        self._results.clear()
        self._size = 0.0


def _bytes(result: Result) -> int:
    return result.frame.image.nbytes + sum(
        m.xy.nbytes + m.zy.nbytes + m.xz.nbytes for m in result.heatmaps
    )
