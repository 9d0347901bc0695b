"""Measures of pose accuracy on arrays: what is counted, and how, is said at each.

A prediction that is missing (NaN) is wrong; a joint without label does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from livepose import skeleton
from livepose.data.samples import Samples, by_tilt
from livepose.skeleton import INDEX, LIMBS

GROUPS = {name: (f"left_{name}", f"right_{name}")
          for name in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")}  # fmt: skip
_THRESHOLDS = tuple(k / 40 for k in range(1, 21))  # 0.025, 0.05 ... 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """pck: over all joints, 0..1. auc: mean of pck over thresholds 0.025, 0.05 ... 0.5, which
    judges small changes with less noise. per_joint: pck by name. images: how many."""

    pck: float
    auc: float
    per_joint: dict[str, float]
    images: int

    @property
    def per_group(self) -> dict[str, float]:
        """pck of left and right together."""
        return grouped(self.per_joint)


def grouped(per_joint: dict[str, float]) -> dict[str, float]:
    """The mean of left and right, for the pairs that were measured."""
    return {g: float(np.mean([per_joint[n] for n in pair])) for g, pair in GROUPS.items()
            if all(n in per_joint for n in pair)}  # fmt: skip


def _by_joint(
    values: np.ndarray, counts: np.ndarray, joints: tuple[str, ...]
) -> dict[str, float]:  # fmt: skip
    """The mean of each joint's values (N, K) where they count, NaN where none does."""
    sums, numbers = np.where(counts, values, 0).sum(0), counts.sum(0)
    return {name: float(s / n) if n else float("nan")
            for name, s, n in zip(joints, sums, numbers, strict=True)}  # fmt: skip


def _score(error: np.ndarray, counts: np.ndarray, joints: tuple[str, ...], at: float) -> Score:
    """error: (N, K) in units of the reference length."""
    right, number = (error <= at) & counts, max(1, counts.sum())
    auc = np.mean([((error <= t) & counts).sum() for t in _THRESHOLDS]) / number
    return Score(float(right.sum() / number), float(auc), _by_joint(right, counts, joints),
                 len(error))  # fmt: skip


def errors_in_torsos(
    predicted: np.ndarray, samples: Samples, joints: tuple[str, ...] = LIMBS
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N, K) in torsos (left shoulder to right hip), inf where missing, and what counts.

    Pictures without torso do not count.

    Args:
        predicted: (N, J, 2) pixels of the pictures.
    """
    return _errors(predicted, samples, joints, _between(samples, "left_shoulder", "right_hip"))


def _between(samples: Samples, one: str, other: str) -> np.ndarray:
    """(N,) pixels from one joint to another, NaN where they are not both labelled."""
    a, b = INDEX[one], INDEX[other]
    length = np.linalg.norm(samples.joints[:, a] - samples.joints[:, b], axis=-1)
    return np.where(samples.known[:, a] & samples.known[:, b], length, np.nan)


def _errors(
    predicted: np.ndarray, samples: Samples, joints: tuple[str, ...], length: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N, K) in lengths (N,), and which count: not those of a length that is NaN."""
    i = skeleton.indices(joints)
    error = np.linalg.norm(predicted[:, i] - samples.joints[:, i], axis=-1)
    with np.errstate(all="ignore"):
        relative = np.nan_to_num(error / length[:, None], nan=np.inf)
    return relative, samples.known[:, i] & ~np.isnan(length)[:, None]


def pck(
    predicted: np.ndarray, samples: Samples, joints: tuple[str, ...] = LIMBS, at: float = 0.2
) -> Score:
    """Percentage of correct keypoints: within `at` times the torso (`errors_in_torsos`).

    Args:
        predicted: (N, J, 2) pixels of the pictures.
    """
    return _score(*errors_in_torsos(predicted, samples, joints), joints, at)


def pck_by_tilt(predicted: np.ndarray, samples: Samples) -> dict[str, Score]:
    """`pck` of people by how many degrees their trunk is off upright, in classes ``"15-30"``.

    Networks learn from people who stand: those who hang, lie or do gymnastics are another matter.

    Args:
        predicted: (N, J, 2) pixels of the pictures.
    """
    rows = by_tilt(samples)
    return {tilt: pck(predicted[r], samples.take(r)) for tilt, r in rows.items()}


def pckh(
    predicted: np.ndarray, samples: Samples, joints: tuple[str, ...] = LIMBS, at: float = 0.5
) -> Score:
    """MPII's PCKh: as `pck`, within `at` times `Samples.head`; pictures without do not count.

    Its AUC is the mean over thresholds 0.025 ... 0.5 of that length.
    """
    if samples.head is None:
        raise ValueError(f"{samples.name} has no head boxes, and so no PCKh")
    return _score(*_errors(predicted, samples, joints, samples.head), joints, at)


