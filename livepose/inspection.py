"""What a joint's heatmaps say, in numbers: for the inspector, and for whoever asks why.

Coordinates are those of `livepose.dsnt`: -1..1 across the square that the network saw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from livepose.frames import Heatmaps

# Of a distribution that reaches beyond the picture only the inner part is there, and its mean lies
# inside of the joint: DSNT's bias near the edge. So many standard deviations count as its reach.
_REACH = 2.0


@dataclass(frozen=True, slots=True)
class MapFigures:
    """Of one map (H, W); the first of each pair is along its columns, the second along its rows.

    mean, deviation: in -1..1. covariance: between the two. entropy: bits, of at most `most` bits
    for a map of this size. peak: the highest cell. at_edge: the distribution is cut off, so the
    mean is biased inwards.
    """

    mean: tuple[float, float]
    deviation: tuple[float, float]
    covariance: float
    entropy: float
    most: float
    peak: tuple[float, float]
    at_edge: bool

    def ellipse(self) -> tuple[float, float, float]:
        """Half axes at one standard deviation and the angle (radians) of the larger one."""
        (a, b), c = self.deviation, self.covariance
        values, vectors = np.linalg.eigh([[a * a, c], [c, b * b]])
        large, small = np.sqrt(np.maximum(values[::-1], 0))
        return float(large), float(small), float(np.arctan2(vectors[1, 1], vectors[0, 1]))


@dataclass(frozen=True, slots=True)
class JointFigures:
    """xy, zy, xz: of the joint's maps. xyz: what they say together (x, y from xy, z the mean of
    what zy and xz say), and disagreement: between their two z.
    """

    xy: MapFigures
    zy: MapFigures
    xz: MapFigures

    @property
    def xyz(self) -> tuple[float, float, float]:
        return (*self.xy.mean, (self.zy.mean[0] + self.xz.mean[1]) / 2)

    @property
    def disagreement(self) -> float:
        return abs(self.zy.mean[0] - self.xz.mean[1])


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
    dx = float(np.sqrt(max(across @ (columns - x) ** 2, 0)))
    dy = float(np.sqrt(max(down @ (rows - y) ** 2, 0)))
    both = float((down * (rows - y)) @ (p / np.maximum(down[:, None], 1e-300)) @ (columns - x))
    i, j = np.unravel_index(int(p.argmax()), p.shape)
    entropy = float(-(p[p > 0] * np.log2(p[p > 0])).sum())
    reach = max(abs(x) + _REACH * dx, abs(y) + _REACH * dy)
    return MapFigures((x, y), (dx, dy), both, entropy, float(np.log2(p.size)),
                      (float(columns[j]), float(rows[i])), reach > 1)  # fmt: skip


def joint_figures(maps: Heatmaps, joint: int) -> JointFigures:
    """Of one joint of a person."""
    return JointFigures(*(figures(m[joint]) for m in (maps.xy, maps.zy, maps.xz)))


def verdict(of: JointFigures, confidence: float) -> str:
    """In words, what to think of the joint."""
    if confidence < 0.1:
        return "The network says that the joint is hidden or outside."
    doubts = []
    if of.xy.at_edge:
        doubts.append("the map is cut off at the edge, which pulls the mean inwards")
    apart = max(abs(a - b) for a, b in zip(of.xy.mean, of.xy.peak, strict=True))
    if apart > 0.15:
        doubts.append("mean and peak are far apart: there are two candidates")
    elif max(of.xy.deviation) > 0.15:
        doubts.append("the map is wide: the network is not sure where")
    if of.disagreement > 0.2:
        doubts.append("zy and xz disagree about the depth")
    return f"Doubtful: {'; '.join(doubts)}." if doubts else "One narrow peak: the network is sure."
