"""Steady without lag: what the filter takes away, what it costs, and that it says so."""

from __future__ import annotations

import numpy as np
import pytest

from livepose.engine.smoothing import RESET_S, NumberFilter, PointFilter, Smoothing

FPS = 30.0
SURE, UNIT = np.ones((1, 1)), np.array([100.0])


def filtered(
    track: np.ndarray, settings: Smoothing = Smoothing(), unit: float = 100.0,
    confidence: float = 1.0,
) -> tuple[np.ndarray, PointFilter]:  # fmt: skip
    """A track (F, D) of one point at 30 pictures a second."""
    f = PointFilter.new(1, 1, track.shape[1])
    c, size = np.full((1, 1), confidence), np.array([unit])
    return np.array([f(p[None, None], c, k / FPS, size, settings)[0, 0]
                     for k, p in enumerate(track)]), f  # fmt: skip


def test_what_stands_still_is_steady() -> None:
    noise = np.random.default_rng(0).normal(0, 0.5, (300, 2)) + 50
    out, _ = filtered(noise)
    assert out[60:].std() < 0.5 * noise.std()
    assert out.mean() == pytest.approx(50, abs=0.3)


@pytest.mark.parametrize("follow", [0.0, 0.8])
@pytest.mark.parametrize("speed", [100.0, 700.0])
def test_the_lag_is_the_one_that_is_said(speed: float, follow: float) -> None:
    ramp = speed * np.arange(300)[:, None] / FPS
    out, f = filtered(ramp, Smoothing(follow=follow))
    late = (ramp[-1] - out[-1]) / speed
    assert f.lag_s == pytest.approx(late[0], abs=5e-4)
    assert f.velocity == pytest.approx(speed, rel=0.01)


def test_the_lag_of_a_wave_is_measured_too() -> None:
    at = np.arange(300) / FPS
    out, f = filtered(100 * np.sin(4 * at)[:, None])
    shifts = np.arange(0, 0.1, 0.001)
    misses = [np.abs(out[100:, 0] - 100 * np.sin(4 * (at[100:] - s))).sum() for s in shifts]
    assert f.lag_s == pytest.approx(shifts[np.argmin(misses)], abs=0.004)


def test_following_takes_lag_out_of_motion() -> None:
    wave = 100 * np.sin(4 * np.arange(300) / FPS)[:, None]
    lags = [filtered(wave, Smoothing(follow=g))[1].lag_s for g in (0.0, 1.0)]
    assert lags[1] < 0.7 * lags[0]


def test_a_sudden_stop_is_not_overrun() -> None:
    way = np.minimum(300 * np.arange(60) / FPS, 300.0)[:, None]
    out, _ = filtered(way)
    assert out.max() < 300 + 10  # a tenth of a person size


def test_a_distant_person_is_as_steady_as_a_near_one() -> None:
    noise = np.random.default_rng(0).normal(0, 2, (100, 2))
    near, _ = filtered(noise, unit=100)
    far, _ = filtered(noise / 10, unit=10)
    assert np.allclose(near, 10 * far)


def test_guessed_joints_move_less() -> None:
    noise = np.random.default_rng(0).normal(0, 2, (300, 2))
    sure, unsure = (filtered(noise, confidence=c)[0][60:].std() for c in (1.0, 0.2))
    assert unsure < 0.8 * sure


def test_a_jump_of_one_picture_is_not_seen_and_a_lasting_one_is() -> None:
    track = np.zeros((40, 2))
    track[20] = 400
    out, _ = filtered(track)
    assert np.abs(out).max() < 1e-6
    track[20:] = 400
    out, _ = filtered(track)
    assert np.abs(out[20]).max() < 1e-6
    assert out[21:24].max() > 200  # one picture later, not a second


def test_a_fast_hand_is_no_jump() -> None:
    swing = 150 * np.sin(2 * np.pi * 2.5 * np.arange(60) / FPS)[:, None]  # up to 23 sizes a second
    out, _ = filtered(swing, Smoothing(follow=0.0))
    assert np.abs(out - swing)[5:].max() < 75


