"""Readers on small made fixtures, crops, augmentation, the reproducible mix."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from livepose import cli
from livepose.crop import Square, cut, to_input, whole
from livepose.cv import cv2
from livepose.data import teachers
from livepose.data.augment import (
    move,
    random_patch,
    random_square,
    recolour,
    replace_background,
)
from livepose.data.mix import Mix, collate
from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.skeleton import COCO_17, INDEX, LSP_14, J


def write_image(file: Path, width: int = 60, height: int = 80) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    cv2.imwrite(str(file), noise)


@pytest.fixture
def lsp(tmp_path: Path) -> Path:
    joints = np.zeros((3, 14, 2000))
    joints[0], joints[1] = np.arange(14)[:, None] * 2 + 11, np.arange(14)[:, None] * 3 + 21
    joints[2, 4] = 1  # left knee occluded
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": joints})
    for i in (1, 2, 1001):
        write_image(tmp_path / "images" / f"im{i:04d}.jpg")
    return tmp_path


def test_lsp_flags_and_halves(lsp: Path) -> None:
    train, val, test = (read("lsp", lsp, s) for s in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (892, 99, 1000)
    names = {p.name for p in (*train.images, *val.images)}
    assert not names & {f"im{i:04d}.jpg" for i in range(1001, 2001)}
    # Near-duplicates of test pictures.
    assert not names & {f"im{i:04d}.jpg" for i in (210, 285, 371, 412, 483, 492, 535, 550, 966)}
    assert test.images[0].name == "im1001.jpg"
    # MATLAB counts from 1, and 1 means occluded here.
    ankle, knee = INDEX["right_ankle"], INDEX["left_knee"]
    assert train.joints[0, ankle].tolist() == [10, 20]
    assert train.known[0, knee]
    assert train.present[0, knee] == 0
    assert train.present[0, ankle] == 1
    assert not train.known[0, INDEX["nose"]]
    assert train.known[0, INDEX["pelvis"]]  # derived
    with pytest.raises(DataError, match="train, val, test, not 'all'"):
        read("lsp", lsp, "all")
    with pytest.raises(DataError, match=r"unknown reader 'lps'; known: .*lsp"):
        read("lps", lsp)


def test_lspet_flags(tmp_path: Path) -> None:
    joints = np.zeros((14, 3, 5))
    joints[:, :2], joints[:, 2] = 31, 1
    joints[LSP_14.index("left_wrist"), :, 0] = (-1, -1, 0)
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": joints})
    s = read("lspet", tmp_path)
    assert len(s) == 5
    wrist = INDEX["left_wrist"]
    assert not s.known[0, wrist]
    assert s.known[1, wrist]
    assert s.joints[1, wrist].tolist() == [30, 30]


def test_coco(tmp_path: Path) -> None:
    keypoints = [v for i in range(17) for v in (i, 2 * i, 2)]
    keypoints[3:6] = [0, 0, 0]
    keypoints[8] = 1
    (tmp_path / "person_keypoints.json").write_text(json.dumps({
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "annotations": [
            {"image_id": 7, "keypoints": keypoints, "num_keypoints": 16},
            {"image_id": 7, "keypoints": [0] * 51, "num_keypoints": 0},
        ],
    }))  # fmt: skip
    s = read("coco", tmp_path)
    assert len(s) == 1
    assert not s.known[0, 1]  # flag 0: not labelled
    assert s.known[0, 2]
    assert s.present[0, 2] == 0  # flag 1: labelled, hidden
    assert s.present[0, 3] == 1


@pytest.mark.parametrize("content", [None, "nonsense", "{}", '{"images": [], "annotations": [{}]}'])
def test_broken_files_are_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "person_keypoints.json").write_text(content)
        (tmp_path / "joints.mat").write_text(content)
        (tmp_path / "labels.npz").write_text(content)
    for name in ("lspet", "coco", "pseudo"):
        with pytest.raises(DataError, match=str(tmp_path)):
            read(name, tmp_path)
    with pytest.raises(DataError, match="no pictures"):
        read("empty", tmp_path)


def _pseudo(folder: Path, n: int = 2, score: float = 0.9) -> dict[str, np.ndarray]:
    n += 1  # the first of twenty is for validation: read() gives the n others
    keypoints = np.zeros((n, 17, 4), "f4")
    rng = np.random.default_rng(0)
    keypoints[..., :2] = rng.uniform(10, 60, (n, 17, 2))
    keypoints[..., 2], keypoints[..., 3] = score, 0.01
    labels = {"image": np.array([f"{i}.jpg" for i in range(n)]), "keypoints": keypoints}
    folder.mkdir(exist_ok=True)
    for name in labels["image"]:
        write_image(folder / "images" / str(name))
    return labels


def test_pseudo_labels_are_believed_by_score_and_disagreement(tmp_path: Path) -> None:
    labels = _pseudo(tmp_path)
    labels["keypoints"][1, 0, 2] = 0.05  # absent
    labels["keypoints"][1, 1, 2] = 0.2  # nobody can say
    labels["keypoints"][1, 2, 3] = 0.2  # the teacher disagrees with itself
    world, flat = _blaze(labels["keypoints"])
    np.savez(tmp_path / "labels.npz", **labels, world=world, image33=flat)
    s = read("pseudo", tmp_path)
    assert s.known[0, :4].tolist() == [False, False, False, True]
    assert s.present[0, 0] == 0
    assert np.isnan(s.present[0, 1:3]).all()
    assert s.present[0, 3] == 1


def _blaze(keypoints: np.ndarray, metre: float = 50.0) -> tuple[np.ndarray, np.ndarray]:
    """MediaPipe's rows of the same people, `metre` pixels a metre, the wrist 0.1 m behind."""
    n = len(keypoints)
    world, flat = np.zeros((n, 33, 4), "f4"), np.zeros((n, 33, 3), "f4")
    for name, i in teachers._BLAZE.items():
        flat[:, i, :2] = keypoints[:, COCO_17.index(name), :2]
    flat[..., 2] = 1
    hips = flat[:, [23, 24], :2].mean(1, keepdims=True)
    world[..., :2] = (flat[..., :2] - hips) / metre
    world[:, 15, 2] = 0.1
    return world, flat


