"""What the person of the bundled clip does: key frames of our own, and how they turn the bones.

Angles are degrees, lengths metres. Feet are placed, and the legs follow from where the pelvis is
(two-bone inverse kinematics), so that a standing foot neither slides nor sinks.
"""

# ruff: noqa: C408 - dict(name=value) keeps the tables readable

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from livepose.synth.retarget import about, fingers, frame, turn, unit

if TYPE_CHECKING:
    from livepose.synth.body import Person

SECONDS = 12.9
STANCE = 0.125  # half the distance between the ankles

# Every channel, and its value in the pose that the clip begins and ends with.
# Whole body: turn to the own left. Pelvis: shift to the own left, back, drop, splay of the knees.
# Trunk: lean forward, tilt and twist to the own left. Head: pitch down, turn and tilt to the left.
# Arms: raise sideways, swing forward, twist outward (upper arm), elbow bend, roll of the forearm
# (thumb outward), bend of the wrist inward, curl of the fingers. Feet: orbit (about the body's
# axis, turning along), lift, ahead, heel (angle by which the heel is off the floor).
IDLE: dict[str, float] = dict(
    turn=0, shift=0, back=0, drop=0.014, splay=8, lean=1, tilt=0, twist=0,
    head_pitch=2, head_turn=0, head_tilt=0,
    l_raise=13, l_swing=2, l_twist=-8, l_elbow=16, l_roll=8, l_wrist=6, l_curl=12,
    r_raise=13, r_swing=2, r_twist=-8, r_elbow=16, r_roll=8, r_wrist=6, r_curl=12,
    l_orbit=0, l_lift=0, l_ahead=0, l_heel=0, r_orbit=0, r_lift=0, r_ahead=0, r_heel=0,
)  # fmt: skip

Pose = Mapping[str, float]


def _both(pose: Pose) -> dict[str, float]:
    """The channels of one arm or foot, for both sides."""
    return {f"{side}_{name}": value for side in "lr" for name, value in pose.items()}


def _mirrored(pose: Pose) -> dict[str, float]:
    swap = {"l_": "r_", "r_": "l_"}
    odd = ("turn", "shift", "tilt", "twist", "head_turn", "head_tilt")
    return {
        swap.get(name[:2], name[:2]) + name[2:]: -value if name in odd else value
        for name, value in pose.items()
    }


def _wave(elbow: float, head_tilt: float) -> dict[str, float]:
    arm = dict(r_raise=60, r_swing=14, r_twist=70, r_elbow=elbow, r_roll=4, r_wrist=0, r_curl=4)
    return arm | dict(head_tilt=head_tilt, head_turn=-4, tilt=3, shift=0.012, l_elbow=20)


UP = dict(head_pitch=-8, lean=-3, drop=0.010) | _both(
    {"raise": 150, "swing": 8, "twist": 35, "elbow": 14, "roll": 0, "wrist": 0, "curl": 4}
)
# Tilted to the own left, the right arm over the head.
SIDE = dict(
    shift=-0.05, tilt=27, head_tilt=9, r_raise=150, r_twist=30, r_elbow=42, l_raise=38, l_elbow=10,
)  # fmt: skip
SQUAT = dict(drop=0.33, back=0.14, lean=30, head_pitch=-14, splay=20) | _both(
    {"raise": 48, "swing": 52, "elbow": 24, "twist": 0, "roll": 0, "wrist": 0}
)
MARCH_L = dict(
    l_lift=0.21, l_ahead=0.10, l_heel=14, r_swing=36, r_elbow=70, l_swing=-22, l_elbow=34,
    l_raise=16, r_raise=16,
    shift=-0.062, tilt=-2.5, twist=6, drop=0.02, lean=3,
)  # fmt: skip
MARCH_R = _mirrored(MARCH_L)
PASSING = dict(lean=2) | _both({"elbow": 40, "raise": 16})
TURNED = dict(turn=60, l_orbit=62, r_orbit=58, head_turn=-6)

