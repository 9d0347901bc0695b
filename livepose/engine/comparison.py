"""Two ways to look at the same picture, and how far apart their joints are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from livepose.engine.region import SURE
from livepose.frames import Pose, Result
from livepose.skeleton import INDEX, J

_MEMORY = 0.9  # of the running means
_STAGES = ("detect", "preprocess", "upload", "forward", "decode", "download", "track")
_A, _B = INDEX["left_shoulder"], INDEX["right_hip"]


def _overall(values: np.ndarray) -> float:
    """Of those that are known, NaN for none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """pixels, torsos: (J,) mean distance of the joints of the people that both found, NaN where
    neither is sure. people: found by A, by B, and by both.
    """

    pixels: np.ndarray
    torsos: np.ndarray
    people: tuple[int, int, int]

    @property
    def mean(self) -> float:
        """In torsos over all joints, NaN for none."""
        return _overall(self.torsos)


def matched(a: Result, b: Result) -> list[tuple[Pose, Pose]]:
    """People that both found: those whose joints lie nearest together."""
    if not a.poses or not b.poses:
        return []
    apart = np.array([[_distance(p, q) for q in b.poses] for p in a.poses])
    rows, columns = linear_sum_assignment(apart)
    return [(a.poses[r], b.poses[c]) for r, c in zip(rows, columns, strict=True)
            if apart[r, c] < 1.0]  # fmt: skip


class Running:
    """How far apart two networks have been lately, joint by joint.

    torsos: (J,) running means in torsos, NaN where they have not both been sure of a joint yet.
    last: at the last frame.
    """

    def __init__(self) -> None:
        self.torsos = np.full(J, np.nan)
        self.last: Difference | None = None
        self._ways: tuple[str, ...] = ()

    def add(self, a: Result, b: Result) -> None:
        """Two results of one frame; after a change of A or B it begins anew."""
        ways = (a.model, a.way, b.model, b.way)
        if ways != self._ways:
            self._ways, self.torsos = ways, np.full(J, np.nan)
        self.last = of = difference(a, b)
        moved = _MEMORY * self.torsos + (1 - _MEMORY) * of.torsos
        fresh = np.where(np.isnan(self.torsos), of.torsos, moved)
        self.torsos = np.where(np.isnan(of.torsos), self.torsos, fresh)

    def __str__(self) -> str:
        mean = _overall(self.torsos)
        return "nobody to compare" if np.isnan(mean) else f"{100 * mean:.1f} % of a torso apart"


def network_ms(result: Result) -> float:
    """What the network took for this picture, from the cut-out squares to the people."""
    spent = result.frame.timeline.ms()
    return sum(spent.get(stage, 0.0) for stage in _STAGES)


def difference(a: Result, b: Result) -> Difference:
    """Between two results of one frame.

    Raises:
        ValueError: they are of different frames.
    """
    if a.frame.id != b.frame.id or a.frame.source != b.frame.source:
        raise ValueError(f"frames {a.frame.id} and {b.frame.id} are not the same")
    pairs = matched(a, b)
    pixels = np.full((max(1, len(pairs)), J), np.nan)
    torsos = pixels.copy()
    for row, (p, q) in enumerate(pairs):
        both = (p.confidence >= SURE) & (q.confidence >= SURE)
        pixels[row] = np.where(both, np.linalg.norm(p.joints - q.joints, axis=1), np.nan)
        torsos[row] = pixels[row] / _torso(p)
    people = (len(a.poses), len(b.poses), len(pairs))
    return Difference(_mean(pixels), _mean(torsos), people)


def _distance(p: Pose, q: Pose) -> float:
    """Median distance of their joints in torsos; far where they share none."""
    both = (p.confidence >= SURE) & (q.confidence >= SURE)
    if not both.any():
        return 1e6
    return float(np.median(np.linalg.norm((p.joints - q.joints)[both], axis=1)) / _torso(p))


def _torso(pose: Pose) -> float:
    size = float(np.linalg.norm(pose.joints[_A] - pose.joints[_B]))
    return max(size, 0.1 * float(np.ptp(pose.joints, axis=0).max()), 1.0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the rows, NaN where all are."""
    count = (~np.isnan(values)).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)