def pck_head_neck(
    predicted: np.ndarray, samples: Samples, joints: tuple[str, ...] = LIMBS, at: float = 0.5
) -> Score:
    """In place of `pckh` where there are no head boxes: of the top of the head to the neck.

    That is another length, and gives other figures, than MPII's.
    """
    length = _between(samples, "head_top", "neck")
    return _score(*_errors(predicted, samples, joints, length), joints, at)


# --------------------------------------------------------------------------- 3D


@dataclass(frozen=True, slots=True)
class Score3D:
    """mpjpe, pa_mpjpe: millimetres, of the joints that were found. pck, auc: of 3D errors, 0..1,
    missing is wrong. joints: how many counted. per_joint: of the first three, by name."""

    mpjpe: float
    pa_mpjpe: float
    pck: float
    auc: float
    joints: int
    per_joint: dict[str, dict[str, float]]


def to_metres(points: np.ndarray, camera: np.ndarray, root_depth: np.ndarray) -> np.ndarray:
    """Pixels and weak-perspective depth -> metres from the camera.

    Args:
        points: (N, J, 3) x, y in pixels and z about the pelvis in pixels (as `Samples.depth`).
        camera: (N, 4) focal lengths and principal point. root_depth: (N,) metres to the pelvis.
    """
    f, middle, root = camera[:, None, :2], camera[:, None, 2:], root_depth[:, None, None]
    z = root + points[..., 2:] * root / f.mean(-1, keepdims=True)
    return np.concatenate([(points[..., :2] - middle) * z / f, z], -1)


def align(predicted: np.ndarray, true: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The similarity (turn, scale, shift; no reflection) of each (J, 3) pose nearest to the truth.

    Umeyama, *Least-squares estimation of transformation parameters*, 1991; over joints that count.
    """
    w = counts[..., None].astype(float)
    total = np.maximum(w.sum(1, keepdims=True), 1)
    p, t = np.nan_to_num(predicted), np.nan_to_num(true)
    p_mean, t_mean = (p * w).sum(1, keepdims=True) / total, (t * w).sum(1, keepdims=True) / total
    p, t = (p - p_mean) * w, (t - t_mean) * w
    u, s, vt = np.linalg.svd(np.einsum("nji,njk->nik", t, p))
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    fix = np.ones_like(s)
    fix[:, 2] = sign
    turn = u * fix[:, None] @ vt
    scale = (s * fix).sum(1) / np.maximum((p**2).sum((1, 2)), 1e-12)
    moved = np.einsum("nik,njk->nji", turn, np.nan_to_num(predicted) - p_mean)
    return moved * scale[:, None, None] + t_mean


def score_3d(
    predicted: np.ndarray, true: np.ndarray, counts: np.ndarray,
    joints: tuple[str, ...] = skeleton.MARGIPOSE_17,
) -> Score3D:  # fmt: skip
    """MPJPE about the root, PA-MPJPE, 3D PCK at 150 mm and its AUC (0, 5 ... 150 mm).

    The root is the pelvis; in pictures where that does not count (outside), the neck. Pictures
    without either, or with fewer than four joints, do not count. (PCK and AUC: Mehta et al. 2017.)

    Args:
        predicted, true: (N, J, 3) metres, predicted NaN where nothing was found. counts: (N, J)
            bool, labelled and in the picture.
    """
    i = skeleton.indices(joints)
    pelvis, neck = INDEX["pelvis"], INDEX["neck"]
    root = np.where(counts[:, pelvis], pelvis, neck)
    usable = counts[np.arange(len(counts)), root] & (counts[:, i].sum(1) >= 4)
    predicted, true, counts, root = (x[usable] for x in (predicted, true, counts, root))
    n, k = np.arange(len(root)), counts[:, i]
    if not k.any():
        return Score3D(np.nan, np.nan, np.nan, np.nan, 0, {})
    a, b = (x[:, i] - x[n, root][:, None] for x in (predicted, true))
    found = k & np.isfinite(a).all(-1)
    distance = np.linalg.norm(a - b, axis=-1)
    aligned = np.linalg.norm(align(a, b, found) - b, axis=-1)
    error = np.where(found, distance, np.inf)
    auc = np.mean([(error[k] <= 0.005 * step).mean() for step in range(31)])
    mpjpe, pa_mpjpe = (1000 * float(d[found].mean()) if found.any() else np.nan
                       for d in (distance, aligned))  # fmt: skip
    per_joint = {
        "mpjpe": _by_joint(1000 * distance, found, joints),
        "pa_mpjpe": _by_joint(1000 * aligned, found, joints),
        "pck": _by_joint(error <= 0.15, k, joints),
    }
    return Score3D(mpjpe, pa_mpjpe, float((error[k] <= 0.15).mean()), float(auc), int(k.sum()),
                   per_joint)  # fmt: skip
