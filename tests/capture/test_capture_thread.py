from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from livepose.capture import CaptureOptions, CaptureThread, SourceError, SyntheticSource
from livepose.capture import thread as thread_module
from livepose.frames import Event
from livepose.timing.timeline import now_ns

from .fakes import FAST, PATIENCE_S, ListSource, LiveSource, StuckSource, picture, wait_until

UNPACED = replace(FAST, realtime=False)


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


def test_a_live_source_is_drained_while_paused(capture: Any) -> None:
    source = LiveSource()
    run = capture(source)
    run.frame()
    run.thread.pause()
    assert run.thread.paused
    assert run.thread.state == "paused"
    wait_until(lambda: source.reads > 5)
    run.thread.slot.clear()  # what got through before the pause
    reads, dropped = source.reads, run.thread.dropped
    wait_until(lambda: source.reads > reads + 20)
    assert run.thread.slot.get(0) is None
    assert run.thread.dropped == dropped
    resumed = now_ns()
    run.thread.resume()
    assert run.frame().timeline.start_ns > resumed - 100_000_000  # fresh, not from the pause
    assert run.thread.state == "playing"


def test_a_step_hands_over_one_live_picture(capture: Any) -> None:
    source = LiveSource()
    run = capture(source)
    run.frame()
    run.thread.pause()
    reads = source.reads
    wait_until(lambda: source.reads > reads + 2)
    run.thread.slot.clear()
    asked = now_ns()
    run.thread.step()
    frame = run.frame()
    assert frame.timeline.start_ns > asked - 50_000_000
    reads = source.reads
    wait_until(lambda: source.reads > reads + 10)
    assert run.thread.slot.get(0) is None


def test_a_file_stands_still_while_paused(capture: Any) -> None:
    source = ListSource([picture(k) for k in range(100)], fps=200)
    run = capture(source, start=False)
    run.thread.pause()
    run.thread.start()
    wait_until(lambda: source.at == 1)  # decoded ahead
    for expected in range(3):
        wait_until(lambda expected=expected: source.at == expected + 1)  # type: ignore[misc]
        assert run.thread.slot.get(0.03) is None
        assert source.at == expected + 1
        asked = now_ns()
        run.thread.step()
        frame = run.frame()
        assert frame.image[0, 0, 0] == expected
        assert frame.timeline.start_ns >= asked  # the pause is no lag
    assert run.thread.slot.get(0.03) is None
    run.thread.resume()
    assert run.frame().image[0, 0, 0] == 3
    assert len(run.drain()) > 10
    assert "stalled" not in run.kinds()


def test_a_step_without_pause_does_nothing(capture: Any) -> None:
    run = capture(ListSource([picture(k) for k in range(5)]), start=False)
    run.thread.step()
    run.thread.pause()
    run.thread.start()
    assert run.thread.slot.get(0.05) is None


def test_a_switch_while_paused_shows_the_first_picture(capture: Any) -> None:
    run = capture(LiveSource("a"))
    run.frame()
    run.thread.pause()
    run.thread.switch(ListSource([picture(k) for k in range(5)], "b"))
    frame = run.frame()
    assert frame.source == "b"
    assert frame.image[0, 0, 0] == 0
    assert run.thread.slot.get(0.05) is None
    assert run.thread.paused


def test_lossless_hands_over_every_picture_however_slow_the_consumer(capture: Any) -> None:
    run = capture(ListSource([picture(k) for k in range(60)], fps=1000), lossless=True)
    values: list[int] = []
    while len(values) < 60:
        values.append(int(run.frame().image[0, 0, 0]))
        time.sleep(0.002)
    assert values == list(range(60))
    assert run.thread.dropped == 0
    assert run.thread.captured == 60
    wait_until(lambda: run.thread.state == "ended")
    assert run.kinds()[-1] == "ended"


def test_lossless_is_not_paced(capture: Any) -> None:
    begin = time.monotonic()
    run = capture(ListSource([picture()] * 50, fps=1), lossless=True)
    assert len(run.drain()) == 50
    assert time.monotonic() - begin < 25