# (second, what differs from IDLE). The clip is a loop: the first key follows the last.
KEYS: tuple[tuple[float, dict[str, float]], ...] = (
    (0.0, {}),
    (0.25, {}),
    (0.85, _wave(118, -3)),
    (1.13, _wave(88, -5)),
    (1.41, _wave(122, -6)),
    (1.69, _wave(90, -4)),
    (2.3, {}),
    (2.4, {}),
    (3.2, UP),
    (3.45, UP),
    (4.25, {}),
    (5.0, SIDE),
    (5.2, SIDE),
    (5.95, {"l_raise": 16, "r_raise": 16}),
    (6.7, _mirrored(SIDE)),
    (6.9, _mirrored(SIDE)),
    (7.65, {}),
    (8.4, SQUAT),
    (8.55, SQUAT),
    (9.2, {}),
    (9.5, MARCH_L),
    (9.77, PASSING),
    (10.04, MARCH_R),
    (10.31, PASSING),
    (10.58, MARCH_L),
    (10.86, {"lean": 2, "head_turn": 6}),
    # Two steps round, and two back.
    (11.08, dict(turn=20, l_orbit=38, l_lift=0.07, shift=-0.04, head_turn=14, twist=4)),
    (11.28, dict(turn=40, l_orbit=62, shift=0.0, head_turn=8, r_heel=8)),
    (11.48, dict(turn=54, l_orbit=62, r_orbit=34, r_lift=0.07, shift=0.04)),
    (11.68, TURNED),
    (11.88, TURNED),
    (12.08, dict(turn=40, l_orbit=62, r_orbit=22, r_lift=0.07, shift=0.04, head_turn=-16)),
    (12.28, dict(turn=20, l_orbit=62, r_orbit=-2, head_turn=-10, l_heel=8)),
    (12.48, dict(turn=6, l_orbit=28, l_lift=0.07, r_orbit=-2, shift=-0.04)),
    (12.7, {}),
)


def tracks(frames: int, seconds: float = SECONDS) -> dict[str, np.ndarray]:
    """Every channel's value in each frame of the loop."""
    unknown = {name for _, pose in KEYS for name in pose} - IDLE.keys()
    if unknown:
        raise KeyError(f"no such channels: {sorted(unknown)}")
    times = np.array([t for t, _ in KEYS])
    around = np.concatenate([times - seconds, times, times + seconds])
    at = np.arange(frames) * seconds / frames
    out = {}
    for name, usual in IDLE.items():
        values = np.array([pose.get(name, usual) for _, pose in KEYS], float)
        # Without overshoot; then the corners of the acceleration are rounded off.
        track = PchipInterpolator(around, np.tile(values, 3))(at)
        out[name] = gaussian_filter1d(track, 0.045 * frames / seconds, mode="wrap")
    # A standing body breathes (three times a loop) and sways (once).
    breath, sway = np.sin(2 * np.pi * 3 * at / seconds), np.sin(2 * np.pi * at / seconds)
    out["lean"] = out["lean"] - 0.9 * breath
    out["head_pitch"] = out["head_pitch"] + 0.7 * breath + 0.8 * sway
    out["shift"] = out["shift"] + 0.006 * sway
    for side in "lr":
        out[f"{side}_raise"] = out[f"{side}_raise"] + 0.9 * breath
        out[f"{side}_elbow"] = out[f"{side}_elbow"] + 1.5 * sway
    return out


def pose(person: Person, c: Pose) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Bone turns and the root's place, for `Person.transforms`, from the channels of one frame."""
    pelvis = turn("y", c["turn"]) @ turn("x", 0.35 * c["lean"])
    turns = {"root": pelvis}
    chest = np.eye(3)
    for bone, share in (("05", 0.15), ("04", 0.25), ("03", 0.25), ("02", 0.2), ("01", 0.15)):
        bend = _trunk_turn(share * 0.65 * c["lean"], share * c["twist"], share * c["tilt"])
        turns[f"spine{bone}"] = bend
        chest = chest @ bend
    for bone, share in (("neck01", 0.15), ("neck02", 0.2), ("neck03", 0.25), ("head", 0.4)):
        turns[bone] = _trunk_turn(*(share * c[f"head_{n}"] for n in ("pitch", "turn", "tilt")))
    for side, s in (("L", 1.0), ("R", -1.0)):
        arm = {name[2:]: value for name, value in c.items() if name[:2] == f"{side.lower()}_"}
        turns |= _arm(person, side, s, arm)

    # The root goes where the hips are `drop` lower than in a straight stand.
    body = turn("y", c["turn"])
    hips = (person.head("upperleg01.L") + person.head("upperleg01.R")) / 2
    place = hips + body @ np.array([c["shift"], -c["drop"], -c["back"]])
    place += body @ np.array([0, 0, person.head("foot.L")[2] - hips[2]])  # hips over the ankles
    root = place + pelvis @ (person.head("root") - hips)
    for side, s in (("L", 1.0), ("R", -1.0)):
        foot = {name[2:]: value for name, value in c.items() if name[:2] == f"{side.lower()}_"}
        turns |= _leg(person, side, s, pelvis, root, foot, c["splay"])
    return turns, root


