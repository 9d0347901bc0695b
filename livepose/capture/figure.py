"""A walking, waving person made of joints in metres: the ground truth of the synthetic source.

Camera axes everywhere: x right, y down, z away from the camera. A person who faces the camera
looks along -z, and their left is at +x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from livepose.skeleton import INDEX, J

# Lengths in metres of a person 1.75 m tall.
HIP, SHOULDER = 0.10, 0.19
THIGH, SHIN = 0.43, 0.42
UPPER_ARM, FOREARM = 0.29, 0.26
TRUNK, NECK_TO_TOP = 0.50, 0.31
HAND, FOOT = 0.09, 0.17

# Head about its centre, in the axes of a body that faces the camera.
SKULL = np.array([0.0, -0.19, -0.02])  # from the neck joint
SKULL_RADIUS = 0.105
_FACE = {
    "nose": (0.0, 0.02, -0.125),
    "left_eye": (0.034, -0.02, -0.098),
    "right_eye": (-0.034, -0.02, -0.098),
    "left_ear": (0.088, 0.005, -0.005),
    "right_ear": (-0.088, 0.005, -0.005),
}


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """The person at one moment, all points in metres in camera space.

    joints: (J, 3). extra: hands, toes, waist and the centre of the skull, for drawing.
    facing: unit vector out of the chest.
    """

    joints: np.ndarray
    extra: dict[str, np.ndarray]
    facing: np.ndarray

    def point(self, name: str) -> np.ndarray:
        return self.joints[INDEX[name]] if name in INDEX else self.extra[name]


def figure_at(t: float) -> Figure:
    """The person `t` seconds after the begin: walks on the spot, turns, and waves now and then."""
    step = 2 * math.pi * 0.85 * t
    wave = _ease(math.sin(2 * math.pi * t / 7.0) * 1.6)
    body: dict[str, np.ndarray] = {"pelvis": np.zeros(3)}

    lean = 0.05 + 0.02 * math.sin(2 * step)
    up = np.array([0.03 * math.sin(step), -math.cos(lean), -math.sin(lean)])
    up /= np.linalg.norm(up)
    neck = TRUNK * up
    body["neck"], body["spine"] = neck, neck / 2
    # The shoulders turn against the hips, as they do when walking.
    twist = 0.12 * math.sin(step)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip = sign * HIP * _horizontal(-twist / 2)
        body[f"{side}_hip"] = hip
        body[f"{side}_waist"] = hip + 0.09 * up
        swing = 0.45 * math.sin(step if side == "left" else step + math.pi)
        phase = step if side == "left" else step + math.pi
        bend = 0.12 + 0.55 * (0.5 + 0.5 * math.cos(phase - 0.4)) ** 2
        knee = hip + THIGH * _sagittal(swing + 0.1)
        ankle = knee + SHIN * _sagittal(swing + 0.1 - bend)
        body[f"{side}_knee"], body[f"{side}_ankle"] = knee, ankle
        body[f"{side}_toe"] = ankle + FOOT * _sagittal(1.35 + 0.6 * (swing - bend / 2))

        shoulder = neck + sign * SHOULDER * _horizontal(twist)
        body[f"{side}_shoulder"] = shoulder
        outward = sign * np.array([0.16, 0.0, 0.0])
        upper = _unit(_sagittal(-0.8 * swing) + outward)
        lower = _unit(_sagittal(-0.8 * swing + 0.45) + 0.3 * outward)
        if side == "right":
            swish = 0.5 * math.sin(2 * math.pi * 1.3 * t)
            upper = _unit((1 - wave) * upper + wave * np.array([-0.92, -0.25, -0.3]))
            lower = _unit((1 - wave) * lower + wave * np.array([0.1 + swish, -1.0, -0.25]))
        elbow = shoulder + UPPER_ARM * upper
        wrist = elbow + FOREARM * lower
        body[f"{side}_elbow"], body[f"{side}_wrist"] = elbow, wrist
        body[f"{side}_hand"] = wrist + HAND * lower

    nod = 0.15 * math.sin(2 * math.pi * t / 5.0)
    turn = _about_y(0.35 * math.sin(2 * math.pi * t / 6.0))
    body["head_top"] = neck + NECK_TO_TOP * _unit(np.array([0.0, -1.0, -0.06 - 0.3 * nod]))
    body["head"] = (neck + body["head_top"]) / 2
    skull = neck + turn @ (SKULL + np.array([0.0, 0.0, -0.1 * nod]))
    body["skull"] = skull
    for name, offset in _FACE.items():
        body[name] = skull + turn @ np.array(offset)

    yaw = _about_y(0.85 * math.sin(2 * math.pi * t / 11.0))
    place = np.array(
        [
            0.4 * math.sin(2 * math.pi * t / 13.0),
            0.07 + 0.02 * math.cos(2 * step),
            3.2 + 0.4 * math.sin(2 * math.pi * t / 9.0),
        ]
    )
    world = {name: yaw @ point + place for name, point in body.items()}
    joints = np.empty((J, 3))
    for name, index in INDEX.items():
        joints[index] = world.pop(name)
    return Figure(joints, world, yaw @ turn @ np.array([0.0, 0.0, -1.0]))


# What hides a joint: (from, to, radius in metres). The trunk is more than one such bone wide.
SOLIDS: tuple[tuple[str, str, float], ...] = (
    ("left_hip", "left_knee", 0.07), ("left_knee", "left_ankle", 0.045),
    ("right_hip", "right_knee", 0.07), ("right_knee", "right_ankle", 0.045),
    ("left_shoulder", "left_elbow", 0.045), ("left_elbow", "left_wrist", 0.035),
    ("right_shoulder", "right_elbow", 0.045), ("right_elbow", "right_wrist", 0.035),
    ("left_shoulder", "left_hip", 0.09), ("right_shoulder", "right_hip", 0.09),
    ("pelvis", "neck", 0.11), ("skull", "skull", 0.10),
)  # fmt: skip
# Joints that lie inside a solid or on it: it does not hide them.
_TRUNK = {
    "pelvis", "spine", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip",
}  # fmt: skip
_HEAD = {"nose", "left_eye", "right_eye", "left_ear", "right_ear", "head", "head_top", "neck"}


def _owned(solid: tuple[str, str, float]) -> np.ndarray:
    start, end, _ = solid
    own = {start, end}
    if start == "skull":
        own = _HEAD
    elif own <= _TRUNK:
        own = _TRUNK | {"head"}
    return np.array([name in own for name in INDEX])


_OWNED = np.stack([_owned(solid) for solid in SOLIDS], 1)  # (J, solids)
_RADII = np.array([radius for *_, radius in SOLIDS])


def hidden(figure: Figure) -> np.ndarray:
    """(J,) bool: the joints that the body itself hides from the camera.

    A joint is hidden where the straight line from the camera to it passes through a limb, the
    trunk or the head that it is no part of; of the face, what lies on the far side of the head.
    """
    a = np.stack([figure.point(start) for start, _, _ in SOLIDS])
    b = np.stack([figure.point(end) for _, end, _ in SOLIDS])
    gap = _segment_gap(figure.joints, a, b)
    out = ((gap < _RADII) & ~_OWNED).any(1)
    skull = figure.point("skull")
    for name in _FACE:
        i = INDEX[name]
        out[i] |= bool((figure.joints[i] - skull) @ skull > 0.03 * np.linalg.norm(skull))
    return np.asarray(out)


def _segment_gap(joints: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(J, S) distances between the segments camera-joint (J, 3) and the segments a-b (S, 3)."""
    ray = joints[:, None]  # from the camera, which is the origin
    bone = (b - a)[None]
    rr = (ray * ray).sum(-1)
    bb = np.maximum((bone * bone).sum(-1), 1e-12)
    rb = (ray * bone).sum(-1)
    ra = (ray * a).sum(-1)
    ba = (bone * a).sum(-1)
    # Closest points of two lines, then each parameter clamped to its segment in turn.
    s = np.clip((ra * bb - rb * ba) / np.maximum(rr * bb - rb * rb, 1e-12), 0, 1)
    u = np.clip((s * rb - ba) / bb, 0, 1)
    s = np.clip((ra + u * rb) / rr, 0, 1)
    gap = s[..., None] * ray - a - u[..., None] * bone
    return np.asarray(np.linalg.norm(gap, axis=-1))


def _sagittal(angle: float) -> np.ndarray:
    """Unit vector down, turned forward by `angle`."""
    return np.array([0.0, math.cos(angle), -math.sin(angle)])


def _horizontal(angle: float) -> np.ndarray:
    """Unit vector to the person's left, turned about the vertical."""
    return np.array([math.cos(angle), 0.0, -math.sin(angle)])


def _about_y(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _unit(v: np.ndarray) -> np.ndarray:
    return np.asarray(v / np.linalg.norm(v))


def _ease(x: float) -> float:
    """0 below 0, 1 above 1, smooth between."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)