def test_after_a_pause_or_backwards_in_time_it_starts_afresh() -> None:
    f = PointFilter.new(1, 1, 2)
    for k in range(10):
        f(np.zeros((1, 1, 2)), SURE, k / FPS, UNIT)
    there = np.full((1, 1, 2), 500.0)
    assert np.allclose(f(there, SURE, 10 / FPS + RESET_S, UNIT), 500)
    assert np.allclose(f(there - 200, SURE, 0.0, UNIT), 300)
    # The same picture twice: nothing moves.
    assert np.allclose(f(there, SURE, 0.0, UNIT), 300)
    assert f.lag_s == 0


def test_people_do_not_disturb_each_other() -> None:
    """Together as each alone, while they come and go and jump, and a picture comes twice."""
    rng = np.random.default_rng(0)
    tracks = np.cumsum(rng.normal(0, 2, (200, 3, 4, 2)), 0)
    tracks[50:52, 1] += 300
    tracks[100:, 2, :2] += 300
    there = rng.random((200, 3)) < 0.9
    there[120:150, 0] = False  # longer than RESET_S
    times = np.arange(200) / FPS
    times[80] = times[79]
    confidence, size = rng.random((200, 3, 4)), np.array([60.0, 100.0, 200.0])
    doubtful = rng.random((200, 3, 4)) < 0.02
    together, alone = PointFilter.new(3, 4, 2), [PointFilter.new(1, 4, 2) for _ in range(3)]
    for k, who in enumerate(there):
        some = together[who]
        out = some(
            tracks[k][who], confidence[k][who], times[k], size[who], doubtful=doubtful[k][who]
        )
        together[who] = some
        for row, p in enumerate(np.flatnonzero(who)):
            (own,) = alone[p](tracks[k, [p]], confidence[k, [p]], times[k], size[[p]],
                              doubtful=doubtful[k, [p]])  # fmt: skip
            assert np.allclose(out[row], own, rtol=1e-12)
            assert some.lag_s[row] == pytest.approx(alone[p].lag_s[0])
    assert np.allclose(PointFilter.joined(alone).points, together.points, rtol=1e-12)


def test_a_number_is_filtered_as_a_point_is() -> None:
    settings = Smoothing(beta=1.0, d_cutoff=1.0, follow=0.5)
    numbers, points = NumberFilter(), PointFilter.new(1, 1, 1)
    rng = np.random.default_rng(0)
    way = np.cumsum(rng.normal(0, 0.02, 200))
    way[50] += 3  # a jump of one picture
    way[100:] += 3  # one that lasts
    times = np.cumsum(np.where(rng.random(200) < 0.02, 2 * RESET_S, 1 / FPS))
    times[150] = times[149]  # the same picture again
    got = [numbers(float(x), t, settings) for x, t in zip(way, times, strict=True)]
    wanted = [points(np.array([[[x]]]), SURE, t, SURE[0], settings)[0, 0, 0]
              for x, t in zip(way, times, strict=True)]  # fmt: skip
    assert got == pytest.approx(wanted)
    assert not np.allclose(got, way, atol=0.5)  # the jump
    numbers.forget()
    assert numbers(7.0, times[-1], settings) == 7.0


def test_frame_rate_does_not_matter() -> None:
    seconds = np.arange(0, 2, 1 / 60)
    way = 80 * np.sin(4 * seconds)[:, None]
    ends = []
    for step in (1, 2):
        f = PointFilter.new(1, 1, 1)
        for t, p in zip(seconds[::step], way[::step], strict=True):
            out = f(p[None, None], SURE, t, UNIT)
        ends.append(out[0, 0, 0] - p[0])
    assert abs(ends[0] - ends[1]) < 3


@pytest.mark.parametrize("wrong", [{"min_cutoff": 0}, {"beta": -1}, {"follow": 2}, {"d_cutoff": 0}])
def test_meaningless_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cut-offs"):
        Smoothing(**wrong)  # type: ignore[arg-type]
