"""Networks that take over from each other, and that look at the same pictures."""

from __future__ import annotations

import sys
import threading
import time

import pytest
import torch

from livepose.capture import Slot
from livepose.engine import device
from livepose.engine.loading import Choice
from livepose.engine.probing import Probe
from livepose.engine.settings import EngineSettings
from livepose.engine.switching import Networks
from livepose.engine.worker import InferenceThread
from livepose.frames import Event, Result
from livepose.models.detector import PersonNet
from livepose.models.margipose import MargiPose
from livepose.models.store import WeightsError
from tests.engine.fakes import (
    Log,
    frame,
    nobody,
    predictor,
    session,
    sure,
    tiny,
    wait_for,
)


def load(name: str) -> MargiPose:
    if name == "broken":
        raise WeightsError("broken.safetensors is cut off; get it again")
    return tiny()


def test_people_are_found_in_a_floating_precision_where_int8_is_asked_for() -> None:
    log = Log()
    s = session("synthetic:64x48@50", log, precision="int8", load_detector=PersonNet)
    s.start()
    wait_for(lambda: log.results)
    assert s.stop()
    assert "error" not in [e.level for e in log.events]
    assert "int8 cannot be used" in s.stats().note


def test_switching_models_and_one_that_does_not_load() -> None:
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
        return sure()

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


def failing(calls: int) -> MargiPose:
    """Works so many times."""
    net, left = sure(), [calls]

    def logits(x: torch.Tensor):  # type: ignore[no-untyped-def]
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("no kernel for it")
        return MargiPose.logits(net, x)

    net.logits = logits  # type: ignore[method-assign]
    return net


def test_what_fails_beside_the_live_network_leaves_its_skeletons() -> None:
    log = Log()
    s = session("synthetic:64x48@50", log,
                load=lambda name: failing(3 + 2) if name == "flaky" else sure())  # fmt: skip
    s.start()
    wait_for(lambda: log.results)
    s.compare(Choice("flaky", "torch"))  # warm after three, fails from its third picture on
    s.probe = Probe("nowhere", 0)
    wait_for(lambda: {"compare", "probe"} <= set(log.kinds()))
    before = len(log.results)
    wait_for(lambda: len(log.results) > before + 5)
    assert s.stop()
    assert sum(r.other is not None for r in log.results) == 2
    assert all(r.poses for r in log.results)
    assert all(r.activation is None for r in log.results)
    assert {"compare", "probe"} <= set(log.results[-1].frame.timeline.ms())
    told = [e for e in log.events if e.level == "error"]
    assert sorted(e.kind for e in told) == ["compare", "probe"]  # not one for each frame
    assert any("no kernel for it" in e.message for e in told)


def test_a_rival_that_fails_on_the_gpu_does_not_give_the_gpu_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device.Placement, "device_name", property(lambda self: str(self.device)))
    events: list[Event] = []
    results: list[Result] = []
    meta = device.Placement(torch.device("cuda"), torch.float16)
    thread = InferenceThread(Slot(), "tiny", meta, results.append, events.append, tiny, "torch")
    thread.networks.live = predictor(sure())
    thread.networks.rival = predictor(failing(0))
    for _ in range(5):
        thread._infer(frame())
    assert thread.networks.placement is meta
    assert all(r.poses for r in results)
    assert [e.kind for e in events] == ["compare"]


def test_a_rival_that_does_not_load_is_told() -> None:
    log = Log()
    s = session("synthetic:64x48@50", log, load=load)
    s.start()
    wait_for(lambda: log.results)
    s.compare(Choice("broken", "torch"))
    wait_for(lambda: "compare" in log.kinds())
    s.compare(Choice("other", "torch"))
    wait_for(lambda: log.results[-1].other is not None)
    assert s.stop()


def test_no_wish_is_lost_between_two_threads() -> None:
    tried: set[str] = set()

    def load(name: str) -> MargiPose:
        tried.add(name)
        raise WeightsError(name)

    nothing = device.Placement(torch.device("cpu"), torch.float32)
    networks = Networks(Choice("first"), nothing, load, nobody, lambda e: None, lambda: None)
    lost: list[str] = []

    def wish() -> None:
        for k in range(300):
            networks.use(Choice(f"{k}"))
            end = time.monotonic() + 5
            while f"{k}" not in tried and time.monotonic() < end:
                pass
            if f"{k}" not in tried:
                lost.append(f"{k}")
                return

    user = threading.Thread(target=wish)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        user.start()
        while user.is_alive():
            networks.advance(EngineSettings())
    finally:
        sys.setswitchinterval(interval)
    assert not lost
    assert not networks.loading
