"""From joint positions of a motion file to turns of a body's bones, by the directions of limbs.

The skeletons differ in proportions, so positions cannot be met; directions can. The bend of
elbows and knees tells how a limb is twisted. World axes are those of `livepose.synth.body`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

if TYPE_CHECKING:
    from livepose.synth.body import Person

# Shares of the turn between pelvis and chest, and between chest and head, bone by bone.
SPINE = (("spine05", 0.15), ("spine04", 0.4), ("spine03", 0.65), ("spine02", 0.85), ("spine01", 1))
NECK = (("neck01", 0.15), ("neck02", 0.35), ("neck03", 0.6), ("head", 1.0))
_STRAIGHT = 0.15  # radians: less of a bend than this does not tell its axis
# A shoulder blade takes part once the arm is up: from this angle from hanging, by this share.
_LIFT_FROM, _LIFT_SHARE = np.radians(40), 0.24


def unit(v: np.ndarray) -> np.ndarray:
    """`v` at length 1."""
    return v / max(float(np.linalg.norm(v)), 1e-9)


def turn(axis: str, degrees: float) -> np.ndarray:
    """Rotation matrix about the axis ``x``, ``y`` or ``z``."""
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix()


def about(axis: np.ndarray, degrees: float) -> np.ndarray:
    """Rotation matrix about a unit vector."""
    return Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()


def frame(along: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """Axes of a limb: columns along it, the hinge as far as square to that, and the third."""
    along = unit(along)
    hinge = unit(hinge - along * (hinge @ along))
    return np.stack([along, hinge, np.cross(along, hinge)], axis=1)


def swing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest turn that takes the direction `a` to `b`."""
    a, b = unit(a), unit(b)
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-6 and a @ b < 0:  # opposite: half a turn about anything square to it
        axis, sine = np.cross(a, np.eye(3)[np.abs(a).argmin()]), 1.0
        return about(unit(axis), 180)
    return about(axis / max(sine, 1e-9), np.degrees(np.arctan2(sine, a @ b)))


def between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """The rotation that lies `share` of the way from `a` to `b`."""
    return Slerp([0, 1], Rotation.from_matrix([a, b]))(share).as_matrix()


def retarget(
    person: Person, at: Mapping[str, np.ndarray], look: np.ndarray, curl: float = 20.0
) -> dict[str, np.ndarray]:
    """Bone turns for `Person.transforms` that give a person the pose of a motion's frame.

    Args:
        at: positions (3,) of pelvis, thorax, spine and of hip, knee, ankle, toe, shoulder, elbow,
            wrist with ``l_`` and ``r_`` before; of head and head_top where the motion has them.
        look: turns of the head (pitch, yaw, roll) in degrees about the chest, where the motion
            does not tell.
        curl: of the fingers, degrees a joint.
    """
    hips = person.head("upperleg01.L") - person.head("upperleg01.R")
    rest_up = np.array([0.0, 1, 0])
    pelvis = frame(at["spine"] - at["pelvis"], at["l_hip"] - at["r_hip"])
    # The hips say more of the pelvis than the lower spine does: they are the first axis.
    across = unit(at["l_hip"] - at["r_hip"])
    up = unit(pelvis[:, 0] - across * (pelvis[:, 0] @ across))
    pelvis = np.stack([across, up, np.cross(across, up)], 1) @ frame(hips, rest_up).T
    chest = frame(at["l_shoulder"] - at["r_shoulder"], at["thorax"] - at["spine"])
    chest = chest @ frame(hips, rest_up).T

    world = {"root": pelvis}
    for bone, share in SPINE:
        world[bone] = between(pelvis, chest, share)
    head = _head(at, chest, look)
    for bone, share in NECK:
        world[bone] = between(chest, head, share)
    turns: dict[str, np.ndarray] = {}
    for s in "LR":
        turns |= _arm(person, at, s, chest)
        turns |= _leg(person, at, s, pelvis)
        turns |= fingers(person, s, 1.0 if s == "L" else -1.0, curl)
    parent = np.eye(3)
    for bone in ("root", *(b for b, _ in SPINE)):
        turns[bone] = parent.T @ world[bone]
        parent = world[bone]
    parent = chest
    for bone, _ in NECK:
        turns[bone] = parent.T @ world[bone]
        parent = world[bone]
    return turns


def _head(at: Mapping[str, np.ndarray], chest: np.ndarray, look: np.ndarray) -> np.ndarray:
    if "head_top" not in at:
        return chest @ turn("y", look[1]) @ turn("x", look[0]) @ turn("z", look[2])
    # Human3.6M: "head" is at the front of the face, "head_top" above the middle of the skull.
    up = at["head_top"] - at["thorax"]
    front = at["head"] - (at["head_top"] + at["thorax"]) / 2
    if np.linalg.norm(np.cross(unit(up), front)) < 0.02:
        return swing(chest[:, 1], up) @ chest
    left = np.cross(up, front)
    f = frame(up, left)
    return np.stack([f[:, 1], f[:, 0], np.cross(f[:, 1], f[:, 0])], 1)