def _trunk_turn(forward: float, around: float, to_left: float) -> np.ndarray:
    return turn("y", around) @ turn("z", -to_left) @ turn("x", forward)


def _arm(person: Person, side: str, s: float, c: Pose) -> dict[str, np.ndarray]:
    """Turns of one arm, s: 1 left, -1 right. All in the axes of the rest pose."""
    shoulder, elbow, wrist = (
        person.head(f"{bone}.{side}") for bone in ("upperarm01", "lowerarm01", "wrist")
    )
    upper, lower = unit(elbow - shoulder), unit(wrist - elbow)
    hinge = unit(np.cross(upper, lower))
    down = np.array([0.0, -1, 0])
    hang = about(unit(np.cross(upper, down)), np.degrees(np.arccos(upper @ down)))
    aim = turn("z", s * c["raise"]) @ turn("x", -c["swing"])
    # The shoulder blade takes part once the arm is well up.
    up = np.degrees(np.arccos(np.clip((aim @ down) @ down, -1, 1)))
    lift = max(0.0, up - 35) * 0.24
    clavicle, blade = turn("z", s * lift * 0.6), turn("z", s * lift * 0.4)
    rest_bend = np.degrees(np.arccos(upper @ lower))
    across = np.cross(hinge, lower)
    turns = {
        f"clavicle.{side}": clavicle,
        f"shoulder01.{side}": blade,
        # The twist is spread along the arm, which keeps the skin from wringing.
        f"upperarm01.{side}": (clavicle @ blade).T @ aim @ turn("y", s * c["twist"] * 0.35) @ hang,
        f"upperarm02.{side}": about(upper, -s * c["twist"] * 0.65),
        f"lowerarm01.{side}": about(hinge, c["elbow"] - rest_bend),
        f"lowerarm02.{side}": about(lower, -s * c["roll"]),
        f"wrist.{side}": about(unit(across), s * c["wrist"]),
    }
    return turns | fingers(person, side, s, c["curl"])


def _leg(
    person: Person,
    side: str,
    s: float,
    pelvis: np.ndarray,
    root: np.ndarray,
    c: Pose,
    splay: float,
) -> dict[str, np.ndarray]:
    """Turns of one leg that bring its foot to its place; s: 1 left, -1 right."""
    hip0, knee0, ankle0, ball0 = (
        person.head(f"{bone}.{side}") for bone in ("upperleg01", "lowerleg01", "foot", "toe1-1")
    )
    heading = turn("y", c["orbit"])
    foot = heading @ turn("x", c["heel"])
    # On the floor the foot turns about its ball, not about the ankle.
    stand = np.array([s * STANCE, ankle0[1] + c["lift"], ankle0[2] + c["ahead"]])
    ball = ball0 - ankle0
    ankle = heading @ (stand + ball) - foot @ ball

    hip = root + pelvis @ (hip0 - person.head("root"))
    thigh, shin = np.linalg.norm(knee0 - hip0), np.linalg.norm(ankle0 - knee0)
    reach = min(np.linalg.norm(ankle - hip), (thigh + shin) * 0.9995)
    along = unit(ankle - hip)
    front = 0.5 * (heading @ turn("y", s * splay) + pelvis @ turn("y", s * splay))[:, 2]
    front = unit(front - along * (front @ along))
    ahead = (thigh**2 - shin**2 + reach**2) / (2 * reach)
    knee = hip + along * ahead + front * np.sqrt(max(thigh**2 - ahead**2, 0.0))
    hinge = np.cross(front, along)

    x = np.array([1.0, 0, 0])
    thigh_turn = frame(knee - hip, hinge) @ frame(knee0 - hip0, x).T
    shin_turn = frame(ankle - knee, hinge) @ frame(ankle0 - knee0, x).T
    return {
        f"upperleg01.{side}": pelvis.T @ thigh_turn,
        f"lowerleg01.{side}": thigh_turn.T @ shin_turn,
        f"foot.{side}": shin_turn.T @ foot @ turn("y", s * 6.0),
    }
