"""Metres from pixels: there and back, against a scalar optimiser, bones, and the floor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from livepose.lift.bones import Bones
from livepose.lift.camera import Intrinsics
from livepose.lift.floor import Floor, to_world
from livepose.lift.metric import _FROM, _TO, LENGTHS, distance, rays, to_metres, to_pixels
from livepose.skeleton import BONES, INDEX, J

SURE = np.ones(J)
HEIGHT = 1.72


def standing(height: float = HEIGHT, arms: float = 0.3, turn: float = 0.0) -> np.ndarray:
    """(J, 3) metres about the pelvis of a person with the bones of the prior, camera axes."""
    p = np.zeros((J, 3))

    def put(name: str, x: float, y: float, z: float = 0.0) -> None:
        p[INDEX[name]] = (x, y, z)

    put("neck", 0, -0.51)
    put("spine", 0, -0.25)
    put("head", 0, -0.70, -0.02)
    put("head_top", 0, -0.84)
    put("nose", 0, -0.68, -0.12)
    for side, s in (("left", 1), ("right", -1)):
        put(f"{side}_eye", 0.03 * s, -0.71, -0.1)
        put(f"{side}_ear", 0.07 * s, -0.7)
        put(f"{side}_shoulder", 0.18 * s, -0.5)
        put(f"{side}_elbow", s * (0.18 + 0.32 * np.sin(arms)), -0.5 + 0.32 * np.cos(arms))
        x, y, _ = p[INDEX[f"{side}_elbow"]]
        put(f"{side}_wrist", x, y + 0.25 * 0.8, -0.25 * 0.6)
        put(f"{side}_hip", 0.09 * s, 0)
        put(f"{side}_knee", 0.09 * s, 0.42)
        put(f"{side}_ankle", 0.09 * s, 0.84)
    c, s = np.cos(turn), np.sin(turn)
    return p @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) * height / HEIGHT


@given(
    st.floats(35, 110), st.floats(1.2, 12), st.floats(-0.8, 0.8), st.floats(1.0, 2.1),
    st.floats(-3, 3),
)  # fmt: skip
def test_there_and_back_on_any_camera(
    fov: float, away: float, aside: float, height: float, turn: float
) -> None:
    camera = Intrinsics.of_fov(1280, 720, fov)
    people = np.stack([standing(height, a, turn) for a in (0.1, 1.4)])
    people += np.array([aside, 0.2, away])
    joints, depth = to_pixels(people, camera)
    back = to_metres(joints, depth, np.ones((2, J)), camera, np.full(2, height))
    assert np.abs(back - people).max() < 1e-3


def test_agrees_with_a_scalar_optimiser_on_noisy_joints() -> None:
    rng = np.random.default_rng(0)
    camera = Intrinsics.of_fov(640, 480)
    for _ in range(20):
        person = standing(turn=rng.uniform(-3, 3)) + np.array([0, 0, rng.uniform(2, 6)])
        joints, depth = to_pixels(person, camera)
        joints, depth = joints + rng.normal(0, 5, joints.shape), depth + rng.normal(0, 8, J)
        confidence = rng.uniform(0, 1, J)
        q = rays(joints, depth, camera)
        seen = np.linalg.norm(q[_FROM] - q[_TO], axis=1)
        weight = np.minimum(confidence[_FROM], confidence[_TO])

        def cost(z: float, seen: np.ndarray = seen, weight: np.ndarray = weight) -> float:
            return float((weight * np.abs(z * seen - LENGTHS)).sum())

        found = minimize_scalar(cost, bounds=(0.2, 60), method="bounded", options={"xatol": 1e-9})
        closed = float(distance(q, confidence))
        assert cost(closed) <= cost(found.x) + 1e-6


def test_hidden_bones_and_false_depth_do_not_move_a_person() -> None:
    camera = Intrinsics.of_fov(1280, 720)
    person = standing() + np.array([0, 0, 3.0])
    joints, depth = to_pixels(person, camera)
    confidence = SURE.copy()
    for name in ("left_wrist", "right_ankle"):  # guessed, somewhere else
        confidence[INDEX[name]], joints[INDEX[name]] = 0.02, (0, 0)
    back = to_metres(joints, depth, confidence, camera)
    assert back[INDEX["pelvis"], 2] == pytest.approx(3.0, abs=0.01)


def test_a_collapsed_skeleton_is_finite() -> None:
    camera = Intrinsics.of_fov(64, 64)
    assert np.isfinite(to_metres(np.zeros((J, 2)), np.zeros(J), np.zeros(J), camera)).all()
    # A joint that the network puts behind the camera stays before it.
    assert (rays(np.zeros((J, 2)), np.linspace(0, -500, J), camera)[:, 2] > 0).all()


def test_a_field_of_view_that_is_none() -> None:
    with pytest.raises(ValueError, match="20 to 130"):
        Intrinsics.of_fov(640, 480, 0)
    # The same angle in a picture and in its half, held upright or not.
    assert Intrinsics.of_fov(720, 1280).focal == 2 * Intrinsics.of_fov(640, 360).focal


def bone_lengths(points: np.ndarray) -> np.ndarray:
    a, b = (np.array([INDEX[bone[i]] for bone in BONES]) for i in (0, 1))
    return np.linalg.norm(points[..., a, :] - points[..., b, :], axis=-1)


def test_bones_breathe_no_more() -> None:
    rng = np.random.default_rng(0)
    bones = Bones.new(1)
    noisy = [standing(turn=t) + rng.normal(0, 0.02, (J, 3)) for t in np.linspace(0, 3, 120)]
    steady = np.array([HEIGHT * bones(p[None] / HEIGHT, SURE[None])[0] for p in noisy])
    before, after = (bone_lengths(np.array(p)[30:]) for p in (noisy, steady))
    assert (before.std(0) / before.mean(0)).max() > 0.05
    assert (after.std(0) / after.mean(0)).max() < 0.03
    # Between what is usual and what is seen, for a network sees a person wrong for ever.
    (unseen,) = Bones.new(1)(standing()[None], 0 * SURE[None])
    true, usual = bone_lengths(standing()), HEIGHT * bone_lengths(unseen)
    assert (np.abs(after[-1] - (true + usual) / 2) < 0.015).all()
    # And where the picture has them.
    assert np.linalg.norm(steady[-1] - standing(turn=3), axis=1).max() < 0.12


def test_left_and_right_are_equally_long() -> None:
    bones = Bones.new(1)
    p = standing()
    p[INDEX["left_ankle"], 1] += 0.1
    for _ in range(500):
        out = HEIGHT * bones(p[None] / HEIGHT, SURE[None])[0]
    left, right = (np.linalg.norm(out[INDEX[f"{s}_ankle"]] - out[INDEX[f"{s}_knee"]])
                   for s in ("left", "right"))  # fmt: skip
    assert left == pytest.approx(right)
    usual, seen = 0.262 * HEIGHT, 0.47  # 0.42 and 0.52
    assert left == pytest.approx((usual + seen) / 2, abs=0.01)


def test_nobody_is_shaped_by_one_picture() -> None:
    """An arm that points at the camera looks short; usual proportions know better."""
    bones = Bones.new(1)
    p = standing() / HEIGHT
    p[INDEX["left_wrist"]] = p[INDEX["left_elbow"]] + 0.05
    p[INDEX["right_wrist"]] = p[INDEX["right_elbow"]] + 0.05
    out = HEIGHT * bones(p[None], SURE[None])[0]
    assert np.linalg.norm(out[INDEX["left_wrist"]] - out[INDEX["left_elbow"]]) > 0.23


def test_guessed_joints_teach_nothing() -> None:
    bones = Bones.new(1)
    for _ in range(300):
        bones(standing()[None] / HEIGHT, SURE[None])
    long = standing() / HEIGHT
    long[INDEX["left_wrist"]] *= 3
    confidence = SURE.copy()
    confidence[INDEX["left_wrist"]] = 0.1
    for _ in range(200):
        out = HEIGHT * bones(long[None], confidence[None])[0]
    arm = np.linalg.norm(out[INDEX["left_wrist"]] - out[INDEX["left_elbow"]])
    assert arm == pytest.approx(0.25, abs=0.01)


def camera_above(pitch: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn and shift from the world (x right, y away, z up) to camera axes, looking down."""
    c, s = np.cos(pitch), np.sin(pitch)
    right, forward, down = np.eye(3)[0], np.array([0, c, -s]), np.array([0, -s, -c])
    turn = np.stack([right, down, forward])
    return turn, np.array([0, 0, height])


