from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from livepose.capture import CaptureOptions, CaptureThread
from livepose.capture import thread as thread_module
from livepose.frames import Event
from livepose.timing.timeline import now_ns

from .fakes import FAST, PATIENCE_S, ListSource, LiveSource, StuckSource, picture, wait_until


def test_frames_are_stamped_and_numbered(capture: Any) -> None:
    run = capture(LiveSource())
    before = now_ns()
    frames = [run.frame() for _ in range(20)]
    ids = [frame.id for frame in frames]
    assert ids == sorted(set(ids))
    for frame in frames[1:]:
        assert frame.source == "live"
        assert before < frame.timeline.start_ns <= frame.timeline.end_ns <= now_ns()
        assert [span.stage for span in frame.timeline.spans] == ["capture"]
        assert frame.image.shape == (48, 64, 3)
    assert run.thread.state == "playing"
    assert run.thread.source_name == "live"


def test_latency_is_bounded_with_a_consumer_ten_times_slower(capture: Any) -> None:
    run = capture(LiveSource(period_s=0.005))
    ages, ids = [], []
    for _ in range(25):
        time.sleep(0.05)
        frame = run.frame()
        ages.append((now_ns() - frame.timeline.start_ns) / 1e9)
        ids.append(frame.id)
    # A queue would by now be behind by nine tenths of the whole time, more than a second.
    assert max(ages) < 0.5
    assert sorted(ages)[len(ages) // 2] < 0.05
    # Every picture is accounted for: taken, dropped, or waiting in the slot.
    run.thread.stop()
    left = 0 if run.thread.slot.get(0) is None else 1
    assert run.thread.dropped > 0
    on_its_way = run.thread.captured - (len(ids) + run.thread.dropped + left)
    assert on_its_way in (0, 1)  # the one that the stop has caught
    assert ids[-1] >= run.thread.dropped


def test_ids_go_on_over_a_switch(capture: Any) -> None:
    run = capture(LiveSource("a", value=1))
    last = [run.frame() for _ in range(5)][-1].id
    run.thread.switch(LiveSource("b", value=2))
    frame = run.frame()
    assert frame.source == "b"
    assert frame.id > last
    assert run.thread.source_name == "b"
    wait_until(lambda: run.thread.captured >= 1)


def test_nothing_of_the_old_source_comes_after_a_switch(capture: Any) -> None:
    run = capture(LiveSource("0", period_s=0.0005))
    for k in range(1, 15):
        run.frame()
        run.thread.switch(LiveSource(str(k), period_s=0.0005))
        assert run.frame().source == str(k)


def test_counts_begin_anew_with_a_switch(capture: Any) -> None:
    run = capture(LiveSource())
    wait_until(lambda: run.thread.dropped > 10)
    run.thread.switch(StuckSource())
    assert (run.thread.captured, run.thread.dropped, run.thread.broken) == (0, 0, 0)


def test_the_old_source_is_closed_before_the_new_one_opens(capture: Any) -> None:
    old = LiveSource("old")
    opened_after: list[int] = []

    class New(LiveSource):
        def open(self) -> None:
            opened_after.append(old.closed)

    run = capture(old)
    run.frame()
    run.thread.switch(New("new"))
    wait_until(lambda: opened_after)
    assert opened_after == [1]


def test_a_stall_and_its_end_are_told(capture: Any) -> None:
    source = StuckSource(good=3)
    run = capture(source)
    event = run.wait_event("stalled")
    assert event.level == "warning"
    assert "stuck" in event.message
    assert run.thread.fps >= 0
    source.let_go.set()
    run.wait_event("recovered")
    assert run.kinds().count("stalled") == 1


def test_a_stall_while_opening_is_told(capture: Any) -> None:
    source = StuckSource(in_open=True)
    run = capture(source)
    assert "does not open" in run.wait_event("stalled").message
    assert run.thread.state == "opening"
    source.let_go.set()


def test_no_stall_while_a_file_waits_for_its_time(capture: Any) -> None:
    run = capture(ListSource([picture(1), picture(2)], fps=2.5), replace(FAST, stall_s=0.05))
    run.wait_event("ended")
    assert "stalled" not in run.kinds()


@pytest.mark.parametrize("in_open", [False, True])
def test_stop_is_bounded_while_the_source_is_stuck(capture: Any, in_open: bool) -> None:
    source = StuckSource(in_open=in_open)
    run = capture(source)
    assert source.stuck.wait(PATIENCE_S)
    begin = time.monotonic()
    assert run.thread.stop(0.1) is False
    assert time.monotonic() - begin < 5
    assert run.thread.state == "stopped"
    assert run.thread.slot.closed
    assert run.thread.slot.get() is None  # closed: does not wait
    source.let_go.set()
    assert run.thread.stop(PATIENCE_S) is True
    assert source.closed == 1


def test_a_stuck_source_can_be_switched_away_from(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = StuckSource()
    run = capture(source)
    assert source.stuck.wait(PATIENCE_S)
    begin = time.monotonic()
    run.thread.switch(LiveSource("other"))
    assert time.monotonic() - begin < 1  # returns at once
    assert run.frame().source == "other"
    last = run.frame().id
    source.let_go.set()  # what it reads now is thrown away, and it is closed
    wait_until(lambda: source.closed == 1)
    for _ in range(5):
        frame = run.frame()
        assert frame.source == "other"
        assert frame.id > last
        last = frame.id


def test_a_hanging_camera_is_opened_anew(capture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [StuckSource("first", good=2), LiveSource("second")]
    stuck = made[0]
    monkeypatch.setattr(thread_module, "parse_source", lambda spec, options: made.pop(0))
    run = capture("0", replace(FAST, stall_s=0.05))
    run.wait_event("stalled")
    wait_until(lambda: run.frame().source == "second")
    assert run.thread.captured >= 3  # goes on counting
    assert isinstance(stuck, StuckSource)
    stuck.let_go.set()


def test_opening_and_switching_never_block_the_caller(capture: Any) -> None:
    begin = time.monotonic()
    source = StuckSource(in_open=True)
    run = capture(source)
    run.thread.switch(StuckSource(in_open=True))
    run.thread.pause()
    run.thread.step()
    run.thread.resume()
    assert time.monotonic() - begin < 1
    assert run.thread.state == "opening"


def test_an_unexpected_error_does_not_end_the_capture(capture: Any) -> None:
    class Bug(LiveSource):
        def read(self) -> Any:
            raise ZeroDivisionError("a bug")

    run = capture(Bug())
    assert "a bug" in run.wait_event("failed").message
    run.thread.switch(LiveSource("fine"))
    assert run.frame().source == "fine"


def test_an_event_handler_that_fails_does_no_harm() -> None:
    def handler(event: Event) -> None:
        raise RuntimeError("handler")

    thread = CaptureThread(LiveSource(), FAST, on_event=handler)
    thread.start()
    assert thread.slot.get(PATIENCE_S) is not None
    assert thread.stop(PATIENCE_S)


def test_the_handler_may_switch_and_stop() -> None:
    def handler(event: Event) -> None:
        if event.kind == "ended":
            thread.switch("nonsense")
        elif event.kind == "failed":
            thread.stop(0.2)

    thread = CaptureThread(ListSource([picture()]), FAST, on_event=handler)
    thread.start()
    wait_until(lambda: thread.state == "stopped")
    assert thread.stop(PATIENCE_S)


def test_the_measured_rate(capture: Any) -> None:
    run = capture(LiveSource(period_s=0.01))
    assert run.thread.fps == 0
    wait_until(lambda: run.thread.captured > 50)
    assert 10 < run.thread.fps <= 105


def test_life_cycle() -> None:
    thread = CaptureThread("synthetic:64x48", FAST)
    assert thread.state == "stopped"
    assert thread.source_name == "synthetic:64x48"
    thread.start()
    with pytest.raises(RuntimeError):
        thread.start()
    assert thread.stop(PATIENCE_S)
    assert thread.stop()  # again: harmless
    with pytest.raises(RuntimeError):
        thread.switch("synthetic")
    assert not [t for t in threading.enumerate() if t in thread._playbacks]
    never = CaptureThread("0")
    assert never.stop()
    with pytest.raises(RuntimeError):
        never.start()


def test_a_switch_before_the_start_replaces_the_source(capture: Any) -> None:
    run = capture(StuckSource(), start=False)
    run.thread.switch(LiveSource("second"))
    run.thread.start()
    assert run.frame().source == "second"


def test_applied_is_known_once_open(capture: Any) -> None:
    run = capture("synthetic:80x60@50")
    run.frame()
    applied = run.thread.applied
    assert (applied.width, applied.height, applied.fps) == (80, 60, 50)
    assert "80x60 at 50" in run.wait_event("opened").message


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0}, {"fps": -1.0}, {"fourcc": "MJPEG"}, {"stall_s": 0.0}, {"retry_s": float("inf")}],
)
def test_options_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CaptureOptions(**wrong)
