"""What teachers say: who is believed, how they vote, and the depth that follows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livepose.data import teachers
from livepose.data.readers import read
from livepose.skeleton import COCO_17, INDEX
from tests.data.made import blaze, pseudo, write_image


def test_pseudo_labels_are_believed_by_score_and_disagreement(tmp_path: Path) -> None:
    labels = pseudo(tmp_path)
    labels["keypoints"][1, 0, 2] = 0.05  # absent
    labels["keypoints"][1, 1, 2] = 0.2  # nobody can say
    labels["keypoints"][1, 2, 3] = 0.2  # the teacher disagrees with itself
    world, flat = blaze(labels["keypoints"])
    np.savez(tmp_path / "labels.npz", **labels, world=world, image33=flat)
    s = read("pseudo", tmp_path)
    assert s.known[0, :4].tolist() == [False, False, False, True]
    assert s.present[0, 0] == 0
    assert np.isnan(s.present[0, 1:3]).all()
    assert s.present[0, 3] == 1


def test_depth_is_in_pixels_and_only_where_2d_agrees(tmp_path: Path) -> None:
    labels = pseudo(tmp_path)
    world, flat = blaze(labels["keypoints"])
    flat[2, :, :2] += 200  # the second teacher saw somebody else
    np.savez(tmp_path / "labels.npz", **labels, world=world, image33=flat)
    s = read("pseudo", tmp_path)
    assert s.depth[0, INDEX["left_wrist"]] == pytest.approx(5, rel=1e-3)  # 0.1 m at 50 px a metre
    assert s.depth[0, INDEX["nose"]] == pytest.approx(0, abs=1e-3)
    assert np.isnan(s.depth[1]).all()


def test_labels_of_one_teacher_alone_have_no_depth(tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", **pseudo(tmp_path))
    s = read("pseudo", tmp_path)
    assert s.known[:, :17].all()
    assert np.isnan(s.depth).all()


def test_labels_of_mediapipe_are_predictions_with_depth(tmp_path: Path) -> None:
    labels = pseudo(tmp_path)
    world, flat = blaze(labels["keypoints"])
    np.savez(tmp_path / "labels.npz", **labels, world=world, image33=flat)
    samples = read("pseudo", tmp_path)
    world, flat = world[:2], flat[:2]
    world[1], flat[1] = np.nan, np.nan
    names = np.array(["a/x/0.jpg", "b/x/0.jpg"])  # two pictures of one name
    np.savez(tmp_path / "m.npz", image=names, world=world, image33=flat)
    files = tuple(tmp_path / str(name) for name in names[[1, 0]])
    points, score = teachers.points_of(replace(samples, images=files), tmp_path / "m.npz")
    assert np.isnan(points[0]).all()
    assert not score[0].any()
    assert points[1, INDEX["left_wrist"], 2] == pytest.approx(5, rel=1e-3)
    np.testing.assert_allclose(points[1, 5:17, :2], labels["keypoints"][0, 5:, :2], atol=1e-3)
    assert score[1, 5:17].min() > 0.5


def test_teachers_vote_with_the_human(tmp_path: Path, lsp: Path) -> None:
    s = read("lsp", lsp, "train").take(np.arange(3))
    s.known[0, INDEX["left_elbow"]] = False
    wrist, elbow = COCO_17.index("right_wrist"), COCO_17.index("left_elbow")
    first = np.zeros((3, 17, 4), "f4")
    first[..., :2] = s.joints[:, :17]
    first[:, :5, :2] = 5  # the face, which LSP does not label
    first[..., 2] = 0.9
    first[:2, elbow, :2] = 33  # row 0: no human label; row 1: one voice against the human
    second = first.copy()
    second[1, elbow, :2] = s.joints[1, elbow]
    first[0, wrist, :2] += 100  # both teachers say so: a gross error
    second[0, wrist, :2] += 101
    first[1, wrist, :2] += 100  # the other teacher is not sure
    second[1, wrist, :2] += 100
    second[1, wrist, 2] = 0.1
    first[2, wrist, :2] += 1  # near: the human is believed
    second[2, 0, :2] = 60  # two places for the nose
    first[2, elbow, 3] = 0.5
    names = np.array([p.name for p in s.images])
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for file, keypoints in zip(files, (first, second), strict=True):
        np.savez(file, image=names, keypoints=keypoints)
    out = teachers.with_teachers(s, files)
    right, left, nose = INDEX["right_wrist"], INDEX["left_elbow"], INDEX["nose"]
    assert np.allclose(out.joints[0, right], s.joints[0, right] + 100.5)
    assert np.allclose(out.joints[1:, right], s.joints[1:, right])
    assert out.joints[0, left].tolist() == [33, 33]
    assert out.known[0, left]
    assert np.allclose(out.joints[1:, left], s.joints[1:, left])
    assert out.known[:, nose].tolist() == [True, True, False]
    assert np.isnan(out.present[2, nose])

    careful = teachers.with_teachers(s, files, trust=9)
    assert np.allclose(careful.joints[s.known], s.joints[s.known])
    assert careful.known[0, nose]


def test_teachers_alone_label_what_has_no_labels(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.jpg")
        write_image(tmp_path / f"{name}_mask.png")
    keypoints = np.random.default_rng(0).uniform(10, 60, (1, 17, 4)).astype("f4")
    keypoints[..., 2:] = 0.9, 0.0
    np.savez(tmp_path / "t.npz", image=np.array(["a.jpg"]), keypoints=keypoints)
    out = teachers.with_teachers(read("masked", tmp_path), [tmp_path / "t.npz"])
    assert out.known[0, :17].all()
    assert np.allclose(out.joints[0, :17], keypoints[0, :, :2])
    assert not out.known[1].any()


def test_mediapipe_votes_too(tmp_path: Path, lsp: Path) -> None:
    s = read("lsp", lsp, "train").take(np.arange(1))
    s.known[0, INDEX["left_elbow"]] = False
    keypoints = np.zeros((1, 17, 4), "f4")
    keypoints[..., :2] = 40
    world, flat = blaze(keypoints)
    np.savez(tmp_path / "m.npz", image=np.array(["im0001.jpg"]), world=world, image33=flat)
    assert teachers.with_teachers(s, [tmp_path / "m.npz"]).known[0, INDEX["left_elbow"]]
    flat[..., 2] = 0.5
    np.savez(tmp_path / "m.npz", image=np.array(["im0001.jpg"]), world=world, image33=flat)
    assert not teachers.with_teachers(s, [tmp_path / "m.npz"]).known[0, INDEX["left_elbow"]]
