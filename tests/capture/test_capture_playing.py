from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from livepose.capture import SourceError, SyntheticSource
from livepose.timing.timeline import now_ns

from .fakes import FAST, ListSource, LiveSource, picture, wait_until

UNPACED = replace(FAST, realtime=False)


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
