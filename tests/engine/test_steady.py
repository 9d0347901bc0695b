"""What is shown of a person: steady joints, metres, a place before the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from livepose.engine.smoothing import Smoothing
from livepose.engine.steady import Steady, View
from livepose.frames import Pose
from livepose.lift.camera import Intrinsics
from livepose.lift.metric import to_pixels
from livepose.skeleton import FLIP, INDEX, J
from tests.engine.fakes import found
from tests.lift.test_lift import bone_lengths, standing

CAMERA = Intrinsics.of_fov(1280, 720)
OFF = Smoothing(on=False)


def walk(
    steady: Steady, smoothing: Smoothing = Smoothing(), view: View = View(), noise: float = 1.5,
    frames: int = 90, ahead_s: float = 0.0, height: float = 1.72,
) -> tuple[list[Pose], np.ndarray]:  # fmt: skip
    """Somebody walks sideways, 3 metres away, at half a metre a second; poses and true joints."""
    rng, poses, truth = np.random.default_rng(0), [], []
    camera = Intrinsics.of_fov(1280, 720, view.fov)
    for k in range(frames):
        person = standing(height, turn=0.5) + np.array([-0.7 + 0.5 * k / 30, 0, 3.0])
        joints, depth = to_pixels(person, camera)
        truth.append(joints)
        seen = found(
            joints + rng.normal(0, noise, joints.shape), depth=depth + rng.normal(0, noise)
        )
        poses += steady([(1, seen)], k / 30, camera, view, smoothing, ahead_s)
    return poses, np.array(truth)


def test_a_person_stands_where_it_is_and_is_as_tall_as_it_is() -> None:
    poses, _ = walk(Steady(), noise=0.0)
    for k in (0, 45, 89):
        assert poses[k].position == pytest.approx([-0.7 + 0.5 * k / 30, 0, 3], abs=0.03)
    tall, _ = walk(Steady(), view=View(height=1.9), noise=0.0, height=1.9)
    assert tall[-1].position == pytest.approx(poses[-1].position, abs=0.03)
    ratio = bone_lengths(tall[-1].xyz) / bone_lengths(poses[-1].xyz)
    assert ratio == pytest.approx(np.full(16, 1.9 / 1.72), rel=0.02)


def test_smoothing_takes_noise_away_and_says_its_lag() -> None:
    raw, truth = walk(Steady(), OFF)
    smooth, _ = walk(Steady())
    shake = [np.diff([p.joints for p in poses], 2, axis=0)[20:].std() for poses in (raw, smooth)]
    assert shake[1] < 0.5 * shake[0]
    assert 0 < smooth[-1].lag_s < 0.15
    speed = (truth[-1] - truth[-2])[0, 0] * 30
    late = (truth[-20:] - np.array([p.joints for p in smooth[-20:]]))[..., 0].mean() / speed
    assert smooth[-1].lag_s == pytest.approx(late, abs=0.02)
    assert raw[-1].lag_s == 0


def test_bones_keep_their_lengths() -> None:
    smooth, _ = walk(Steady(), noise=3.0)
    lengths = bone_lengths(np.array([p.xyz for p in smooth[30:]]))
    assert (lengths.std(0) / lengths.mean(0)).max() < 0.03


def test_prediction_puts_joints_where_they_will_be() -> None:
    predicted, truth = walk(Steady(), Smoothing(predict=True), noise=0.0, ahead_s=3 / 30)
    now, _ = walk(Steady(), noise=0.0)
    then = truth[63:] - np.array([p.joints for p in predicted[60:-3]])
    assert np.abs(then).mean() < 0.3 * np.abs(truth[63:] - truth[60:-3]).mean()
    assert predicted[-1].lag_s == pytest.approx(-0.1, abs=0.02)
    assert np.abs(truth[60:] - np.array([p.joints for p in now[60:]])).mean() < 2


def shown(
    tracks: np.ndarray, noise: float, predict: bool, ahead_s: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Of a person at places (F, 3) in metres: joints that are shown, and those of the network."""
    rng, steady, out, raw = np.random.default_rng(0), Steady(), [], []
    for k, place in enumerate(tracks):
        joints, depth = to_pixels(standing(turn=0.5) + place, CAMERA)
        raw.append(joints + rng.normal(0, noise, joints.shape))
        seen = [(1, found(raw[-1], depth=depth + rng.normal(0, noise, depth.shape)))]
        smoothing = Smoothing(predict=predict)
        out += [p.joints for p in steady(seen, k / 30, CAMERA, View(), smoothing, ahead_s)]
    return np.array(out), np.array(raw)