@pytest.mark.parametrize(("pitch", "height"), [(0.0, 1.0), (0.25, 1.6), (-0.1, 0.4)])
def test_the_floor_is_found_under_people(pitch: float, height: float) -> None:
    turn, eye = camera_above(pitch, height)
    floor = Floor()
    assert not floor.seen
    for k in range(200):
        body = standing(turn=k) @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z up
        body[:, 2] -= body[INDEX["left_ankle"], 2] - 0.08
        world = body + np.array([np.sin(k), 3 + np.cos(k), 0])
        floor.add((world - eye) @ turn.T, SURE)
    assert floor.seen
    assert floor.height == pytest.approx(height, abs=0.12)
    there = to_world((world - eye) @ turn.T, floor.up, floor.height)
    assert np.abs(there - world).max() < 0.25
    assert to_world(np.zeros(3), floor.up, 1.2) == pytest.approx([0, 0, 1.2])


def test_who_sits_or_whose_feet_are_hidden_says_nothing_about_the_floor() -> None:
    floor = Floor()
    sitting = standing()
    for side in ("left", "right"):
        sitting[INDEX[f"{side}_knee"]] = (0.1, 0, -0.42)
        sitting[INDEX[f"{side}_ankle"]] = (0.1, 0.42, -0.42)
    floor.add(sitting + np.array([0, 0, 3]), SURE)
    feet = SURE.copy()
    feet[INDEX["left_ankle"]] = 0.1
    floor.add(standing() + np.array([0, 0, 3]), feet)
    assert not floor.seen
    assert np.allclose(floor.up, (0, -1, 0))
