"""What a joint's heatmaps say, in numbers: for the inspector, and for whoever asks why.

Coordinates are those of `livepose.dsnt`: -1..1 across the square that the network saw. What counts
as wide or far is measured in cells of a map, because that is what networks learn: a Gaussian with
a deviation of one cell, whatever the map's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from livepose.frames import Heatmaps, Stage

VIEWS = ("xy", "zy", "xz")
SIDES = ("left", "right", "top", "bottom")
# Bits of the Gaussian that is learned.
LEARNED = math.log2(2 * math.pi * math.e)
IN_USE = "in use"  # the name of the last stage: what the coordinates come from

# Of a distribution that reaches beyond the picture only the inner part is there, and its mean lies
# inside of the joint: DSNT's bias near the edge. With this much in the cells along a border it
# begins to matter: the mean of what is learned is off by 0.04 cells, that of a wider map by more.
_CUT = 0.1
_WINDOW = 5  # cells about the peak to each side, which x and y usually come from
_APART = 2.0  # cells that zy and xz may differ
# Another peak counts from this part of the highest, with a valley of this part of its own height.
_SECOND, _VALLEY = 0.25, 0.5
_TRIED = 10  # peaks of a map that is nothing but peaks


@dataclass(frozen=True, slots=True)
class MapFigures:
    """Of one map (H, W); the first of each pair is along its columns, the second along its rows.

    cells: of the map. mean, deviation: in -1..1. covariance: between the two. wide: the window
    about the peak is nearer to a flat one than to the Gaussian that is learned. entropy: bits, of
    at most `most` bits for a map of this size. peak: the highest cell. second: another peak with a
    valley between them, if there is one. cut: the `SIDES` at which the distribution is cut off, so
    that the mean is biased inwards.
    """

    cells: tuple[int, int]
    mean: tuple[float, float]
    deviation: tuple[float, float]
    covariance: float
    wide: bool
    entropy: float
    most: float
    peak: tuple[float, float]
    second: tuple[float, float] | None
    cut: tuple[str, ...]

    def ellipse(self) -> tuple[float, float, float]:
        """Half axes at one standard deviation and the angle (radians) of the larger one."""
        (a, b), c = self.deviation, self.covariance
        values, vectors = np.linalg.eigh([[a * a, c], [c, b * b]])
        large, small = np.sqrt(np.maximum(values[::-1], 0))
        return float(large), float(small), float(np.arctan2(vectors[1, 1], vectors[0, 1]))


@dataclass(frozen=True, slots=True)
class JointFigures:
    """xy, zy, xz: of the joint's maps, None where there is no distribution to tell of. xyz: the
    coordinates in use, which the network made of them.
    """

    xy: MapFigures | None
    zy: MapFigures | None
    xz: MapFigures | None
    xyz: tuple[float, float, float]

    def used(self, view: str) -> tuple[float, float]:
        """The coordinates in use as columns and rows of a view."""
        column, row = (self.xyz["xyz".index(axis)] for axis in view)
        return column, row

    @property
    def disagreement(self) -> float:
        """Cells between the depths of zy and xz, 0 where one is missing."""
        if self.zy is None or self.xz is None:
            return 0.0
        return abs(self.zy.mean[0] - self.xz.mean[1]) * self.zy.cells[0] / 2


def figures(heat: np.ndarray) -> MapFigures:
    """Of a map (H, W) with sum 1, as `livepose.dsnt` has them.

    Raises:
        ValueError: it is no map.
    """
    if heat.ndim != 2 or not heat.size:
        raise ValueError(f"a map has two axes, got the shape {heat.shape}")
    p = np.asarray(heat, float)
    p = p / max(p.sum(), 1e-12)
    rows, columns = (np.arange(n) * 2 / n + 1 / n - 1 for n in p.shape)
    across, down = p.sum(0), p.sum(1)
    x, y = float(across @ columns), float(down @ rows)
    both = float((down * (rows - y)) @ (p / np.maximum(down[:, None], 1e-300)) @ (columns - x))
    i, j = map(int, np.unravel_index(int(p.argmax()), p.shape))
    near = p[max(0, i - _WINDOW) : i + _WINDOW + 1, max(0, j - _WINDOW) : j + _WINDOW + 1]
    entropy = float(-(p[p > 0] * np.log2(p[p > 0])).sum())
    second = _second(p, i, j)
    ends = (across[0], across[-1], down[0], down[-1])
    return MapFigures(
        cells=(p.shape[1], p.shape[0]),
        mean=(x, y),
        deviation=(_deviation(across, columns), _deviation(down, rows)),
        covariance=both,
        wide=_wide(near.sum(0)) or _wide(near.sum(1)),
        entropy=entropy,
        most=float(np.log2(p.size)),
        peak=(float(columns[j]), float(rows[i])),
        second=None if second is None else (float(columns[second[1]]), float(rows[second[0]])),
        cut=tuple(side for side, mass in zip(SIDES, ends, strict=True) if mass > _CUT),
    )


def _deviation(weights: np.ndarray, at: np.ndarray) -> float:
    weights = weights / max(weights.sum(), 1e-300)
    return float(np.sqrt(max(weights @ (at - weights @ at) ** 2, 0)))


def _wide(weights: np.ndarray) -> bool:
    """Deviations in cells: 1 of the Gaussian, n / sqrt(12) of n equal cells."""
    flat = len(weights) / math.sqrt(12)
    return _deviation(weights, np.arange(len(weights))) > (1 + flat) / 2


def _second(p: np.ndarray, i: int, j: int) -> tuple[int, int] | None:
    """Row and column of the highest peak with a valley between it and the one at (i, j)."""
    peaks = np.argwhere((p == maximum_filter(p, 3)) & (p >= _SECOND * p[i, j]))
    for r, c in sorted(peaks.tolist(), key=lambda at: -p[at[0], at[1]])[:_TRIED]:
        steps = max(abs(r - i), abs(c - j)) + 1
        way = p[np.linspace(i, r, steps).round().astype(int),
                np.linspace(j, c, steps).round().astype(int)]  # fmt: skip
        if way.min() < _VALLEY * p[r, c]:
            return r, c
    return None


def to_look_at(maps: Heatmaps) -> tuple[Stage, ...]:
    """The stages of a person's maps that are not only drawn; the last are nearest to what is used.

    A network without maps of its own still has a last stage, with none.
    """
    if maps.stages and set(maps.drawn) == set(VIEWS):
        return maps.stages
    own = (None if view in maps.drawn else getattr(maps, view) for view in VIEWS)
    return (*maps.stages, Stage(IN_USE, *own))


def joint_figures(maps: Heatmaps, joint: int, stage: Stage | None = None) -> JointFigures:
    """Of one joint of a person. stage: whose maps are measured, None for the last."""
    stage = stage or to_look_at(maps)[-1]
    xy, zy, xz = (None if m is None else figures(m[joint])
                  for m in (None if stage.presence else stage.xy, stage.zy, stage.xz))  # fmt: skip
    x, y, z = map(float, maps.xyz[joint])
    return JointFigures(xy, zy, xz, (x, y, z))


def verdict(of: JointFigures, confidence: float) -> str:
    """In words, what to think of the joint. of: its figures at the last stage."""
    if confidence < 0.1:
        return "The network says that the joint is hidden or outside."
    there = [(view, f) for view in VIEWS if (f := getattr(of, view)) is not None]
    doubts = []
    cut = [f"{view} {' and '.join(f.cut)}" for view, f in there if f.cut]
    if cut:
        doubts.append(f"cut off at the edge ({', '.join(cut)}), which pulls the mean inwards")
    if of.xy is not None:
        if of.xy.second:
            doubts.append(f"two candidates in xy: {_taken(of.xyz[:2], of.xy)}")
        elif of.xy.wide:
            doubts.append("xy is wide: the network is not sure where")
    # Two candidates in x or y are two in xz or zy, too, and say nothing about depth.
    depth = [f for view, f in there if view != "xy" and not (of.xy and of.xy.second)]
    if any(f.second for f in depth):
        doubts.append("two candidates for the depth: z is their mean")
    elif any(f.wide for f in depth):
        doubts.append("the depth is wide")
    if of.disagreement > _APART:
        doubts.append("zy and xz disagree about the depth")
    if doubts:
        said = f"Doubtful: {'; '.join(doubts)}."
    elif there:
        said = "One narrow peak: the network is sure."
    else:
        said = ""
    return f"{_regressed(of)} {said}".strip()


def _taken(used: tuple[float, ...], of: MapFigures) -> str:
    """Which of two candidates the coordinates in use are."""
    from_mean, from_peak = (math.dist(used, place) for place in (of.mean, of.peak))
    if from_peak < from_mean:
        return "the network took the stronger"
    return "the network took their mean, which lies between them"


def _regressed(of: JointFigures) -> str:
    """What is to be known of numbers that come from no map."""
    if of.xy is not None:
        return ""
    what = "x, y and z" if of.zy is None else "x and y"
    return (f"The network regresses {what}: it has no heatmap of its own for them. The heat map "
            "over the picture is a Gaussian drawn about the numbers.")  # fmt: skip


def described(stage: Stage) -> str:
    """In words, what the maps of a stage are."""
    if stage.name == IN_USE:
        return ""
    if all(m is None for m in (stage.xy, stage.zy, stage.xz)):
        return (f"The maps of this stage ({stage.name}) come with torch only: choose it as the "
                "arithmetic in the settings (G).")  # fmt: skip
    if stage.presence:
        return "Detectors: how sure each is that the joint is in the window about its cell."
    return f"Maps {stage.name}; the lines stand where the network ends up."
