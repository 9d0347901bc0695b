"""``livepose soak``: the real window for minutes or hours, and what it costs.

Measured: what the app adds to the pipeline (waiting, hand-over, painting), the UI thread's share of
a core, how long that thread ever stood still, and whether memory grows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from livepose import resources
from livepose.bench.measure import memory_mb
from livepose.capture import CaptureOptions
from livepose.engine.device import set_cpu_threads
from livepose.engine.loading import Choice
from livepose.engine.session import DEFAULT_MODEL, Session
from livepose.models.store import WeightsError
from livepose.ui.display import display_problem

if TYPE_CHECKING:
    from livepose.frames import Result

ADDED = ("wait", "handover", "paint")  # stages that are not the pipeline's
STALL_MS = 50.0
_TICK_MS = 10
_START_S = 60.0  # to the first picture, at most
_WARM_S = 5.0  # from there, until windows are laid out
_PICTURES_AN_HOUR = 30 * 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--source", default=str(resources.CLIP), help="video (default: bundled)")
    parser.add_argument("--model", help="MODEL[@SIZE], as of livepose run")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--fast", action="store_true",
                        help="time-lapse: pictures as fast as they are painted")  # fmt: skip
    parser.add_argument("--json", type=Path, help="file for the figures")


def main(args: argparse.Namespace) -> int:
    try:
        Choice.of(args.model or DEFAULT_MODEL).check()
    except (WeightsError, ValueError) as error:
        print(f"livepose soak: {error}", file=sys.stderr)
        return 2
    if problem := display_problem():
        print(f"livepose soak: no window can be opened: {problem}", file=sys.stderr)
        return 2
    figures = run(args)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(as_text(figures))
    return 0


def queued_ms() -> float:
    """How long this thread has waited for a core that others had; 0 where nobody knows."""
    try:
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as file:
            return int(file.read(64).split()[1]) / 1e6
    except (OSError, IndexError):
        return 0.0


def stolen_ms() -> float:
    """How long the host has kept all cores of this machine together; 0 where nobody knows."""
    try:
        with open("/proc/stat", "rb", buffering=0) as file:
            return 1e3 * int(file.read(256).split()[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


class Log:
    """Collects while the window runs; all on the UI thread."""

    def __init__(self, clock_s: float) -> None:
        self.begin = self._last = clock_s
        self.cpu = time.thread_time()
        self._used = 1e3 * time.thread_time(), queued_ms()
        self._stolen = stolen_ms()
        self.longest = {"computing": 0.0, "queueing": 0.0, "stolen": 0.0}
        # What is kept must not look like memory that grows: plain doubles, and no gap by itself.
        self.added = array("d")
        self.longest_ms, self.stalls = 0.0, 0
        self.memory: list[tuple[float, float]] = []  # seconds, MB

    def painted(self, result: Result) -> None:
        spent = result.frame.timeline.ms()
        self.added.append(sum(spent.get(stage, 0.0) for stage in ADDED))

    def tick(self, clock_s: float) -> None:
        """Every `_TICK_MS`, if the thread is free."""
        gap_ms = 1e3 * (clock_s - self._last) - _TICK_MS
        used = 1e3 * time.thread_time(), queued_ms()
        if gap_ms > self.longest_ms:
            self.longest_ms, stolen = gap_ms, stolen_ms() - self._stolen
            computing, queueing = (now - then for now, then in zip(used, self._used, strict=True))
            self.longest = {"computing": computing, "queueing": queueing, "stolen": stolen}
        self.stalls += gap_ms > STALL_MS
        self._last, self._used = clock_s, used
        if not self.memory or clock_s - self.begin - self.memory[-1][0] >= 1:
            self.memory.append((clock_s - self.begin, memory_mb()))
            self._stolen = stolen_ms()

    def figures(self, clock_s: float, dropped: int) -> dict[str, Any]:
        seconds = clock_s - self.begin
        pictures = len(self.added)
        times, sizes = np.array(self.memory).T if self.memory else np.zeros((2, 1))
        settled = times >= 0.2 * times[-1]
        a_second = np.polyfit(times[settled], sizes[settled], 1)[0] if settled.sum() > 2 else 0.0
        per_second = pictures / seconds
        return {
            "seconds": seconds, "painted": pictures, "dropped": dropped,
            "pictures_per_second": per_second,
            "added_ms": {"median": float(np.median(self.added or [0])),
                         "p95": float(np.percentile(self.added or [0], 95))},
            "ui_share_of_a_core": (time.thread_time() - self.cpu) / seconds,
            "longest_stall_ms": self.longest_ms,
            "longest_stall": {f"{name}_ms": ms for name, ms in self.longest.items()},
            "stalls_over_50_ms": self.stalls,
            "memory_mb": {"begin": float(sizes[settled][0]), "end": float(sizes[-1])},
            # In the hour that so many pictures are at 30 a second.
            "memory_mb_an_hour": float(a_second / max(per_second, 1e-9) * _PICTURES_AN_HOUR),
        }  # fmt: skip


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Opens the window for so long; what happened in it."""
    from PyQt5.QtCore import QTimer

    from livepose.ui.app import make_application
    from livepose.ui.options import AppOptions
    from livepose.ui.window import MainWindow

    set_cpu_threads()
    app = make_application()
    capture = CaptureOptions(loop=True, realtime=not args.fast)
    with tempfile.TemporaryDirectory() as folder:
        window = MainWindow(AppOptions(
            session_factory=lambda on_result, on_event: Session(
                args.source, args.model, options=capture, backend=args.backend,
                on_result=on_result, on_event=on_event, lossless=args.fast,
            ),
            size=(1280, 720), settings=str(Path(folder) / "settings.ini"),
        ))  # fmt: skip
        logs: list[Log] = []
        ticking = QTimer(interval=_TICK_MS, timeout=lambda: logs[0].tick(time.monotonic()))

        def warm() -> None:
            starting.stop()
            window.picture.painted.disconnect(warm)
            QTimer.singleShot(round(1e3 * _WARM_S), begin)

        def begin() -> None:
            QTimer.singleShot(round(60e3 * args.minutes), end)
            logs.append(Log(time.monotonic()))
            dropped.append(window.session.stats().dropped)
            window.picture.painted.connect(logs[0].painted)
            ticking.start()

        def end() -> None:
            dropped.append(window.session.stats().dropped)
            figures["model"] = window.session.choice.name
            figures.update(logs[0].figures(time.monotonic(), dropped[1] - dropped[0]))
            window.close()

        dropped: list[int] = []
        figures: dict[str, Any] = {}
        # Networks are loaded meanwhile; where nothing is ever painted, the figures will say so.
        starting = QTimer(singleShot=True, timeout=warm)
        starting.start(round(1e3 * _START_S))
        window.picture.painted.connect(warm)
        window.show()
        window.start()
        app.exec_()
    return figures


def as_text(figures: dict[str, Any]) -> str:
    added, memory = figures["added_ms"], figures["memory_mb"]
    stall = ", ".join(f"{ms:.0f} {name.removesuffix('_ms')}"
                      for name, ms in figures["longest_stall"].items())  # fmt: skip
    return "\n".join([
        f"{figures['model']}: {figures['seconds'] / 60:.1f} minutes, {figures['painted']} pictures "
        f"({figures['pictures_per_second']:.1f} a second), {figures['dropped']} dropped",
        f"added to the pipeline: median {added['median']:.1f} ms, 95 % {added['p95']:.1f} ms",
        f"UI thread: {100 * figures['ui_share_of_a_core']:.0f} % of a core, "
        f"{figures['stalls_over_50_ms']} stalls above 50 ms",
        f"longest stall: {figures['longest_stall_ms']:.0f} ms ({stall})",
        f"memory: {memory['begin']:.0f} -> {memory['end']:.0f} MB, "
        f"{figures['memory_mb_an_hour']:+.1f} MB an hour of pictures",
    ])  # fmt: skip