def test_lossless_lets_itself_be_switched_and_stopped_while_nobody_takes(capture: Any) -> None:
    run = capture(ListSource([picture(1)] * 50), lossless=True)
    wait_until(lambda: not run.thread.slot.wait_free(0))
    run.thread.switch(ListSource([picture(2)] * 50, "new"))
    assert run.frame().image[0, 0, 0] == 2
    wait_until(lambda: not run.thread.slot.wait_free(0))
    assert run.thread.stop(5)


def test_a_paced_file_plays_at_its_rate(capture: Any) -> None:
    run = capture(ListSource([picture(k) for k in range(21)], fps=50))
    frames = run.drain()
    starts = {frame.id: frame.timeline.start_ns for frame in frames}
    # Each picture begins when it is due: exactly a period after the one before, as ids are
    # consecutive also over dropped ones. Waiting for that moment is not counted as lag.
    first = min(starts)
    for k, start in starts.items():
        assert start - starts[first] == pytest.approx((k - first) * 20e6, abs=2)
    waits = sorted(frame.timeline.ms()["capture"] for frame in frames)
    assert waits[len(waits) // 2] < 10


def test_an_unpaced_file_counts_from_the_begin_of_decoding(capture: Any) -> None:
    run = capture(ListSource([picture(k) for k in range(10)], fps=1), UNPACED, lossless=True)
    before = now_ns()
    for frame in run.drain():
        assert before - 1e9 < frame.timeline.start_ns <= now_ns()
        assert frame.timeline.ms()["capture"] < 1000


def test_a_late_file_leaves_out_pictures_to_stay_in_real_time(capture: Any) -> None:
    class Slow(SyntheticSource):
        """Takes three periods to decode a picture; leaving one out is free."""

        def read(self) -> Any:
            time.sleep(0.03)
            return super().read()

    run = capture(Slow(64, 48, fps=100, frames=100))
    begin = time.monotonic()
    frames = run.drain()
    elapsed = time.monotonic() - begin
    assert run.thread.dropped >= 50
    assert run.thread.captured + run.thread.dropped >= 100
    assert frames[-1].id >= 90  # ids count what was left out
    assert elapsed < 2.5  # one second of film; all of it would take three


def test_the_end_of_a_file(capture: Any) -> None:
    run = capture(ListSource([picture(k) for k in range(3)]))
    event = run.wait_event("ended")
    assert (event.origin, event.level) == ("capture", "info")
    assert run.thread.state == "ended"
    assert not run.thread.slot.closed
    assert run.frame().image[0, 0, 0] == 2  # the last picture can still be taken
    run.thread.switch(LiveSource())
    run.frame()
    assert run.thread.state == "playing"


def test_a_file_that_breaks_off(capture: Any) -> None:
    run = capture(ListSource([picture(), SourceError("It breaks off.")]))
    event = run.wait_event("ended")
    assert event.level == "warning"
    assert "It breaks off." in event.message


def test_broken_pictures_of_a_file_are_skipped_and_counted(capture: Any) -> None:
    run = capture(ListSource([None, picture(1), None, picture(2)]), lossless=True)
    assert [f.image[0, 0, 0] for f in run.drain()] == [1, 2]
    assert run.thread.broken == 2
    assert "skipped: 2" in run.wait_event("ended").message
    assert run.wait_event("broken").level == "warning"


def test_a_file_without_any_picture_has_failed(capture: Any) -> None:
    run = capture(ListSource([None, None]))
    assert "no picture" in run.wait_event("failed").message
    assert run.thread.state == "failed"


def test_a_source_that_means_nothing_is_an_event(capture: Any) -> None:
    run = capture("/no/such/file.mp4")
    event = run.wait_event("failed")
    assert event.level == "error"
    assert "/no/such/file.mp4" in event.message
    assert run.thread.state == "failed"
    run.thread.switch("synthetic:64x48")
    assert run.frame().truth is not None


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
