from __future__ import annotations

import json
import math
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepose.timing.causes import Machine, causes
from livepose.timing.cores import quota, usable_cores
from livepose.timing.report import as_text, report, write_trace
from livepose.timing.stats import Latency, Rate, StageStats, Stats
from livepose.timing.timeline import STAGES, Timeline

MS = 1_000_000


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.integers(0, 50 * MS)), max_size=20))
def test_the_parts_add_up_to_the_whole(steps: list[tuple[str, int]]) -> None:
    timeline, now = Timeline(1000), 1000
    for stage, length in steps:
        now += length
        timeline.mark(stage, now)
    assert sum(timeline.ms().values()) == pytest.approx(timeline.total_ms)
    assert timeline.total_ms == pytest.approx((now - 1000) / MS)


def test_real_clock_parts_add_up_to_the_whole() -> None:
    begin = time.monotonic_ns()
    timeline = Timeline(begin)
    for stage in STAGES:
        time.sleep(0.002)
        timeline.mark(stage)
    whole = (time.monotonic_ns() - begin) / MS
    assert sum(timeline.ms().values()) == pytest.approx(whole, abs=2.0)
    assert list(timeline.ms()) == list(STAGES)


def test_a_stage_never_ends_before_it_began() -> None:
    timeline = Timeline(100)
    timeline.mark("capture", 200)
    assert timeline.mark("wait", 150).ms == 0
    assert timeline.end_ns == 200


def test_device_laps_fill_the_time_of_the_host() -> None:
    timeline = Timeline(0)
    timeline.mark("preprocess", 1 * MS)
    timeline.mark_parts([("upload", 1.0), ("forward", 2.5), ("download", 0.0)], 6 * MS)
    assert timeline.ms() == pytest.approx(
        {"preprocess": 1.0, "upload": 1.0, "forward": 2.5, "download": 1.5}
    )
    # A device's clock that says more than the host has seen cannot stretch the frame.
    timeline.mark_parts([("forward", 99.0), ("download", 0.0)], 7 * MS)
    assert timeline.total_ms == 7.0


def test_statistics_by_hand() -> None:
    s = StageStats.of([5.0, 1.0, 3.0])
    assert (s.last, s.median, s.max) == (3.0, 3.0, 5.0)
    assert s.p95 == pytest.approx(4.8)
    assert StageStats.of([]) == StageStats()


def test_window_slides() -> None:
    latency = Latency(window=2)
    for length in (100, 1, 3):
        timeline = Timeline(0)
        timeline.mark("forward", length * MS)
        latency.add(timeline)
    stages, whole = latency.summary()
    assert stages["forward"].max == 3.0
    assert whole.median == 2.0
    latency.clear()
    assert latency.summary()[0] == {}


def test_stages_come_in_their_order() -> None:
    latency, timeline = Latency(), Timeline(0)
    for i, stage in enumerate(["paint", "extra", "capture"]):
        timeline.mark(stage, (i + 1) * MS)
    latency.add(timeline)
    assert list(latency.summary()[0]) == ["capture", "paint", "extra"]


def test_what_is_rare_is_no_cost_of_every_picture() -> None:
    latency = Latency()
    for i in range(10):
        timeline = Timeline(0)
        if i == 4:
            timeline.mark("detect", 30 * MS)
        timeline.mark("forward", timeline.end_ns + 2 * MS)
        latency.add(timeline)
    stages, whole = latency.summary()
    detect, forward = stages["detect"], stages["forward"]
    assert (detect.last, detect.median, detect.max) == (0.0, 0.0, 30.0)
    assert detect.median + forward.median == whole.median == 2.0


def test_rate() -> None:
    rate = Rate(window_s=1.0)
    assert rate.per_second(0) == 0
    for i in range(11):
        rate.tick(i * 100 * MS)
    assert rate.per_second(1000 * MS) == pytest.approx(10)
    assert rate.per_second(5000 * MS) == 0  # long ago