@pytest.mark.parametrize("ahead_s", [0.04, 0.1])
def test_prediction_does_not_shake_who_stands_still(ahead_s: float) -> None:
    still = np.tile([0.0, 0.0, 3.0], (240, 1))
    predicted, raw = shown(still, 1.5, True, ahead_s)
    smooth, _ = shown(still, 1.5, False)
    shake = [np.std(points[60:], axis=0).mean() for points in (smooth, predicted, raw)]
    assert shake[1] < 0.85 * shake[2]
    assert shake[0] < 0.55 * shake[2]


@pytest.mark.parametrize("swing", [2.0, 4.0])
def test_prediction_takes_lag_off_who_moves_fast(swing: float) -> None:
    at = np.arange(240) / 30
    place = np.column_stack([0.5 * np.sin(swing * at), 0 * at, np.full(240, 3.0)])
    _, truth = shown(place, 0.0, False)
    late = [np.abs(shown(place, 1.5, predict, 3 / 30)[0][60:-3] - truth[63:]).mean()
            for predict in (False, True)]  # fmt: skip
    assert late[1] < 0.65 * late[0]


LEGS = [INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle")]
BODY = list(range(J))


def round_and_round(
    turns: np.ndarray, mixed: Sequence[int], joints: Sequence[int] = BODY, fps: float = 30.0,
    noise: float = 1.5, judged: Sequence[int] = LEGS,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Somebody turned by so much (F,), with left and right of these joints mixed up in the pictures
    `mixed`; distances in pixels of what is shown from the true joints and from the other side's."""
    rng, steady, flip = np.random.default_rng(0), Steady(), np.arange(J)
    flip[joints] = np.array(FLIP)[joints]
    near, far = [], []
    for k, turn in enumerate(turns):
        truth, depth = to_pixels(standing(turn=turn) + np.array([0, 0, 3.0]), CAMERA)
        xy = truth + rng.normal(0, noise, truth.shape)
        seen = (xy[flip], depth[flip]) if k in mixed else (xy, depth)
        people = [(1, found(seen[0], depth=seen[1]))]
        (pose,) = steady(people, k / fps, CAMERA, View(), Smoothing())
        near.append(np.linalg.norm(pose.joints - truth, axis=1)[judged].max())
        far.append(np.linalg.norm(pose.joints - truth[list(FLIP)], axis=1)[judged].max())
    return np.array(near), np.array(far)


@pytest.mark.parametrize("joints", [BODY, LEGS])
@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_left_and_right_do_not_swap_for_some_pictures(length: int, joints: list[int]) -> None:
    near, far = round_and_round(np.full(90, 0.3), range(40, 40 + length), joints)
    assert near.max() < 8  # a few times the noise; left and right are 60 pixels apart
    assert far.min() > 30


@pytest.mark.parametrize("parts", [("shoulder",), ("shoulder", "elbow", "wrist"), ("hip",)])
def test_no_back_is_twisted_by_half_a_turn(parts: Sequence[str]) -> None:
    """Shoulders or hips that were not apart a moment ago come out of it the wrong way round."""
    joints = [INDEX[f"{side}_{part}"] for side in ("left", "right") for part in parts]
    aside = np.pi / 2
    turns = np.concatenate([np.zeros(30), np.linspace(0, aside, 8), np.full(8, aside),
                            np.linspace(aside, 0, 8), np.zeros(30)])  # fmt: skip
    near, far = round_and_round(turns, range(50, 55), joints, judged=joints)
    assert near[60:].max() < 20
    assert (near < far)[49:].all()


def test_whoever_turns_round_is_believed() -> None:
    quick = np.concatenate([np.zeros(30), np.linspace(0, np.pi, 15), np.full(45, np.pi)])
    near, _ = round_and_round(quick, ())
    assert near.max() < 25
    assert near[60:].max() < 8
    # A network that has been wrong from the beginning, or a film with pictures left out.
    near, far = round_and_round(np.zeros(60), range(20))
    assert far[1:20].max() < 8
    assert near[30:].max() < 8  # without passing through the body
    assert np.minimum(near, far)[1:].max() < 8


def widths(turns: np.ndarray, fps: float = 10) -> np.ndarray:
    """(F, 2): by how much left is right of right in what is shown of shoulders and hips, in pixels,
    while a network says that somebody is turned by so much."""
    steady, out = Steady(), []
    sides = [
        [INDEX[f"{side}_{part}"] for part in ("shoulder", "hip")] for side in ("left", "right")
    ]
    for k, turn in enumerate(turns):
        joints, depth = to_pixels(standing(turn=turn) + np.array([0, 0, 3.0]), CAMERA)
        (pose,) = steady([(1, found(joints, depth=depth))], k / fps, CAMERA, View(), Smoothing())
        out.append(pose.joints[sides[0], 0] - pose.joints[sides[1], 0])
    return np.array(out)


def test_a_front_is_not_taken_for_a_back_for_one_picture() -> None:
    """Nothing is exchanged: in depth, every joint is where it was."""
    turns = np.full(60, 1.0)
    turns[40] = np.pi - turns[40]
    shown = widths(turns)
    assert (shown * shown[0] > 0).all()
    assert abs(shown[41:] / shown[0] - 1).max() < 0.1  # and it leaves no trace


def test_nor_where_somebody_seemed_to_be_turning() -> None:
    turns = np.full(60, 1.0)
    turns[38:43] = 1.2, 1.35, np.pi - 1.1, 1.1, 1.05
    shown = widths(turns, fps=30)
    assert (shown * shown[0] > 0).all()


def test_nor_for_two_pictures() -> None:
    turns = np.full(60, 1.0)
    turns[40:42] = np.pi - 1.0
    shown = widths(turns)
    assert (shown * shown[0] > 0).all()


def test_a_sudden_turn_is_believed_in_the_third_picture() -> None:
    turns = np.full(60, 1.0)
    turns[40:] = np.pi - turns[40:]
    shown = widths(turns)
    assert (shown[:42] * shown[0] > 0).all()
    assert (shown[43:] * shown[0] < 0).all()


def test_another_height_is_another_size() -> None:
    steady = Steady()
    person, size = standing() + np.array([0.3, 0, 3.0]), []
    joints, depth = to_pixels(person, CAMERA)
    for k in range(106):
        view = View(height=1.72 if k < 105 else 0.86)
        (pose,) = steady([(1, found(joints, depth=depth))], k / 30, CAMERA, view, Smoothing())
        size.append(np.ptp(pose.xyz[:, 1]))
    assert size[-1] == pytest.approx(size[104] / 2, rel=0.02)
    assert pose.position == pytest.approx([0.15, 0, 1.5], abs=0.03)


def test_people_do_not_disturb_each_other() -> None:
    alone, together = Steady(), Steady()
    rng = np.random.default_rng(0)
    for k in range(40):
        people = []
        for id_ in (1, 2, 3):
            place = np.array([id_ - 2.0, 0, 2.0 + id_])
            joints, depth = to_pixels(standing(turn=0.1 * k + id_) + place, CAMERA)
            people.append((id_, found(joints + rng.normal(0, 1, joints.shape), depth=depth)))
        there = people if k % 7 else people[1:]  # the first one comes and goes
        poses = together(there, k / 30, CAMERA, View(), Smoothing())
        assert [pose.id for pose in poses] == [id_ for id_, _ in there]
        (own,) = alone([people[2]], k / 30, CAMERA, View(), Smoothing())
        assert np.allclose(poses[-1].joints, own.joints)
        assert np.allclose(poses[-1].xyz, own.xyz, atol=1e-5)
        assert np.allclose(poses[-1].position, own.position, atol=1e-5)


def test_after_a_cut_nothing_of_the_old_place_is_left() -> None:
    steady = Steady()
    walk(steady)
    person = standing() + np.array([1.0, 0.3, 5.0])
    joints, depth = to_pixels(person, CAMERA)
    (pose,) = steady([(1, found(joints, depth=depth))], 10.0, CAMERA, View(), Smoothing())
    assert np.allclose(pose.joints, joints, atol=1e-3)
    assert pose.position == pytest.approx([1.0, 0.3, 5.0], abs=0.05)


def test_who_is_gone_is_forgotten() -> None:
    steady = Steady()
    walk(steady)
    steady.keep({2})
    person = standing() + np.array([0, 0, 3.0])
    joints, depth = to_pixels(person, CAMERA)
    (there,) = steady([(1, found(joints, depth=depth))], 3.0, CAMERA, View(), Smoothing())
    assert np.allclose(there.joints, joints, atol=1e-3)


def test_a_view_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="field of view"):
        View(fov=0)
    with pytest.raises(ValueError, match="height"):
        replace(View(), height=17.2)
    assert INDEX["pelvis"] >= 0