def test_depth_is_in_pixels_and_only_where_2d_agrees(tmp_path: Path) -> None:
    labels = _pseudo(tmp_path)
    world, flat = _blaze(labels["keypoints"])
    flat[2, :, :2] += 200  # the second teacher saw somebody else
    np.savez(tmp_path / "labels.npz", **labels, world=world, image33=flat)
    s = read("pseudo", tmp_path)
    assert s.depth[0, INDEX["left_wrist"]] == pytest.approx(5, rel=1e-3)  # 0.1 m at 50 px a metre
    assert s.depth[0, INDEX["nose"]] == pytest.approx(0, abs=1e-3)
    assert np.isnan(s.depth[1]).all()


def test_labels_of_mediapipe_are_predictions_with_depth(tmp_path: Path) -> None:
    labels = _pseudo(tmp_path)
    world, flat = _blaze(labels["keypoints"])
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
    world, flat = _blaze(keypoints)
    np.savez(tmp_path / "m.npz", image=np.array(["im0001.jpg"]), world=world, image33=flat)
    assert teachers.with_teachers(s, [tmp_path / "m.npz"]).known[0, INDEX["left_elbow"]]
    flat[..., 2] = 0.5
    np.savez(tmp_path / "m.npz", image=np.array(["im0001.jpg"]), world=world, image33=flat)
    assert not teachers.with_teachers(s, [tmp_path / "m.npz"]).known[0, INDEX["left_elbow"]]


# --- squares


@pytest.mark.parametrize(("w", "h"), [(640, 480), (641, 479), (1, 1), (50, 333)])
def test_whole_picture_keeps_its_points(w: int, h: int) -> None:
    square = whole(w, h)
    matrix = square.matrix(192)
    corner = np.array([[-0.5, -0.5], [w - 0.5, h - 0.5]])  # outer corners
    moved = corner @ matrix[:, :2].T + matrix[:, 2]
    longest = 0 if w >= h else 1
    assert moved[0, longest] == pytest.approx(-0.5)
    assert moved[1, longest] == pytest.approx(191.5)
    assert np.allclose(square.to_picture((2 * moved + 1) / 192 - 1), corner)
    assert cut(np.zeros((h, w, 3), np.uint8), square, 192).shape == (192, 192, 3)


@pytest.mark.parametrize("side", [40, 400])
def test_cut_brings_a_dot_to_where_its_label_goes(side: float) -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    cv2.circle(image, (170, 140), max(2, round(side / 60)), (255, 255, 255), -1)
    square = Square(165.0, 143.0, side, angle=0.5, flip=True)
    joints, known = np.full((J, 2), (170.0, 140.0)), np.ones(J, bool)
    xyz, _, _ = move(joints, known, np.ones(J), np.zeros(J), square)
    out = cut(image, square, 96)[..., 0].astype(float)
    y, x = np.indices(out.shape)
    seen = np.array([(out * x).sum(), (out * y).sum()]) / out.sum()
    assert np.allclose(seen, ((xyz[0, :2] + 1) * 96 - 1) / 2, atol=0.5)


def test_move_swaps_sides_scales_depth_and_sees_what_is_outside() -> None:
    joints, known, depth = np.full((J, 2), 50.0), np.ones(J, bool), np.full(J, 5.0)
    left, right = INDEX["left_knee"], INDEX["right_knee"]
    joints[left], depth[left] = (40, 50), 10
    joints[INDEX["nose"]] = (500, 50)
    xyz, inside, present = move(joints, known, np.ones(J), depth, Square(50, 50, 100, flip=True))
    assert np.allclose(xyz[right], [0.2, 0, 0.2])
    assert not inside[INDEX["nose"]]
    assert present[INDEX["nose"]] == 0
    assert present[right] == 1


