"""Figures over a sliding window: per stage last, median, p95 and maximum, and the rates."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from livepose.timing.timeline import STAGES, Timeline, now_ns


@dataclass(frozen=True, slots=True)
class StageStats:
    """Milliseconds."""

    last: float = 0.0
    median: float = 0.0
    p95: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> StageStats:
        """All zero for no values."""
        v = np.fromiter(values, float)
        if not v.size:
            return cls()
        return cls(float(v[-1]), float(np.median(v)), float(np.percentile(v, 95)), float(v.max()))


@dataclass(frozen=True, slots=True)
class Stats:
    """What the latency panel and the reports show.

    end_to_end: from the moment the picture existed to the end of its last stage (painting in the
    app, the result headless). captured, dropped, painted: counts since the source was opened.
    device, precision, note: where the network runs, and why it is slower than it could be.
    threads: that it uses. camera_fps, fourcc: what a live source promised, 0 and "" if nothing.
    """

    stages: dict[str, StageStats] = field(default_factory=dict)
    end_to_end: StageStats = StageStats()
    capture_fps: float = 0.0
    inference_fps: float = 0.0
    paint_fps: float = 0.0
    captured: int = 0
    dropped: int = 0
    painted: int = 0
    device: str = ""
    precision: str = ""
    note: str = ""
    source: str = ""
    threads: int = 0
    camera_fps: float = 0.0
    fourcc: str = ""


class Rate:
    """Events per second over a sliding window; any thread may tick or ask."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window = round(window_s * 1e9)
        self._ticks: deque[int] = deque()
        self._lock = threading.Lock()

    def tick(self, at_ns: int | None = None) -> None:
        with self._lock:
            self._ticks.append(now_ns() if at_ns is None else at_ns)

    def per_second(self, at_ns: int | None = None) -> float:
        now = now_ns() if at_ns is None else at_ns
        with self._lock:
            while self._ticks and now - self._ticks[0] > self._window:
                self._ticks.popleft()
            if len(self._ticks) < 2:
                return 0.0
            return (len(self._ticks) - 1) / max(1e-9, (self._ticks[-1] - self._ticks[0]) / 1e9)


class Latency:
    """Timelines of the last frames; any thread may add or ask.

    Args:
        window: how many frames the figures cover; None for all (reports).
    """

    def __init__(self, window: int | None = 150) -> None:
        self._timelines: deque[Timeline] = deque(maxlen=window)
        self._lock = threading.Lock()

    def add(self, timeline: Timeline) -> None:
        """Takes a finished timeline: nobody marks it any more."""
        with self._lock:
            self._timelines.append(timeline)

    def clear(self) -> None:
        with self._lock:
            self._timelines.clear()

    @property
    def timelines(self) -> list[Timeline]:
        with self._lock:
            return list(self._timelines)

    def summary(self) -> tuple[dict[str, StageStats], StageStats]:
        """Figures by stage (in the order of `STAGES`, others behind), and end to end.

        A picture without a stage has spent nothing in it: what is rare must not look like what
        every picture costs.
        """
        timelines = self.timelines
        spent = [timeline.ms() for timeline in timelines]
        there = dict.fromkeys(stage for each in spent for stage in each)
        order = [s for s in STAGES if s in there] + [s for s in there if s not in STAGES]
        stages = {stage: StageStats.of(each.get(stage, 0.0) for each in spent) for stage in order}
        return stages, StageStats.of(t.total_ms for t in timelines)