def test_threads_may_add_and_ask() -> None:
    latency, rate, stop = Latency(50), Rate(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            latency.summary()
            rate.per_second()

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(2000):
        timeline = Timeline(0)
        timeline.mark("forward", MS)
        latency.add(timeline)
        rate.tick()
    stop.set()
    thread.join()
    assert len(latency.timelines) == 50


def test_report_and_trace(tmp_path) -> None:  # type: ignore[no-untyped-def]
    latency, timeline = Latency(None), Timeline(5 * MS)
    timeline.mark("capture", 7 * MS)
    timeline.mark("forward", 10 * MS)
    latency.add(timeline)
    stages, whole = latency.summary()
    stats = Stats(stages, whole, dropped=3, device="CPU", precision="float32")
    figures = report(stats, frames=10, seconds=2.0, model="base")
    assert figures["stages"]["forward"] == {"median": 3.0, "p95": 3.0, "max": 3.0}
    assert figures["end_to_end"]["median"] == 5.0
    assert (figures["fps"], figures["dropped"]) == (5.0, 3)
    assert "forward" in as_text(figures)
    json.dumps(figures)

    file = tmp_path / "trace.json"
    write_trace(file, [(4, timeline)])
    events = [e for e in json.loads(file.read_text())["traceEvents"] if e["ph"] == "X"]
    assert [(e["name"], e["ts"], e["dur"]) for e in events] == [
        ("capture", 5000, 2000), ("forward", 7000, 3000)]  # fmt: skip
    assert all(e["args"]["frame"] == 4 for e in events)


def test_causes_are_named_with_what_to_do() -> None:
    quiet = Machine(cores=4, threads=4)
    assert causes(Stats(), quiet) == []
    assert causes(Stats(note="a; b"), quiet) == ["a", "b"]
    (slow_camera,) = causes(Stats(camera_fps=10, capture_fps=10, fourcc="YUYV"), quiet)
    assert "MJPG" in slow_camera
    assert causes(Stats(camera_fps=30, capture_fps=30, fourcc="YUYV"), quiet) == []
    (broken_promise,) = causes(Stats(camera_fps=30, capture_fps=10, fourcc="YUYV"), quiet)
    assert "10 pictures a second" in broken_promise
    assert "MJPG" in broken_promise
    (dark,) = causes(Stats(camera_fps=30, capture_fps=15, fourcc="MJPG"), quiet)
    assert "light" in dark
    (too_large,) = causes(Stats(capture_fps=30, inference_fps=21.4), quiet)
    assert "21 of 30 pictures" in too_large
    assert "smaller" in too_large
    assert causes(Stats(capture_fps=30, inference_fps=29.4), quiet) == []
    (threads,) = causes(Stats(), Machine(cores=2, threads=8))
    assert "--threads 2" in threads
    (busy,) = causes(Stats(), Machine(cores=2, threads=2, load=9))
    assert "other programs" in busy
    waiting = Stats(stages={"paint": StageStats(median=16)})
    (sync,) = causes(waiting, quiet)
    assert "waits for the screen" in sync
    (software,) = causes(Stats(), Machine(cores=2, threads=2, software_gl=True))
    assert "software" in software
    assert causes(Stats(), Machine(cores=8, threads=4, software_gl=True)) == []


def test_the_cores_of_this_machine_are_counted() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert Machine.here(3).threads == 3


@pytest.mark.parametrize(
    ("own", "files", "granted"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/of/the/host\n", {"cpu.max": "50000 100000"}, 0.5),
        ("5:cpu,cpuacct:/x\n4:memory:/y\n0::/\n",
         {"cpu/x/cpu.cfs_quota_us": "300000\n", "cpu/x/cpu.cfs_period_us": "100000\n",
          "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
        ("", {}, math.inf),
    ],
)  # fmt: skip
def test_a_containers_share_of_the_cores_is_read(
    own: str, files: dict[str, str], granted: float, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert quota(tmp_path / "cgroup", tmp_path / "own") == granted


@pytest.mark.parametrize(("granted", "cores"), [(2.0, 2), (0.5, 1), (64.0, 8), (math.inf, 8)])
def test_no_more_cores_than_the_container_may_use(
    granted: float, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livepose.timing import cores as module

    monkeypatch.setattr(module, "quota", lambda: granted)
    monkeypatch.setattr(module, "_physical_cores", lambda: 8)
    assert usable_cores.__wrapped__() == cores
