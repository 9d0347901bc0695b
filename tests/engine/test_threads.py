"""The pipeline with real threads: following, failing, falling back."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import resources
from livepose.capture import Slot
from livepose.cv import cv2
from livepose.engine import device
from livepose.engine.loading import Choice
from livepose.engine.probing import Probe
from livepose.engine.session import Session
from livepose.engine.worker import InferenceThread, spare_the_start
from livepose.frames import Event, Frame, Result
from livepose.models.detector import PersonNet
from livepose.models.margipose import MargiPose
from tests.engine.fakes import (
    CALM,
    TINY,
    Log,
    SlowNet,
    frame,
    session,
    sure,
    tiny,
    wait_for,
)


def test_latency_is_bounded_with_a_network_ten_times_slower_than_the_source() -> None:
    log = Log()
    s = session("synthetic:64x48@100", log, load=lambda name: SlowNet(TINY).eval())
    s.start()
    try:
        wait_for(lambda: len(log.results) >= 15, 60)
    finally:
        stats = s.stats()
        assert s.stop()
    ages = [r.frame.timeline.total_ms for r in log.results[3:]]
    waits = [r.frame.timeline.ms()["wait"] for r in log.results[3:]]
    # A queue would let the age grow by 90 ms with every frame: over a second by now.
    assert np.median(ages[-5:]) < 2 * np.median(ages[:5]) + 50
    assert np.median(waits) < 60  # newest frame wins: it waits for the source, not in a queue
    ids = [r.frame.id for r in log.results]
    assert ids == sorted(set(ids))
    assert stats.dropped > 3 * len(ids)


def test_every_frame_where_that_is_asked_for() -> None:
    log = Log()
    s = session("synthetic:64x48@100", log, lossless=True)
    s.start()
    wait_for(lambda: len(log.results) >= 20)
    assert s.stop()
    assert [r.frame.id for r in log.results[:20]] == list(range(20))
    assert s.stats().dropped == 0


def test_the_garbage_collector_leaves_alone_what_start_up_has_made() -> None:
    spare_the_start.cache_clear()
    gc.unfreeze()
    log = Log()
    s = session("synthetic:64x48@100", log, load=lambda name: tiny())
    s.start()
    try:
        wait_for(lambda: len(log.results) >= 3 and gc.get_freeze_count() > 0)
        # All of torch is among it; what is young is little.
        assert gc.get_freeze_count() > 10 * len(gc.get_objects())
    finally:
        assert s.stop()


def test_a_failing_stage_is_told_and_the_thread_goes_on() -> None:
    log, net = Log(), tiny()
    calls = []

    def flaky(x: torch.Tensor):  # type: ignore[no-untyped-def]
        calls.append(1)
        if 6 <= len(calls) < 9:
            raise RuntimeError("boom\ndetails")
        return MargiPose.logits(net, x)

    net.logits = flaky  # type: ignore[method-assign]
    s = session("synthetic:64x48@50", log, load=lambda name: net)
    s.start()
    wait_for(lambda: len(log.results) >= 12)
    assert s.stop()
    told = [e for e in log.events if e.kind == "stage"]
    assert len(told) == 1  # not one for each frame
    assert "boom" in told[0].message
    assert "details" not in told[0].message


def test_a_failing_listener_does_not_end_the_thread() -> None:
    seen, events = [], []

    def listen(result: Result) -> None:
        seen.append(result)
        raise RuntimeError("listener")

    s = Session("synthetic:64x48@50", "tiny", on_result=listen, on_event=events.append, **CALM)
    s.start()
    wait_for(lambda: len(seen) >= 3)
    assert s.stop()


def test_a_gpu_that_fails_later_gives_way_to_the_cpu() -> None:
    events: list[Event] = []
    meta = device.Placement(torch.device("cuda"), torch.float16)
    slot: Slot[Frame] = Slot()
    monkey = pytest.MonkeyPatch()
    monkey.setattr(device.Placement, "device_name", property(lambda self: str(self.device)))
    thread = InferenceThread(slot, "tiny", meta, lambda r: None, events.append, tiny, "torch")

    class Broken:
        def __call__(self, *a: object) -> Result:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    thread.networks.live = Broken()  # type: ignore[assignment]
    with monkey.context():
        for _ in range(3):
            thread._infer(frame())
    assert thread.networks.placement.device.type == "cpu"
    assert "illegal memory access" in thread.networks.placement.note
    assert "fallback" in [e.kind for e in events]


def test_a_detector_that_cannot_run_leaves_one_person() -> None:
    log = Log()

    class TooLarge(PersonNet):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            raise RuntimeError("out of memory\ndetails")

    s = session("synthetic:64x48@50", log, load=sure, load_detector=lambda: TooLarge().eval())
    s.start()
    wait_for(lambda: any(r.poses for r in log.results))
    assert s.stop()
    told = [e.message for e in log.events if e.kind == "detector"]
    assert len(told) == 1
    assert "(out of memory)" in told[0]


def test_only_cameras_promise_a_rate() -> None:
    log = Log()
    s = session(str(resources.CLIP), log)
    s.start()
    wait_for(lambda: log.results)
    stats = s.stats()
    assert s.stop()
    assert "at 30" in stats.source  # the file says so
    assert (stats.camera_fps, stats.fourcc) == (0, "")  # what is slow is not its light


def test_a_held_picture_goes_through_again_when_something_else_is_wanted() -> None:
    log = Log()
    s = session("synthetic:64x48@50", log, load=sure)
    s.start()
    wait_for(lambda: log.results)
    s.pause()
    wait_for(lambda: s.idle)
    time.sleep(0.3)
    s.painted(log.results[-1])
    count, held, painted = len(log.results), log.results[-1].frame, s.stats().painted

    def again() -> Result:
        """The next result, of the picture that is held."""
        nonlocal count
        wait_for(lambda: len(log.results) > count)
        count = len(log.results)
        result = log.results[-1]
        assert (result.frame.id, result.frame.image) == (held.id, held.image)
        assert result.frame.timeline.start_ns == held.timeline.start_ns  # as old as it is
        assert result.frame.timeline.ms()["held"] >= 500
        s.painted(result)
        return result

    s.want_heatmaps = True
    maps = again()
    assert maps.heatmaps
    assert np.array_equal(maps.poses[0].joints, log.results[-2].poses[0].joints)
    s.probe = Probe("high", 0)
    assert again().activation is not None
    s.compare(Choice("other", "torch", "float32", 96))
    other = again().other
    assert other is not None
    assert other.way == "other@96/torch/float32"
    s.use(Choice("another", "torch", "float32", 96))
    moved = again()
    assert moved.way == "another@96/torch/float32"
    # The same network at the same size: neither is steadied by what was before.
    assert moved.other is not None
    assert np.array_equal(moved.poses[0].joints, moved.other.poses[0].joints)
    s.redo()
    again()
    assert s.stats().painted == painted  # how long one looks at a picture is no lag
    time.sleep(0.8)
    assert len(log.results) == count  # and only then
    s.open("synthetic:80x60@50")
    wait_for(lambda: log.results[-1].frame.width == 80)
    assert s.stop()


def test_the_last_picture_of_a_file_goes_through_again_too(tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    cv2.imwrite(str(file), np.full((48, 64, 3), 90, np.uint8))
    log = Log()
    s = session(str(file), log, load=sure)
    s.start()
    wait_for(lambda: s.state == "ended" and log.results)
    s.want_heatmaps = True
    wait_for(lambda: log.results[-1].heatmaps)
    assert len(log.results) == 2
    assert s.stop()


def test_pause_step_and_switch() -> None:
    log = Log()
    s = session("synthetic:64x48@100", log)
    s.start()
    wait_for(lambda: log.results)
    s.pause()
    assert s.paused
    time.sleep(0.3)
    count = len(log.results)
    s.step()
    wait_for(lambda: len(log.results) == count + 1)
    time.sleep(0.2)
    assert len(log.results) == count + 1
    s.resume()
    wait_for(lambda: len(log.results) > count + 3)
    before = log.results[-1].frame.id
    s.open("synthetic:80x60@100")
    wait_for(lambda: log.results[-1].frame.width == 80)
    assert log.results[-1].frame.id > before
    assert s.source == "synthetic:80x60@100"
    assert s.stop()


def test_without_a_camera_the_clip_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    from livepose.capture import open as module

    monkeypatch.setattr(module, "list_cameras", lambda: [])
    log = Log()
    s = session(None, log)
    s.start()
    wait_for(lambda: log.results)
    assert s.stop()
    assert "no-camera" in log.kinds()
    assert "retry" not in log.kinds()
    assert s.source == str(resources.CLIP)


def test_a_camera_that_does_not_work_is_named_and_the_clip_plays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from livepose.capture import open as module

    monkeypatch.setattr(module, "list_cameras", lambda: [("/dev/video97", "Broken camera")])
    log = Log()
    s = session(None, log)
    s.start()
    wait_for(lambda: log.results)
    assert s.stop()
    message = next(e.message for e in log.events if e.kind == "no-camera")
    assert "video97" in message
    assert "Trying again" not in message
    assert s.source == str(resources.CLIP)


def test_a_camera_that_was_asked_for_is_waited_for() -> None:
    log = Log()
    s = session("/dev/video97", log)
    s.start()
    wait_for(lambda: log.kinds().count("retry") >= 2 and "model" in log.kinds())
    assert s.stop()
    assert "no-camera" not in log.kinds()


def test_threads_spin_less_unless_the_user_says_otherwise() -> None:
    program = "import os, sys; from livepose import cli; assert 'torch' not in sys.modules; " \
              "cli.spin_less(); print(os.environ.get('GOMP_SPINCOUNT'))"  # fmt: skip
    bare = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    for more, expected in (
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ):
        run = subprocess.run([sys.executable, "-c", program], env={**bare, **more},
                             capture_output=True, text=True, check=True)  # fmt: skip
        assert run.stdout.strip() == expected


def test_a_hanging_thread_does_not_keep_the_process_or_change_its_status() -> None:
    program = """