def test_to_input() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 255  # blue
    x = to_input([image])
    assert x.shape == (1, 3, 4, 4)
    assert x[0, :, 0, 0].tolist() == [-1, -1, 1]  # RGB


def test_recolour_keeps_shape_and_is_reproducible() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for seed in range(40):
        a = recolour(np.random.default_rng(seed), image)
        assert a.shape == image.shape
        assert a.dtype == np.uint8
        assert np.array_equal(a, recolour(np.random.default_rng(seed), image))


def test_random_squares_mostly_show_the_person() -> None:
    joints, known = np.random.default_rng(0).uniform(100, 200, (J, 2)), np.ones(J, bool)
    rng, seen = np.random.default_rng(1), []
    for _ in range(200):
        square = random_square(rng, joints, known)
        seen.append(move(joints, known, np.ones(J), np.zeros(J), square)[1].mean())
    assert np.mean(seen) > 0.8
    assert np.min(seen) < 0.9  # and some are cut off
    assert random_patch(rng, 100, 50).side <= 120


# --- the mix


def _made(tmp_path: Path) -> Samples:
    labels = _pseudo(tmp_path / "p", 4)
    world, flat = _blaze(labels["keypoints"])
    np.savez(tmp_path / "p/labels.npz", **labels, world=world, image33=flat)
    return read("pseudo", tmp_path / "p")


def test_mix_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    s = _made(tmp_path)
    for name in "12":  # one of ten, from the first on, is for testing
        write_image(tmp_path / f"e/{name}.jpg")
    assert [p.name for p in read("empty", tmp_path / "e", "test").images] == ["1.jpg"]
    assert len(read("pseudo", tmp_path / "p", "val")) == 1
    parts = [(s, 0.7), (read("empty", tmp_path / "e"), 0.3)]
    a, b, other = Mix(parts, 64, 1, 30), Mix(parts, 64, 1, 30), Mix(parts, 64, 2, 30)
    for k in (7, 3):
        assert np.array_equal(a[k].image, b[k].image)
        assert np.array_equal(a[k].xyz, b[k].xyz)
    assert any(not np.array_equal(a[k].image, other[k].image) for k in range(3))
    empty = [item for item in (a[k] for k in range(30)) if not item.known.any()]
    assert empty
    assert (np.nan_to_num(empty[0].present) == 0).all()
    batch = collate([a[0], a[1]])
    assert batch["image"].shape == (2, 64, 64, 3)
    assert batch["image"].dtype == torch.uint8
    assert torch.isfinite(batch["xyz"]).all()


def test_squares_of_several_sizes_come_in_whole_batches(tmp_path: Path) -> None:
    mix = Mix([(_made(tmp_path), 1.0)], 64, 0, 40, sizes=(64, 96), batch=4)
    sizes = [mix[k].image.shape[0] for k in range(40)]
    assert set(sizes) == {64, 96}
    assert all(len(set(sizes[k : k + 4])) == 1 for k in range(0, 40, 4))


