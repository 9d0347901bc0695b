"""The floor that people stand on, seen from the camera.

Webcams stand on monitors and look down a little, phones lean on cups: which way is up must come
from the people. Somebody who stands is upright, and the feet of all who stand are on one plane.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from livepose.skeleton import INDEX, indices

_ANKLES = indices(["left_ankle", "right_ankle"])
_KNEES = indices(["left_knee", "right_knee"])
_HIPS = indices(["left_hip", "right_hip"])
_NECK, _PELVIS = INDEX["neck"], INDEX["pelvis"]
_ANKLE_HEIGHT = 0.08  # metres above the sole
_STRAIGHT = 0.97  # cosine between thigh and shank, and between legs and trunk
# What a level camera is worth, in standing people.
_LEVEL = 20
_KEPT = 200
USUAL_CAMERA_HEIGHT = 1.0  # metres, until feet were seen


class Floor:
    """Learns the plane of the floor from people; all in metres and camera axes.

    up: (3,) unit vector. height: of the camera above the floor. seen: whether anybody's feet were.
    """

    def __init__(self) -> None:
        self.up = np.array([0.0, -1.0, 0.0])
        self.height = USUAL_CAMERA_HEIGHT
        self._axes: deque[np.ndarray] = deque(maxlen=_KEPT)
        self._feet: deque[np.ndarray] = deque(maxlen=_KEPT)

    @property
    def seen(self) -> bool:
        return bool(self._feet)

    def add(self, points: np.ndarray, confidence: np.ndarray, least: float = 0.5) -> None:
        """Takes in a person: (J, 3) metres, the camera at 0, and (J,) confidence.

        Whoever does not stand with both feet seen says nothing.
        """
        if min(confidence[[*_ANKLES, *_KNEES, *_HIPS, _NECK]]) < least:
            return
        hips, knees, ankles = points[_HIPS], points[_KNEES], points[_ANKLES]
        shanks, thighs = _unit(knees - ankles), _unit(hips - knees)
        trunk, legs = _unit(points[_NECK] - points[_PELVIS]), _unit((hips - ankles).mean(0))
        if (shanks * thighs).sum(1).min() < _STRAIGHT or trunk @ legs < _STRAIGHT:
            return
        self._axes.append(_unit(points[_NECK] - ankles.mean(0)))
        self._feet.append(ankles.mean(0))
        level = np.array([0.0, -1.0, 0.0])
        # The depth of a skeleton is its least certain part, and tilts it more than it stands askew.
        self.up = _unit(np.sum(self._axes, axis=0) + _LEVEL * level)
        self.height = float(np.median([-foot @ self.up for foot in self._feet])) + _ANKLE_HEIGHT


def to_world(points: np.ndarray, up: np.ndarray, height: float) -> np.ndarray:
    """(..., 3) metres, camera axes -> x right, y away from the camera, z up; floor at z = 0.

    up: (3,) in camera axes. height: of the camera, which stands at (0, 0, height), looks along y.
    """
    forward = np.array([0.0, 0.0, 1.0])
    forward = _unit(forward - (forward @ up) * up)
    axes = np.stack([np.cross(forward, up), forward, up], 1)
    return points @ axes + np.array([0.0, 0.0, height])


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
