"""Metres from normalised 3D joints, by the lengths that bones usually have.

Weak perspective: one scale for the whole person. It needs no camera, and is right on average:
a tall and a short person come out the same size.
"""

from __future__ import annotations

import numpy as np

from livepose.skeleton import INDEX

# Metres, of an adult 1.72 m tall (means of women and men after Drillis & Contini 1966).
_BONES = {
    ("neck", "pelvis"): 0.51,
    ("left_hip", "left_knee"): 0.42, ("right_hip", "right_knee"): 0.42,
    ("left_knee", "left_ankle"): 0.42, ("right_knee", "right_ankle"): 0.42,
    ("left_shoulder", "left_elbow"): 0.32, ("right_shoulder", "right_elbow"): 0.32,
    ("left_elbow", "left_wrist"): 0.25, ("right_elbow", "right_wrist"): 0.25,
    ("left_shoulder", "right_shoulder"): 0.36,
}  # fmt: skip
_FROM = np.array([INDEX[a] for a, _ in _BONES])
_TO = np.array([INDEX[b] for _, b in _BONES])
_LENGTH = np.array(list(_BONES.values()))
_PELVIS = INDEX["pelvis"]


def to_metres(xyz: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """(J, 3) in any one unit -> (J, 3) metres about the pelvis.

    The scale is the median over the bones, weighted by the confidence of their ends: bones that
    look too short in depth or are guessed do not shift it.
    """
    length = np.linalg.norm(xyz[_FROM] - xyz[_TO], axis=1)
    weight = np.minimum(confidence[_FROM], confidence[_TO]) * _LENGTH + 1e-6
    ratio = _LENGTH / np.maximum(length, 1e-6)
    order = np.argsort(ratio)
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return ((xyz - xyz[_PELVIS]) * ratio[order[middle]]).astype(np.float32)
