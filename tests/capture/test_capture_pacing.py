from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from livepose.capture.pacing import MAX_LAG_S, Pacer

MS = 1_000_000


def test_pictures_are_due_as_far_apart_as_in_the_file() -> None:
    pacer = Pacer(0.040)
    assert pacer.due_ns(0.0, 1000 * MS) == 1000 * MS
    # Decoded early or late, and at a varying rate.
    assert pacer.due_ns(0.040, 1001 * MS) == 1040 * MS
    assert pacer.due_ns(0.060, 1100 * MS) == 1060 * MS
    assert pacer.due_ns(0.200, 1101 * MS) == 1200 * MS


def test_without_positions_the_rate_counts() -> None:
    pacer = Pacer(0.010)
    assert [pacer.due_ns(None, 0) for _ in range(4)] == [0, 10 * MS, 20 * MS, 30 * MS]


def test_a_loop_goes_on_one_period_later() -> None:
    pacer = Pacer(0.010)
    dues = [pacer.due_ns(s, 0) for s in (0.0, 0.01, 0.02, 0.0, 0.01)]
    assert dues == [0, 10 * MS, 20 * MS, 30 * MS, 40 * MS]


def test_broken_positions_do_not_stop_the_film() -> None:
    pacer = Pacer(0.010)
    dues = [pacer.due_ns(s, 0) for s in (0.0, 9999.0, 9999.01, 9999.01)]
    assert dues == [0, 10 * MS, 20 * MS, 30 * MS]


def test_late_pictures_are_left_out() -> None:
    pacer = Pacer(0.010)
    assert pacer.late(5 * MS) == 0  # nothing shown yet
    pacer.due_ns(0.0, 0)
    assert pacer.late(10 * MS) == 0  # the next is due just now
    assert pacer.late(19 * MS) == 0  # less than a period late
    assert pacer.late(20 * MS) == 1
    assert pacer.late(55 * MS) == 4
    pacer.skipped(4)
    assert pacer.due_ns(0.05, 55 * MS) == 50 * MS


def test_left_out_pictures_count_where_positions_do_not_tell() -> None:
    pacer = Pacer(0.010)
    for media_s in (None, 0.0):
        first = pacer.due_ns(media_s, 0)
        pacer.skipped(3)
        assert pacer.due_ns(media_s, 0) == first + 40 * MS
        pacer = Pacer(0.010)


def test_after_a_pause_the_clock_goes_on_from_there() -> None:
    pacer = Pacer(0.010)
    pacer.due_ns(0.0, 0)
    pacer.due_ns(0.01, 0)
    pacer.restart(5000 * MS)
    assert pacer.due_ns(0.02, 5001 * MS) == 5010 * MS
    assert pacer.late(5015 * MS) == 0


@settings(deadline=None)
@given(st.lists(st.integers(0, 3_000 * MS), min_size=1, max_size=50))
def test_lag_is_bounded_whatever_decoding_takes(decode_ns: list[int]) -> None:
    pacer, now, last = Pacer(0.033), 0, -1
    for k, cost in enumerate(decode_ns):
        now += cost
        due = pacer.due_ns(k * 0.033, now)
        assert now - due <= MAX_LAG_S * 1e9
        assert due > last
        now, last = max(now, due), due
