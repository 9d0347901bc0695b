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
from typing import Generic, TypeVar

import numpy as np

Value = TypeVar("Value", np.ndarray, float)

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


def alpha(cutoff: Value, dt: float) -> Value:
    """Weight of a new value in a low-pass filter of first order; cutoff in Hz, dt in seconds."""
    return 1 - 1 / (1 + 2 * math.pi * cutoff * dt)


@dataclass(slots=True)
class _Euro(Generic[Value]):
    """The filter itself. raw: what came in last, at `time_s`; doubted: what was held back then."""

    points: Value
    velocity: Value
    motion: Value
    raw: Value
    time_s: float
    doubted: Value | None = None

    def ahead(self, dt: float) -> Value:
        """Where the raw points should be by then."""
        return self.raw + self.velocity * dt

    def step(self, raw: Value, weight: Value, time_s: float, unit: float, s: Smoothing) -> None:
        """Takes in what comes next; weight: 0..1, how far it counts."""
        dt = time_s - self.time_s
        rate = (raw - self.raw) / dt
        self.velocity = self.velocity + alpha(s.d_cutoff, dt) * (rate - self.velocity)
        self.raw, self.time_s = raw, time_s
        speed = abs(self.velocity) / unit
        real = speed / (speed + _NOISE)
        # Carried on to the painting, noise would count for more than within one step.
        self.motion = real * real * self.velocity
        # (1 - alpha) ** weight, see `alpha`.
        keep = (1 + 2 * math.pi * dt * (s.min_cutoff + s.beta * real * speed)) ** -weight
        expected = self.points + s.follow * dt * real * self.velocity
        self.points = expected + (1 - keep) * (raw - expected)


@dataclass(slots=True)
class _State(_Euro[np.ndarray]):
    before: tuple[np.ndarray, float] | None = None  # points and time one picture earlier
    late: float = 0.0  # sums of the lag's regression
    moved: float = 0.0


def _goes_on(state: _Euro[Value] | None, time_s: float) -> bool:
    """Whether what was known a moment ago still says something."""
    return state is not None and 0 <= time_s - state.time_s < RESET_S


def _reach(dt: float, unit: float) -> float:
    return unit * max(_GATE_LEAST, _GATE * dt)


class NumberFilter:
    """Filters one number over time, in a unit of its own: there is no person's size in it."""

    def __init__(self, settings: Smoothing = Smoothing()) -> None:
        self.settings = settings
        self._state: _Euro[float] | None = None

    def reset(self) -> None:
        """The next number is taken as it is."""
        self._state = None

    def __call__(self, number: float, time_s: float) -> float:
        """The steady number; time_s: when the picture was taken."""
        state = self._state
        if state is None or not _goes_on(state, time_s):
            self._state = _Euro(number, 0.0, 0.0, number, time_s)
            return number
        dt = time_s - state.time_s
        if not dt:
            return state.points  # the same picture again
        raw, doubted, reach = number, None, _reach(dt, 1.0)
        if abs(number - state.ahead(dt)) > reach and not (
            state.doubted is not None and abs(number - state.doubted) < reach
        ):
            raw, doubted = state.ahead(dt), number
        state.step(raw, 1.0, time_s, 1.0, self.settings)
        state.doubted = doubted
        return state.points


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
        state = self._state
        if state is None or not _goes_on(state, time_s):
            return None
        return state.ahead(time_s - state.time_s)

    @property
    def last(self) -> np.ndarray | None:
        """(N, D) the steady points of the picture before, if there is one."""
        return None if self._state is None else self._state.points

    def reorder(self, order: np.ndarray) -> None:
        """What is known of point n has been of point ``order[n]``."""
        state = self._state
        if state is None:
            return
        for name in ("points", "velocity", "motion", "raw", "doubted"):
            if (known := getattr(state, name)) is not None:
                setattr(state, name, known[order])
        if state.before is not None:
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
        state = self._state
        if state is None or not _goes_on(state, time_s):
            still = np.zeros_like(points)
            self._state, self.lag_s = _State(points, still, still, points, time_s), 0.0
            return points
        if time_s == state.time_s:
            return state.points  # the same picture again
        here, before = (state.points, state.time_s), state.raw
        raw, state.doubted = _gated(state, points, time_s - state.time_s, unit, doubtful)
        weight = np.minimum(np.maximum(confidence, 0.02), 1)[:, None]
        state.step(raw, weight, time_s, unit, self.settings)
        self._measure(state, here, before, unit)
        return state.points

    def _measure(
        self, state: _State, here: tuple[np.ndarray, float], raw: np.ndarray, unit: float
    ) -> None:
        """The lag at the picture before, whose velocity is known from both of its neighbours."""
        (points, at), earlier, time_s = here, state.before, state.time_s
        state.before = here
        if earlier is None:
            return
        velocity = (state.points - earlier[0]) / ((time_s - earlier[1]) * unit)
        fade = 0.5 ** ((time_s - at) / _LAG_WINDOW_S)
        state.late = fade * state.late + float(np.vdot(velocity, raw - points)) / unit
        state.moved = fade * state.moved + float(np.vdot(velocity, velocity))
        self.lag_s = state.late / state.moved if state.moved > 1e-9 else 0.0


def _gated(
    state: _State, points: np.ndarray, dt: float, unit: float, doubtful: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The points, those that jump held back until a second picture agrees; and what is held back.

    Returns:
        ``(points, doubted)``: (N, D) twice, infinite in the second what is not doubted; None for
        nothing at all.
    """
    reach = _reach(dt, unit)
    expected = state.ahead(dt)
    jumps = _far(points, expected, reach)
    if state.doubted is not None:
        jumps &= _far(points, state.doubted, reach)
    if doubtful is not None:
        jumps |= doubtful
    if not jumps.any():
        return points, None
    # Where doubtful points seemed to go, says nothing about where they are.
    held = expected if doubtful is None else np.where(doubtful[:, None], state.raw, expected)
    return np.where(jumps[:, None], held, points), np.where(jumps[:, None], points, np.inf)


def _far(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
    """(N,) bool: which of the points are farther apart than that."""
    off = a - b
    far: np.ndarray = (off * off).sum(1) > reach * reach
    return far
