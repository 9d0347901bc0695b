"""The shipped network on the bundled clip and, where there are some, on real pictures."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import resources
from livepose.crop import Square, cut
from livepose.cv import cv2
from livepose.engine import device
from livepose.engine.backends import TorchBackend
from livepose.engine.device import Placement
from livepose.engine.predictor import Predictor
from livepose.engine.session import DEFAULT_MODEL
from livepose.frames import Frame, Result
from livepose.models.store import load_model
from livepose.skeleton import INDEX, MARGIPOSE_17, indices
from livepose.timing.timeline import Timeline, now_ns

LIMBS = indices([n for n in INDEX if n.split("_")[-1] in
                 ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")])  # fmt: skip


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    net, card = load_model(DEFAULT_MODEL)
    return Predictor(TorchBackend(net, device.choose("cpu", "float32")), card.name, "CPU")


NUMBERS = itertools.count()


def look(predictor: Predictor, image: np.ndarray) -> Result:
    """By the clock of a video, so that nobody is lost on a machine that has much else to do."""
    number = next(NUMBERS)
    return predictor(Frame(number, image, Timeline(now_ns()), media_s=number / 30))


def first_frames(count: int, step: int = 1) -> list[np.ndarray]:
    video, images = cv2.VideoCapture(str(resources.CLIP)), []
    for i in range(count * step):
        ok, image = video.read()
        assert ok
        if i % step == 0:
            images.append(np.asarray(image))
    return images


def test_the_clip_is_tracked_in_2d_and_3d(predictor: Predictor) -> None:
    truth = np.load(resources.ASSETS / "clip.truth.npz")
    predictor.forget()
    step = 6
    errors, deep = [], []
    images = first_frames(len(truth["joints"]) // step, step)
    for i, image in zip(range(0, len(images) * step, step), images, strict=True):
        result = look(predictor, image)
        assert len(result.poses) == 1, f"nobody found in frame {i}"
        pose, joints = result.poses[0], truth["joints"][i]
        torso = np.linalg.norm(joints[INDEX["left_shoulder"]] - joints[INDEX["right_hip"]])
        errors.append(np.linalg.norm(pose.joints[LIMBS] - joints[LIMBS], axis=1) / torso)
        canonical = indices(MARGIPOSE_17)
        deep.append(np.linalg.norm(pose.xyz[canonical] - truth["xyz"][i][canonical], axis=1))
    assert (np.array(errors) <= 0.2).mean() > 0.95
    assert np.mean(deep) < 0.15  # metres; of one camera, without knowing it


def test_confidence_says_what_is_outside_the_picture(predictor: Predictor) -> None:
    truth = np.load(resources.ASSETS / "clip.truth.npz")
    image, joints = first_frames(1)[0], truth["joints"][0]
    hips = joints[INDEX["pelvis"]]
    upper = image[: int(hips[1])]
    predictor.forget()
    pose = look(predictor, np.ascontiguousarray(upper)).poses[0]
    outside = indices(["left_ankle", "right_ankle", "left_knee", "right_knee"])
    inside = indices(["nose", "left_shoulder", "right_shoulder", "left_elbow"])
    assert pose.confidence[outside].max() < 0.3
    assert pose.confidence[inside].min() > 0.6


def test_the_room_beside_the_person_has_nobody(predictor: Predictor) -> None:
    image = first_frames(1)[0]
    for part in (image[:, :480], image[:, 800:], image[600:]):
        predictor.forget()
        assert look(predictor, np.ascontiguousarray(part)).poses == ()


def test_an_empty_room_has_nobody(predictor: Predictor, shared: Path) -> None:
    """Rooms that it has seen in training: this finds a broken confidence, not a new room."""
    rooms = sorted((shared / "data/backgrounds/indoor").glob("*.jpg"))[:100]
    ghosts = 0
    for file in rooms:
        predictor.forget()
        ghosts += len(look(predictor, np.asarray(cv2.imread(str(file)))).poses)
    assert ghosts <= 2


def test_left_is_the_persons_own_left(predictor: Predictor) -> None:
    image = first_frames(1)[0]  # facing the camera
    predictor.forget()
    pose = look(predictor, image).poses[0]
    x = pose.joints[:, 0]
    assert x[INDEX["left_shoulder"]] > x[INDEX["right_shoulder"]]
    flipped = np.ascontiguousarray(image[:, ::-1])
    predictor.forget()
    mirrored = look(predictor, flipped).poses[0].joints[:, 0]
    assert mirrored[INDEX["left_shoulder"]] > mirrored[INDEX["right_shoulder"]]


def test_the_region_closes_in_and_does_not_change_the_pose(predictor: Predictor) -> None:
    image = first_frames(1)[0]
    predictor.forget()
    wide = look(predictor, image).poses[0]
    close = look(predictor, image).poses[0]
    assert close.region.side < wide.region.side
    torso = np.linalg.norm(close.joints[INDEX["neck"]] - close.joints[INDEX["pelvis"]])
    sure = close.confidence > 0.5
    assert np.linalg.norm(wide.joints[sure] - close.joints[sure], axis=1).max() < 0.35 * torso


def test_depth_tells_near_from_far(predictor: Predictor) -> None:
    """On the clip the person turns: the nearer shoulder must come out nearer."""
    truth = np.load(resources.ASSETS / "clip.truth.npz")
    left, right = INDEX["left_shoulder"], INDEX["right_shoulder"]
    difference = truth["xyz"][:, left, 2] - truth["xyz"][:, right, 2]
    at = int(np.abs(difference).argmax())
    video = cv2.VideoCapture(str(resources.CLIP))
    video.set(cv2.CAP_PROP_POS_FRAMES, at)
    _, image = video.read()
    predictor.forget()
    look(predictor, np.asarray(image))
    pose = look(predictor, np.asarray(image)).poses[0]
    assert np.sign(pose.xyz[left, 2] - pose.xyz[right, 2]) == np.sign(difference[at])


def test_half_precision_gives_the_same_pose(predictor: Predictor) -> None:
    image = first_frames(1)[0]
    predictor.forget()
    exact = look(predictor, image).poses[0]
    half_cpu = Placement(torch.device("cpu"), torch.bfloat16)
    backend = TorchBackend(load_model(DEFAULT_MODEL)[0], half_cpu)
    half = look(Predictor(backend, "", ""), image).poses[0]
    sure = exact.confidence > 0.5
    assert np.linalg.norm(exact.joints - half.joints, axis=1)[sure].max() < 0.01 * image.shape[1]


def test_a_tight_square_of_the_clip_is_enough(predictor: Predictor) -> None:
    joints = np.load(resources.ASSETS / "clip.truth.npz")["joints"][0]
    low, high = joints.min(0), joints.max(0)
    cx, cy = (low + high) / 2
    crop = cut(first_frames(1)[0], Square(cx, cy, float((high - low).max()) * 1.2), 240)
    predictor.forget()
    pose = look(predictor, crop).poses[0]
    assert (pose.confidence[LIMBS] > 0.3).mean() > 0.9
