"""Metres from pixels, by the size that bodies have.

After Nibali et al., *3D Human Pose Estimation with 2D Marginal Heatmaps*, 2019: the
network says x and y in the picture, and z relative to the pelvis as if everything were as far away
as the pelvis. Which distance that is follows from the size of the skeleton.

Let (u, v) be a joint's pixel from the principal point, d its depth about the pelvis in pixels and f
the focal length. With the pelvis at distance Z the joint is at ``Z q``,

    q = ((u / f) (1 + d / f), (v / f) (1 + d / f), 1 + d / f),

so that bones have the lengths ``Z |q_a - q_b|``: linear in Z, no search is needed. The paper asks
that they add up to the skeleton's height. Here single bones may be hidden or guessed, so Z
minimises the sum of ``w |Z |q_a - q_b| - L|`` over the bones of usual length L, with the lesser
confidence of their ends as w: the weighted median of ``L / |q_a - q_b|``.
"""

from __future__ import annotations

import numpy as np

from livepose.lift.camera import Intrinsics
from livepose.skeleton import INDEX, indices

USUAL_HEIGHT = 1.72  # metres, the mean of women and men
HEIGHT_RANGE = (0.5, 2.3)

# Metres at that height (Drillis & Contini 1966, and the joints of `livepose.skeleton`).
BONES = {
    ("neck", "pelvis"): 0.51,
    ("left_hip", "left_knee"): 0.42, ("right_hip", "right_knee"): 0.42,
    ("left_knee", "left_ankle"): 0.42, ("right_knee", "right_ankle"): 0.42,
    ("left_shoulder", "left_elbow"): 0.32, ("right_shoulder", "right_elbow"): 0.32,
    ("left_elbow", "left_wrist"): 0.25, ("right_elbow", "right_wrist"): 0.25,
    ("left_shoulder", "right_shoulder"): 0.36,
}  # fmt: skip
_FROM = np.array(indices([a for a, _ in BONES]))
_TO = np.array(indices([b for _, b in BONES]))
LENGTHS = np.array(list(BONES.values()))
_PELVIS = INDEX["pelvis"]
# Nobody is nearer than this to a camera that sees them, or farther than a camera can tell.
_NEAREST, _FARTHEST = 0.2, 60.0


def rays(joints: np.ndarray, depth: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """(..., J, 2) pixels, (..., J) depth in pixels -> q (..., J, 3), see the module's text.

    A joint that is nearer to the camera than a tenth of the pelvis' distance is taken for that.
    """
    away = np.maximum(1 + (depth - depth[..., [_PELVIS]]) / camera.focal, 0.1)
    q = np.empty((*joints.shape[:-1], 3))
    q[..., 0] = (joints[..., 0] - camera.cx) / camera.focal * away
    q[..., 1] = (joints[..., 1] - camera.cy) / camera.focal * away
    q[..., 2] = away
    return q


def distance(
    q: np.ndarray, confidence: np.ndarray, height: np.ndarray | float = USUAL_HEIGHT,
    lengths: np.ndarray = LENGTHS,
) -> np.ndarray:  # fmt: skip
    """Distance of the pelvis in metres along the camera's axis, (...).

    Args:
        q: (..., J, 3) from `rays`. confidence: (..., J). height: metres, (...).
        lengths: (10,) or (..., 10) of `BONES` at `USUAL_HEIGHT`.
    """
    seen = np.sqrt(((q[..., _FROM, :] - q[..., _TO, :]) ** 2).sum(-1))
    wanted = lengths * (np.asarray(height) / USUAL_HEIGHT)[..., None]
    # d/dZ of w |Z l - L| jumps by 2 w l at Z = L / l.
    weight = np.minimum(confidence[..., _FROM], confidence[..., _TO]) * seen + 1e-9
    ratio = wanted / np.maximum(seen, 1e-9)
    # The least ratio up to which there is half of the weight; so few need no sorting.
    upto = (weight[..., None, :] * (ratio[..., None, :] <= ratio[..., None])).sum(-1)
    enough = upto >= weight.sum(-1, keepdims=True) / 2
    best = np.where(enough, ratio, np.inf).min(-1)
    return np.minimum(np.maximum(best, _NEAREST), _FARTHEST)


def to_metres(
    joints: np.ndarray, depth: np.ndarray, confidence: np.ndarray, camera: Intrinsics,
    height: np.ndarray | float = USUAL_HEIGHT,
) -> np.ndarray:  # fmt: skip
    """Joints of people (..., J, 3) in metres, camera axes, the camera at 0.

    Args:
        joints: (..., J, 2) pixels. depth: (..., J) pixels, positive away from the camera.
        confidence: (..., J) in 0..1. height: of the standing person in metres, (...).
    """
    q = rays(joints, depth, camera)
    return q * distance(q, confidence, height)[..., None, None]


def to_pixels(points: np.ndarray, camera: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """The way back: (..., J, 3) metres -> (..., J, 2) pixels and (..., J) depth in pixels."""
    z, root = points[..., 2:], points[..., [_PELVIS], 2]
    flat = points[..., :2] / z * camera.focal + np.array([camera.cx, camera.cy])
    return flat, (points[..., 2] - root) / root * camera.focal
