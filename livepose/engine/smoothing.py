"""Steady joints, with the lag that this costs computed rather than guessed.

After Casiez, Roussel, Vogel: *1 Euro Filter*, CHI 2012: a low-pass filter whose cut-off rises with
speed, so that what stands still is held and what moves is let through. Here

- speed is in person sizes per second, so that a child in the distance is as steady as an adult
  near by;
- a joint that the network is unsure of moves the filter less: with confidence c, a step of the
  filter keeps ``(1 - alpha) ** c`` of what it had;
- what moves is expected to go on moving: the filter corrects a prediction by its own speed, which
  takes most of the lag out of steady motion (see `Smoothing.follow`);
- noise looks like speed: both the cut-off and the prediction only count what is beyond it;
- a joint that jumps farther than a body can move waits for a second picture that agrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# After so long without a measurement the old values say nothing about the new ones.
RESET_S = 0.5
# A joint that moves faster than this, in person sizes a second, from where it was expected, is
# not believed at once. A hand that throws reaches about 20.
_GATE = 25.0
_GATE_LEAST = 0.3  # person sizes: noise at any frame rate
# Person sizes a second: the speed that somebody who stands still seems to have.
_NOISE = 0.1
# Seconds over which the lag is measured.
_LAG_WINDOW_S = 2.0


@dataclass(frozen=True, slots=True)
class Smoothing:
    """What the user sets.

    min_cutoff: Hz, of a joint at rest; lower is steadier. beta: Hz by which the cut-off rises at
    a speed of one person size a second; higher is less lag. d_cutoff: Hz, of the speed itself.
    follow: 0..1, how much of the speed is expected to last. predict: joints as they will be when
    they are painted. on: False hands the network's own joints through.
    """

    on: bool = True
    min_cutoff: float = 0.3
    beta: float = 10.0
    d_cutoff: float = 2.0
    follow: float = 1.0
    predict: bool = False

    def __post_init__(self) -> None:
        if min(self.min_cutoff, self.d_cutoff) <= 0 or self.beta < 0 or not 0 <= self.follow <= 1:
            raise ValueError(
                f"cut-offs must be positive, beta not negative, follow in 0..1: {self}"
            )


def alpha(cutoff: np.ndarray | float, dt: float) -> np.ndarray | float:
    """Weight of a new value in a low-pass filter of first order; cutoff in Hz, dt in seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * dt))


@dataclass(slots=True)
class _State:
    points: np.ndarray
    velocity: np.ndarray
    motion: np.ndarray
    raw: np.ndarray
    doubted: np.ndarray
    time_s: float
    before: tuple[np.ndarray, float]  # points and time one picture earlier
    late: float = 0.0  # sums of the lag's regression
    moved: float = 0.0

    def ahead(self, dt: float) -> np.ndarray:
        """Where the raw points should be by then."""
        return self.raw + self.velocity * dt