import atexit, sys, threading, time
from livepose import cli
atexit.register(print, "torn down")
cli.main = lambda: 3
if sys.argv[1:]:
    threading.Thread(target=time.sleep, args=(60,), name=sys.argv[1], daemon=True).start()
sys.exit(cli.entry())
"""
    for name, out in ([], "torn down\n"), (["inference"], ""):
        run = subprocess.run([sys.executable, "-c", program, *name], capture_output=True,
                             text=True, timeout=30, check=False)  # fmt: skip
        assert (run.returncode, run.stdout) == (3, out)


def test_stopping_is_bounded_even_if_the_network_hangs() -> None:
    log, net = Log(), tiny()

    def hang(x: torch.Tensor):  # type: ignore[no-untyped-def]
        time.sleep(8)

    net.logits = hang  # type: ignore[method-assign]
    s = session("synthetic:64x48@100", log, load=lambda name: net)
    s.start()
    time.sleep(0.2)
    begin = time.monotonic()
    assert not s.stop(1.0)
    assert time.monotonic() - begin < 3


_ARENAS = """
import ctypes, sys, threading
from livepose import cli

cli.few_arenas()
together = threading.Barrier(9)

def take():
    held = bytes(100_000)
    together.wait()  # until all have been counted
    together.wait()

threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fflush(file)
together.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
@pytest.mark.parametrize(("by_user", "least", "most"), [(None, 1, 2), ("6", 3, 6)])
def test_threads_share_their_memory(by_user: str | None, least: int, most: int) -> None:
    env = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"}
    env |= {"MALLOC_ARENA_MAX": by_user} if by_user else {}
    done = subprocess.run([sys.executable, "-c", _ARENAS], capture_output=True, text=True,
                          check=True, env=env)  # fmt: skip
    assert least <= done.stdout.count("<heap nr=") <= most
