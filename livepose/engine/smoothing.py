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
from typing import TypeVar

import numpy as np

from livepose.rows import Rows

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


def alpha(cutoff: float, dt: Value) -> Value:
    """Weight of a new value in a low-pass filter of first order; cutoff in Hz, dt in seconds."""
    return 1 - 1 / (1 + 2 * math.pi * cutoff * dt)


def _step(
    points: Value, velocity: Value, before: Value, raw: Value, weight: Value, dt: Value,
    unit: Value, s: Smoothing,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """Points, velocity and motion of a `PointFilter` one picture on.

    The raw points were `before`, and count by `weight` in 0..1.
    """
    velocity = velocity + alpha(s.d_cutoff, dt) * ((raw - before) / dt - velocity)
    speed = abs(velocity) / unit
    real = speed / (speed + _NOISE)
    follows = real * velocity
    # (1 - alpha) ** weight, see `alpha`.
    keep = (1 + 2 * math.pi * dt * (s.min_cutoff + s.beta * real * speed)) ** -weight
    expected = points + s.follow * dt * follows
    # Carried on to the painting, noise would count for more than within one step.
    return expected + (1 - keep) * (raw - expected), velocity, real * follows


class NumberFilter:
    """Filters one number over time, in a unit of its own: there is no person's size in it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next number is taken as it is."""
        self._time_s, self._number, self._velocity, self._raw = -math.inf, 0.0, 0.0, 0.0
        self._doubted = math.inf

    def __call__(self, number: float, time_s: float, settings: Smoothing) -> float:
        """The steady number; time_s: when the picture was taken. The same one moves nothing."""
        dt = time_s - self._time_s
        if not 0 <= dt < RESET_S:
            self.forget()
            self._time_s, self._number, self._raw = time_s, number, number
        elif dt:
            self._time_s = time_s
            expected, reach = self._raw + self._velocity * dt, max(_GATE_LEAST, _GATE * dt)
            jumps = min(abs(number - expected), abs(number - self._doubted)) > reach
            raw = expected if jumps else number
            self._doubted = number if jumps else math.inf
            self._number, self._velocity, _ = _step(
                self._number, self._velocity, self._raw, raw, 1.0, dt, 1.0, settings
            )
            self._raw = raw
        return self._number


@dataclass
class PointFilter(Rows):
    """Filters the points (N, D) of P people over time; `new` makes one.

    points: (P, N, D), steady. raw: what came in last, at `time_s` (P,). velocity: of the points, in
    their unit per second. motion: what of it is surely more than noise. doubted: what was held back
    in the last picture, infinite where nothing was.
    """

    points: np.ndarray
    raw: np.ndarray
    velocity: np.ndarray
    motion: np.ndarray
    doubted: np.ndarray
    time_s: np.ndarray
    # One picture earlier; and sums of the lag's regression.
    before: np.ndarray
    before_s: np.ndarray
    late: np.ndarray
    moved: np.ndarray

    @classmethod
    def new(cls, people: int, number: int, dimensions: int) -> PointFilter:
        """For so many people, of whose points nothing is known yet."""
        shape = people, number, dimensions
        points, raw, velocity, motion, before = (np.zeros(shape) for _ in range(5))
        time_s, before_s = (np.full(people, -np.inf) for _ in range(2))
        return cls(points, raw, velocity, motion, np.full(shape, np.inf), time_s,
                   before, before_s, np.zeros(people), np.zeros(people))  # fmt: skip

    @property
    def lag_s(self) -> np.ndarray:
        """(P,) how far the steady points are behind the raw ones, over the last seconds: the time
        that, times the velocity, explains their distance best. 0 while nothing moves.
        """
        return np.where(self.moved > 1e-9, self.late / np.maximum(self.moved, 1e-9), 0.0)

    def known(self, time_s: float) -> np.ndarray:
        """(P,) bool: of whom what was known a moment ago still says something."""
        dt = time_s - self.time_s
        known: np.ndarray = (dt >= 0) & (dt < RESET_S)
        return known

    def expected(self, time_s: float) -> np.ndarray:
        """(P, N, D) where the next raw points should be, of those who are `known`."""
        return self.raw + self.velocity * (time_s - self.time_s)[:, None, None]

    def start(self, who: np.ndarray, points: np.ndarray, time_s: float) -> None:
        """Takes the points (P, N, D) of some people, (P,) bool, as they are."""
        fresh = PointFilter.new(int(who.sum()), *points.shape[1:])
        fresh.points[...] = fresh.raw[...] = points[who]
        fresh.time_s.fill(time_s)
        self[who] = fresh

    def reorder(self, order: np.ndarray) -> None:
        """What is known of a person's point n has been of ``order[n]``; order: (P, N)."""
        for name in ("points", "raw", "velocity", "motion", "doubted", "before"):
            setattr(self, name, np.take_along_axis(getattr(self, name), order[..., None], 1))

    def __call__(
        self, points: np.ndarray, confidence: np.ndarray, time_s: float, unit: np.ndarray,
        settings: Smoothing = Smoothing(), doubtful: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """The steady points.

        Args:
            points: (P, N, D), all finite. confidence: (P, N) in 0..1.
            time_s: when the picture was taken. The same picture again moves nothing.
            unit: (P,) the people's sizes in the unit of the points.
            doubtful: (P, N) bool, those to stay where they are, whatever the picture says.
        """
        points = points.astype(float)
        dt = time_s - self.time_s
        moving = (dt > 0) & (dt < RESET_S)
        if moving.all():
            self._step(points, confidence, time_s, unit, settings, doubtful)
        else:
            self.start(~self.known(time_s), points, time_s)
            some = self[moving]
            some._step(points[moving], confidence[moving], time_s, unit[moving], settings,
                       None if doubtful is None else doubtful[moving])  # fmt: skip
            self[moving] = some
        return self.points.copy()

    def _step(
        self, points: np.ndarray, confidence: np.ndarray, time_s: float, unit: np.ndarray,
        s: Smoothing, doubtful: np.ndarray | None,
    ) -> None:  # fmt: skip
        """One picture on, for all people."""
        here, here_s, before = self.points, self.time_s, self.raw
        dt = time_s - here_s
        raw = self._gated(points, dt, unit, doubtful)
        weight = np.minimum(np.maximum(confidence, 0.02), 1)[..., None]
        dt3, unit3 = dt[:, None, None], unit[:, None, None]
        self.points, self.velocity, self.motion = _step(
            here, self.velocity, before, raw, weight, dt3, unit3, s
        )
        self.raw, self.time_s = raw, np.full(len(dt), time_s)
        self._measure(here, here_s, before, unit3)

    def _measure(
        self, here: np.ndarray, here_s: np.ndarray, raw: np.ndarray, unit: np.ndarray
    ) -> None:
        """The lag at the picture before, whose velocity is known from both of its neighbours."""
        velocity = (self.points - self.before) / (
            unit * (self.time_s - self.before_s)[:, None, None]
        )
        fade = 0.5 ** ((self.time_s - here_s) / _LAG_WINDOW_S)
        self.late = fade * self.late + _dot(velocity, raw - here) / unit[:, 0, 0]
        self.moved = fade * self.moved + _dot(velocity, velocity)
        self.before, self.before_s = here, here_s

    def _gated(
        self, points: np.ndarray, dt: np.ndarray, unit: np.ndarray, doubtful: np.ndarray | None
    ) -> np.ndarray:
        """The points, those that jump held back until a second picture agrees."""
        reach = (unit * np.maximum(_GATE_LEAST, _GATE * dt))[:, None]
        expected = self.raw + self.velocity * dt[:, None, None]
        jumps = _far(points, expected, reach)
        if doubtful is None and not jumps.any():
            self.doubted.fill(np.inf)
            return points
        jumps &= _far(points, self.doubted, reach)
        if doubtful is not None:
            jumps |= doubtful
            # Where doubtful points seemed to go, says nothing about where they are.
            expected = np.where(doubtful[..., None], self.raw, expected)
        self.doubted = np.where(jumps[..., None], points, np.inf)
        return np.where(jumps[..., None], expected, points)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(P, N, D) twice -> (P,)"""
    dot: np.ndarray = np.einsum("pnd,pnd->p", a, b)
    return dot


def _far(a: np.ndarray, b: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(P, N) bool: which of the points are farther apart than that."""
    off = a - b
    far: np.ndarray = (off * off).sum(-1) > reach * reach
    return far