def _limb(
    rest: tuple[np.ndarray, np.ndarray], now: tuple[np.ndarray, np.ndarray], parent: np.ndarray,
    rest_hinge: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """World rotations of the two bones of a limb from their directions at rest and now."""
    upper, lower = unit(now[0]), unit(now[1])
    # Without a bend the limb is turned the short way from how it hangs on its parent.
    carried = swing(parent @ rest[0], upper) @ parent @ rest_hinge
    bend = np.cross(upper, lower)
    sure = np.clip(np.linalg.norm(bend) / np.sin(2 * _STRAIGHT) - 0.5, 0, 1)
    hinge = unit(sure * unit(bend) + (1 - sure) * unit(carried))
    return (frame(upper, hinge) @ frame(rest[0], rest_hinge).T,
            frame(lower, hinge) @ frame(rest[1], rest_hinge).T)  # fmt: skip


def _arm(
    person: Person, at: Mapping[str, np.ndarray], s: str, chest: np.ndarray
) -> dict[str, np.ndarray]:
    shoulder, elbow, wrist = (
        person.head(f"{b}.{s}") for b in ("upperarm01", "lowerarm01", "wrist")
    )
    low = s.lower()
    now = (at[f"{low}_elbow"] - at[f"{low}_shoulder"], at[f"{low}_wrist"] - at[f"{low}_elbow"])
    rest = (elbow - shoulder, wrist - elbow)
    sign = 1.0 if s == "L" else -1.0
    raised = np.arccos(np.clip(unit(now[0]) @ -chest[:, 1], -1, 1))
    lift = np.degrees(max(0.0, raised - _LIFT_FROM)) * _LIFT_SHARE
    clavicle, blade = turn("z", sign * lift * 0.6), turn("z", sign * lift * 0.4)
    base = chest @ clavicle @ blade
    upper, lower = _limb(rest, now, base, unit(np.cross(*rest)))
    # Half of the twist about the upper arm is left to its second bone: less wringing of the skin.
    swung = swing(base @ rest[0], now[0]) @ base
    first = between(swung, upper, 0.5)
    return {
        f"clavicle.{s}": clavicle, f"shoulder01.{s}": blade,
        f"upperarm01.{s}": base.T @ first, f"upperarm02.{s}": first.T @ upper,
        f"lowerarm01.{s}": upper.T @ lower,
    }  # fmt: skip


def _leg(
    person: Person, at: Mapping[str, np.ndarray], s: str, pelvis: np.ndarray
) -> dict[str, np.ndarray]:
    hip, knee, ankle, toe = (
        person.head(f"{b}.{s}") for b in ("upperleg01", "lowerleg01", "foot", "toe1-1")
    )
    low = s.lower()
    now = (at[f"{low}_knee"] - at[f"{low}_hip"], at[f"{low}_ankle"] - at[f"{low}_knee"])
    upper, lower = _limb((knee - hip, ankle - knee), now, pelvis, np.array([1.0, 0, 0]))
    foot = swing(lower @ (toe - ankle), at[f"{low}_toe"] - at[f"{low}_ankle"]) @ lower
    foot = between(lower, foot, 0.8)  # toes of motion files are rough
    return {f"upperleg01.{s}": pelvis.T @ upper, f"lowerleg01.{s}": upper.T @ lower,
            f"foot.{s}": lower.T @ foot}  # fmt: skip


def fingers(person: Person, side: str, s: float, curl: float) -> dict[str, np.ndarray]:
    """Turns of the fingers; the rest pose spreads them, the more they curl, the less so."""
    wrist, first, last = (
        person.head(f"{bone}.{side}") for bone in ("wrist", "finger2-1", "finger5-1")
    )
    aim = {k: unit(person.head(f"finger{k}-3.{side}") - person.head(f"finger{k}-1.{side}"))
           for k in range(1, 6)}  # fmt: skip
    palm = unit(np.cross(first - wrist, last - wrist))
    hinge = np.cross(palm, aim[3])
    turns = {}
    for k in range(2, 6):
        aside = np.degrees(np.arcsin(np.cross(aim[k], aim[3]) @ palm))
        turns[f"finger{k}-1.{side}"] = about(hinge, s * curl) @ about(
            palm, aside * min(curl / 15, 0.8)
        )
        for joint in (2, 3):
            turns[f"finger{k}-{joint}.{side}"] = about(hinge, s * curl * 0.8)
    turns[f"finger1-1.{side}"] = about(aim[3], s * curl * 1.2)
    return turns
