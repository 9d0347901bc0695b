"""A time that goes forward, whatever the stamps of a film say."""

from __future__ import annotations

import pytest

from livepose.engine.clock import MediaClock

CUT_S = 1.0


def times(*media_s: float | None, step_s: float = 0.04) -> list[float]:
    """Of pictures that were taken at even distances."""
    clock = MediaClock(CUT_S)
    return [clock(at, 7 + k * step_s) for k, at in enumerate(media_s)]


def test_the_place_in_the_film_counts() -> None:
    # Slower than the film, a pause, a part left out.
    assert times(5, 5.1, 5.2, 6.0, step_s=3) == pytest.approx([0, 0.1, 0.2, 1.0])


@pytest.mark.parametrize("stamp", [None, 0.0])
def test_without_stamps_the_clock_runs_on(stamp: float | None) -> None:
    assert times(*[stamp] * 4) == pytest.approx([0, 0.04, 0.08, 0.12])


def test_stamps_out_of_order_are_no_new_beginning() -> None:
    now = times(0, 0.04, 0.08, 0.07, 0.16, 0.2)
    assert now == sorted(now)
    assert now[-1] == pytest.approx(0.24, abs=0.041)


def test_a_stamp_from_nowhere_is_not_believed() -> None:
    assert times(0, 95443.7, 95443.74) == pytest.approx([0, 0.04, 0.08])


def test_a_film_that_begins_again_is_a_cut() -> None:
    assert times(3, 3.04, 0, 0.04, 2.0, 1.0) == pytest.approx(
        [0, 0.04, 0.04 + CUT_S, 0.08 + CUT_S, 2.04 + CUT_S, 2.04 + 2 * CUT_S]
    )


def test_from_a_film_to_a_camera() -> None:
    assert times(3, 3.1, None, None, 0.0, 0.1) == pytest.approx([0, 0.1, 0.14, 0.18, 0.22, 0.32])