def test_unreadable_pictures_are_told_and_skipped(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    s = _made(tmp_path)
    s.images[0].write_bytes(b"not a picture")
    mix = Mix([(s, 1.0)], 64, 0, 20)
    for k in range(20):
        mix[k]
    assert "1.jpg: not a readable picture" in capsys.readouterr().err
    for image in s.images:
        image.unlink()
    with pytest.raises(OSError, match="complete"):
        mix[0]


# --- framing, backgrounds, the sheet


def test_framings_show_busts_and_lose_hands() -> None:
    joints = np.tile(np.array([[150.0, 100.0]]), (J, 1))
    for name, y in (("head_top", 0), ("neck", 40), ("left_hip", 120), ("left_ankle", 240)):
        joints[INDEX[name], 1] = y
    joints[INDEX["left_wrist"]] = (230, 110)
    known = np.ones(J, bool)
    rng = np.random.default_rng(1)
    shots = [move(joints, known, np.ones(J), np.zeros(J), random_square(rng, joints, known))
             for _ in range(400)]  # fmt: skip
    inside = np.array([s[1] for s in shots])
    left, right = INDEX["left_wrist"], INDEX["right_wrist"]  # a mirrored square swaps them
    ankles = inside[:, [INDEX["left_ankle"], INDEX["right_ankle"]]].all(1)
    assert 0.15 < (~ankles).mean() < 0.5
    hand_out = ~inside[:, [left, right]].all(1) & ankles
    assert 0.01 < hand_out.mean() < 0.25
    assert inside.mean() > 0.75


def test_what_is_outside_the_picture_is_not_looked_for(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 100, 100)
    joints = np.full((1, J, 2), 50.0, "f4")
    joints[0, :, 1] = np.linspace(10, 90, J)
    joints[0, INDEX["left_ankle"]] = (50, 2000)  # a webcam does not see it
    full = np.ones((1, J), "f4")
    s = Samples("x", (tmp_path / "a.png",), joints, full > 0, full, full)
    mix = Mix([(s, 1.0)], 64, 0, 20)
    ankles = [INDEX["left_ankle"], INDEX["right_ankle"]]
    for k in range(20):
        item = mix[k]
        assert item.known.sum() > 8  # the square is about what can be seen
        assert item.known[ankles].sum() <= 1
        assert (item.present[ankles] == 0).any()


def test_background_is_replaced_behind_the_person(tmp_path: Path) -> None:
    image, mask = np.full((40, 60, 3), 200, np.uint8), np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 255
    other = np.full((10, 7, 3), 10, np.uint8)
    out = replace_background(np.random.default_rng(0), image, mask, other)
    assert out.shape == image.shape
    assert (out[15:25, 25:35] == 200).all()
    assert (out[:4] == 10).all()

    write_image(tmp_path / "a.png", 60, 40)
    cv2.imwrite(str(tmp_path / "a_mask.png"), np.zeros_like(mask))  # nobody: all is replaced
    for name in "12":
        cv2.imwrite(str(tmp_path / f"b{name}.png"), other)
    joints = np.random.default_rng(0).uniform(5, 35, (1, J, 2)).astype("f4")
    full = np.ones((1, J), "f4")
    s = Samples("x", (tmp_path / "a.png",), joints, full > 0, full, full,
                masks=(tmp_path / "a_mask.png",))  # fmt: skip
    plain = Mix([(s, 1.0)], 64, 0, 20)
    mixed = Mix([(s, 1.0)], 64, 0, 20, [tmp_path / "b1.png"])
    std = [np.std([m[k].image.std() for k in range(20)]) for m in (plain, mixed)]
    assert std[1] > std[0]


def test_nothing_labelled_is_said(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / "a_mask.png")
    with pytest.raises(DataError, match="masked; name its teachers"):
        Mix([(read("masked", tmp_path), 1.0)], 64, 0, 1)


def test_data_check_counts_and_draws(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    _made(tmp_path)
    (tmp_path / "p/images/2.jpg").write_bytes(b"x")
    command = ["data", "check", "pseudo", str(tmp_path / "p"), "--every-picture", "--count", "9"]
    for squares in ([], ["--squares"]):
        assert cli.main([*command, *squares, "--out", str(tmp_path / "s.png")]) == 0
    out = capsys.readouterr().out
    assert "4 people" in out
    assert "1 broken or missing among all pictures" in out
    assert "images/2.jpg" in out
    teacher = ["--teachers", str(tmp_path / "p/labels.npz")]
    assert cli.main([*command, *teacher]) == 0
    assert "labelled after the vote: 100.0 %" in capsys.readouterr().out
    sheet = cv2.imread(str(tmp_path / "s.png"))
    assert sheet.shape[1] == 8 * 240
    assert cli.main([*command, "--out", str(tmp_path / "s.nothing")]) == 2
    assert cli.main(["data", "check", "lsp", str(tmp_path)]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert sum(line.startswith("livepose data:") for line in errors) == 2


def test_data_frames_writes_every_nth(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "S1/Seq1/imageSequence"
    folder.mkdir(parents=True)
    mjpg = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(folder / "video_0.avi"), mjpg, 25, (64, 48))
    for k in range(12):
        writer.write(np.full((48, 64, 3), 20 * k, np.uint8))
    writer.release()
    (folder / "video_1.avi").write_bytes(b"no video")
    assert cli.main(["data", "frames", str(tmp_path), "--every", "5"]) == 0
    assert sorted(p.name for p in (folder / "video_0").iterdir()) == [
        "000000.jpg", "000005.jpg", "000010.jpg"]  # fmt: skip
    assert cv2.imread(str(folder / "video_0/000005.jpg")).mean() == pytest.approx(100, abs=4)
    assert "video_1.avi: not a readable video" in capsys.readouterr().err
    assert cli.main(["data", "frames", str(tmp_path / "no")]) == 2


def test_any_share_of_people_is_turned_any_way_up() -> None:
    joints = np.random.default_rng(0).uniform(20, 80, (J, 2))
    for turned in (0.0, 1.0):
        rng = np.random.default_rng(1)
        angles = [random_square(rng, joints, np.ones(J, bool), turned).angle for _ in range(300)]
        far = np.mean(np.abs(angles) > np.pi / 2)
        assert (far == 0) if turned == 0 else (0.4 < far < 0.6)
