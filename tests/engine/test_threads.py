"""The pipeline with real threads: following, failing, falling back."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from livepose import resources
from livepose.engine import device
from livepose.engine.loading import Choice
from livepose.engine.session import Session
from livepose.engine.worker import InferenceThread
from livepose.frames import Event, Frame, Result
from livepose.models.detector import PersonNet
from livepose.models.margipose import MargiPose
from livepose.models.store import WeightsError
from tests.engine.fakes import CALM, TINY, Log, SlowNet, frame, session, tiny, wait_for


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
    from livepose.capture import Slot

    events: list[Event] = []
    meta = device.Placement(torch.device("cuda"), torch.float16)
    slot: Slot[Frame] = Slot()
    monkey = pytest.MonkeyPatch()
    monkey.setattr(device.Placement, "device_name", property(lambda self: str(self.device)))
    thread = InferenceThread(slot, "tiny", meta, lambda r: None, events.append, tiny, "torch")

    class Broken:
        def __call__(self, *a: object) -> Result:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    thread._predictor, thread._wanted = Broken(), []  # type: ignore[assignment]
    with monkey.context():
        for _ in range(3):
            thread._infer(frame())
    assert thread.placement.device.type == "cpu"
    assert "illegal memory access" in thread.placement.note
    assert "fallback" in [e.kind for e in events]


def test_people_are_found_in_a_floating_precision_where_int8_is_asked_for() -> None:
    log = Log()
    s = session("synthetic:64x48@50", log, precision="int8", load_detector=PersonNet)
    s.start()
    wait_for(lambda: log.results)
    assert s.stop()
    assert "error" not in [e.level for e in log.events]
    assert "int8 cannot be used" in s.stats().note


def test_only_cameras_promise_a_rate() -> None:
    log = Log()
    s = session(str(resources.CLIP), log)
    s.start()
    wait_for(lambda: log.results)
    stats = s.stats()
    assert s.stop()
    assert "at 30" in stats.source  # the file says so
    assert (stats.camera_fps, stats.fourcc) == (0, "")  # what is slow is not its light


def test_switching_models_and_one_that_does_not_load() -> None:
    def load(name: str) -> MargiPose:
        if name == "broken":
            raise WeightsError("broken.safetensors is cut off; get it again")
        return tiny()

    log = Log()
    s = session("synthetic:64x48@50", log, load=load)
    s.start()
    wait_for(lambda: log.results)
    s.use("broken")
    wait_for(lambda: any("cut off" in e.message for e in log.events))
    assert s.model == "tiny"
    s.use("other")
    wait_for(lambda: log.results[-1].model == "other")
    assert s.stop()


def test_going_over_to_another_way_keeps_who_is_followed_and_goes_on_meanwhile() -> None:
    def slow(name: str) -> MargiPose:
        if name != "tiny":
            time.sleep(0.5)
        net = tiny()
        net.presence_bias.data.fill_(50.0)  # sure of everything
        return net

    log = Log()
    s = session("synthetic:64x48@50", log, load=slow)
    s.start()
    wait_for(lambda: log.results and log.results[-1].poses)
    before = len(log.results)
    s.use(Choice("other", "torch", "float32", 96))
    wait_for(lambda: log.results[-1].model == "other")
    meanwhile = [r for r in log.results[before:] if r.model == "tiny"]
    assert len(meanwhile) >= 5  # nobody waited for the new one
    assert s.choice.size == 96
    # What is warm comes at once.
    begin = time.monotonic()
    s.use("tiny")
    wait_for(lambda: log.results[-1].model == "tiny")
    assert time.monotonic() - begin < 0.4
    assert s.stop()


def test_two_networks_look_at_the_same_frames() -> None:
    log = Log()
    s = session("synthetic:64x48@50", log)
    s.start()
    wait_for(lambda: log.results)
    assert log.results[-1].other is None
    s.compare(Choice("other", "torch", "float32", 96))
    wait_for(lambda: log.results[-1].other is not None)
    wait_for(lambda: sum(r.other is not None for r in log.results) >= 5)
    for r in log.results:
        if r.other is not None:
            assert r.other.frame.id == r.frame.id
            assert r.other.frame.image is r.frame.image
            assert (r.model, r.other.model) == ("tiny", "other")
            assert r.other.frame.timeline is not r.frame.timeline
            assert "compare" in r.frame.timeline.ms()
    s.compare(None)
    wait_for(lambda: log.results[-1].other is None)
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
