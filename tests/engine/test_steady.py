"""What is shown of a person: steady joints, metres, a place before the camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from livepose.engine.smoothing import Smoothing
from livepose.engine.steady import Steady, View
from livepose.frames import Pose
from livepose.lift.camera import Intrinsics
from livepose.lift.metric import to_pixels
from livepose.skeleton import INDEX
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
        poses.append(steady(1, seen, k / 30, camera, view, smoothing, ahead_s))
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


def test_after_a_cut_nothing_of_the_old_place_is_left() -> None:
    steady = Steady()
    walk(steady)
    person = standing() + np.array([1.0, 0.3, 5.0])
    joints, depth = to_pixels(person, CAMERA)
    pose = steady(1, found(joints, depth=depth), 10.0, CAMERA, View(), Smoothing())
    assert np.allclose(pose.joints, joints, atol=1e-3)
    assert pose.position == pytest.approx([1.0, 0.3, 5.0], abs=0.05)


def test_who_is_gone_is_forgotten() -> None:
    steady = Steady()
    walk(steady)
    steady.keep({2})
    person = standing() + np.array([0, 0, 3.0])
    joints, depth = to_pixels(person, CAMERA)
    there = steady(1, found(joints, depth=depth), 3.0, CAMERA, View(), Smoothing())
    assert np.allclose(there.joints, joints, atol=1e-3)


def test_a_view_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="field of view"):
        View(fov=0)
    with pytest.raises(ValueError, match="height"):
        replace(View(), height=17.2)
    assert INDEX["pelvis"] >= 0