class PointFilter:
    """Filters points (N, D) of one person over time.

    velocity: (N, D), of the points, in their unit per second. motion: what of it is
    surely more than noise.
    lag_s: how far the steady points are behind the raw ones, measured over the last seconds: the
    time that, times the velocity, explains their distance best. 0 while nothing moves.
    """

    def __init__(self, settings: Smoothing = Smoothing()) -> None:
        self.settings = settings
        self.lag_s = 0.0
        self._state: _State | None = None

    @property
    def velocity(self) -> np.ndarray | float:
        return 0.0 if self._state is None else self._state.velocity

    @property
    def motion(self) -> np.ndarray | float:
        return 0.0 if self._state is None else self._state.motion

    def expected(self, time_s: float) -> np.ndarray | None:
        """(N, D) where the next points should be; None where nothing is known of them."""
        state = self._fresh(time_s)
        return None if state is None else state.ahead(time_s - state.time_s)

    @property
    def last(self) -> np.ndarray | None:
        """(N, D) the steady points of the picture before, if there is one."""
        return None if self._state is None else self._state.points

    def reorder(self, order: np.ndarray) -> None:
        """What is known of point n has been of point ``order[n]``."""
        state = self._state
        if state is not None and (order != np.arange(len(order))).any():
            for name in ("points", "velocity", "motion", "raw", "doubted"):
                setattr(state, name, getattr(state, name)[order])
            state.before = state.before[0][order], state.before[1]

    def reset(self) -> None:
        """The next points are taken as they are: another person, or another place in the film."""
        self._state, self.lag_s = None, 0.0

    def __call__(
        self, points: np.ndarray, confidence: np.ndarray, time_s: float, unit: float,
        doubtful: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """The steady points.

        Args:
            points: (N, D), all finite. confidence: (N,) in 0..1.
            time_s: when the picture was taken. unit: the person's size in the unit of the points.
            doubtful: (N,) bool, those to stay where they are, whatever the picture says.
        """
        points = points.astype(float)
        state = self._fresh(time_s)
        if state is not None and time_s == state.time_s:
            return state.points  # the same picture again
        if state is None:
            nowhere, still = np.full_like(points, np.inf), np.zeros_like(points)
            self._state = _State(points, still, still, points, nowhere, time_s, (points, time_s))
            self.lag_s = 0.0
            return points
        dt = time_s - state.time_s
        here = (state.points, state.time_s), state.raw
        self._step(state, _gated(state, points, dt, unit, doubtful), confidence, dt, unit)
        self._measure(state, *here, time_s, unit)
        return state.points

    def _fresh(self, time_s: float) -> _State | None:
        """What was known a moment ago, if it still says something."""
        state = self._state
        return state if state is not None and 0 <= time_s - state.time_s < RESET_S else None

    def _step(
        self, state: _State, raw: np.ndarray, confidence: np.ndarray, dt: float, unit: float
    ) -> None:
        s = self.settings
        rate = (raw - state.raw) / dt
        state.velocity = state.velocity + alpha(s.d_cutoff, dt) * (rate - state.velocity)
        state.raw = raw
        speed = np.abs(state.velocity) / unit
        real = speed / (speed + _NOISE)
        # Carried on to the painting, noise would count for more than within one step.
        state.motion = real**2 * state.velocity
        weight = np.clip(confidence, 0.02, 1)[:, None]
        keep = (1 - alpha(s.min_cutoff + s.beta * real * speed, dt)) ** weight
        expected = state.points + s.follow * real * state.velocity * dt
        state.points = expected + (1 - keep) * (raw - expected)

    def _measure(
        self, state: _State, here: tuple[np.ndarray, float], raw: np.ndarray, time_s: float,
        unit: float,
    ) -> None:  # fmt: skip
        """The lag at the picture before, whose velocity is known from both of its neighbours."""
        (points, at), (earlier, since) = here, state.before
        state.before, state.time_s = here, time_s
        if since == at:
            return
        velocity = (state.points - earlier) / (time_s - since) / unit
        fade = 0.5 ** ((time_s - at) / _LAG_WINDOW_S)
        state.late = fade * state.late + float((velocity * (raw - points)).sum()) / unit
        state.moved = fade * state.moved + float((velocity**2).sum())
        self.lag_s = state.late / state.moved if state.moved > 1e-9 else 0.0


def _gated(
    state: _State, points: np.ndarray, dt: float, unit: float, doubtful: np.ndarray | None
) -> np.ndarray:
    """The points, those that jump held back until a second picture agrees."""
    reach = unit * max(_GATE_LEAST, _GATE * dt)
    expected = state.ahead(dt)
    jumps = np.linalg.norm(points - expected, axis=1) > reach
    jumps &= ~(np.linalg.norm(points - state.doubted, axis=1) < reach)
    if doubtful is not None:
        jumps |= doubtful
    state.doubted = np.where(jumps[:, None], points, np.inf)
    # Where doubtful points seemed to go, says nothing about where they are.
    held = expected if doubtful is None else np.where(doubtful[:, None], state.raw, expected)
    return np.where(jumps[:, None], held, points)
