"""Readers on small made fixtures, the reproducible mix, the contact sheet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from livepose import cli
from livepose.cv import cv2
from livepose.data.augment import replace_background
from livepose.data.mix import Mix, collate, usable
from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.skeleton import INDEX, LSP_14, J
from tests.data.made import people, write_image


def test_lsp_flags_and_halves(lsp: Path) -> None:
    train, val, test = (read("lsp", lsp, s) for s in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (892, 99, 1000)
    assert [s.left_out for s in (train, val, test)] == [
        "8 near-duplicates of test pictures", "1 near-duplicates of test pictures", ""]  # fmt: skip
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


def test_samples_are_taken_evenly_spread(lsp: Path) -> None:
    val = read("lsp", lsp, "val")
    rows = val.spread_rows(10)
    assert set(np.diff(rows)) <= {9, 10}
    assert val.spread(10).images == tuple(val.images[i] for i in rows)
    assert val.spread(1000).images == val.images


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


def test_coco_says_what_it_leaves_out(tmp_path: Path) -> None:
    row = {"image_id": 7, "keypoints": [5, 6, 2] * 17, "num_keypoints": 17}
    rows = [row, row | {"image_id": 8}, row | {"iscrowd": 1}, row | {"num_keypoints": 0}]
    images = [{"id": 7, "file_name": "a.jpg"}]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images/train2017").mkdir(parents=True)
    file = tmp_path / "annotations/person_keypoints_train2017.json"
    file.write_text(json.dumps({"images": images, "annotations": rows}))
    s = read("coco", tmp_path)
    assert s.images == (tmp_path / "images/train2017/a.jpg",)
    assert s.omitted == {
        "crowds": 1, "without joints": 1, "of pictures that the file does not list": 1,
    }  # fmt: skip
    assert "1 crowds" in s.left_out


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


# --- the mix


def test_mix_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    s = people(tmp_path)
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
    mix = Mix([(people(tmp_path), 1.0)], 64, 0, 40, sizes=(64, 96), batch=4)
    sizes = [mix[k].image.shape[0] for k in range(40)]
    assert set(sizes) == {64, 96}
    assert all(len(set(sizes[k : k + 4])) == 1 for k in range(0, 40, 4))


def test_unreadable_pictures_are_told_and_skipped(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    s = people(tmp_path)
    s.images[0].write_bytes(b"not a picture")
    mix = Mix([(s, 1.0)], 64, 0, 20)
    for k in range(20):
        mix[k]
    assert capsys.readouterr().err.count("1.jpg: not a readable picture, skipped (1 so far)") == 1
    assert mix.files.broken == {s.images[0]}
    for image in s.images:
        image.unlink()
    with pytest.raises(OSError, match="complete"):
        mix[0]


def test_masks_and_backgrounds_that_cannot_be_read_are_told(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    s = people(tmp_path)
    masks = tuple(image.with_suffix(".png") for image in s.images)
    for mask in masks:
        cv2.imwrite(str(mask), np.zeros((3, 4), np.uint8))  # of another picture
    mix = Mix([(replace(s, masks=masks), 1.0)], 64, 0, 30, [tmp_path / "no.jpg"])
    for k in range(30):
        mix[k]
    assert mix.files.broken == {*masks, tmp_path / "no.jpg"}
    assert len(capsys.readouterr().err.strip().splitlines()) == 5


def test_rows_without_labels_are_counted(tmp_path: Path) -> None:
    s = people(tmp_path)
    s.known[1], s.present[1] = False, np.nan
    assert usable(s).omitted == {"without any label": 1}
    assert len(Mix([(s, 1.0)], 64, 0, 1).parts[0]) == 3


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


# --- the commands


def test_data_check_counts_and_draws(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    people(tmp_path)
    labels = dict(np.load(tmp_path / "p/labels.npz"))
    labels["keypoints"][4, 3:, 2] = 0.1
    np.savez(tmp_path / "p/labels.npz", **labels)
    (tmp_path / "p/images/2.jpg").write_bytes(b"x")
    command = ["data", "check", "pseudo", str(tmp_path / "p"), "--every-picture", "--count", "9"]
    for squares in ([], ["--squares"]):
        assert cli.main([*command, *squares, "--out", str(tmp_path / "s.png")]) == 0
    out = capsys.readouterr().out
    assert "3 people" in out
    assert "left out: 1 with fewer than 5 sure joints" in out
    assert "s.png: 3 pictures" in out  # the broken one, too
    assert "1 broken or missing among all pictures" in out
    assert "images/2.jpg" in out
    assert "their trunk is off upright: " in out
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
