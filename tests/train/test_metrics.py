"""Measures against cases that were computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from livepose.cv import cv2
from livepose.data.samples import Samples
from livepose.evaluate.coco import oks_ap
from livepose.evaluate.command import _table, measure
from livepose.evaluate.gallery import write_gallery
from livepose.evaluate.metrics import (
    align,
    pck,
    pck_by_tilt,
    pck_head_neck,
    pckh,
    score_3d,
    to_metres,
)
from livepose.skeleton import INDEX, MARGIPOSE_17, J


def made(n: int = 2) -> Samples:
    """People with a torso of 50 and a head of 20 pixels."""
    joints = np.zeros((n, J, 2), "f4")
    joints[:, INDEX["left_shoulder"]] = (30, 40)  # right hip at (0, 0)
    joints[:, INDEX["head_top"]] = (0, -20)  # neck at (0, 0)
    known = np.ones((n, J), bool)
    nothing = np.full((n, J), np.nan, "f4")
    return Samples("made", tuple(Path(f"{i}.png") for i in range(n)), joints, known,
                   known * 1.0, nothing)  # fmt: skip


def test_pck_of_head_and_neck_by_hand() -> None:
    s = made()
    predicted = s.joints.copy()
    predicted[0, INDEX["left_knee"]] += (10, 0)  # half of a head: right
    predicted[0, INDEX["left_wrist"]] += (8, 7)  # 10.6: wrong
    predicted[1, INDEX["right_wrist"]] = np.nan
    score = pck_head_neck(predicted, s)
    assert score.pck == pytest.approx(22 / 24)
    # Of the 20 thresholds, half of a head is reached by the last one.
    assert score.auc == pytest.approx((21 + 1 / 20) / 24)
    assert score.per_joint["left_wrist"] == 0.5
    assert pck(predicted, s).per_group["wrist"] == pytest.approx(0.5)


def test_people_are_judged_by_how_far_they_are_tilted() -> None:
    s = made(4)
    neck, pelvis = INDEX["neck"], INDEX["pelvis"]
    s.joints[:, pelvis] = 0
    s.joints[:, neck] = (
        (0, -9),
        (9, -12),
        (-9, -12),
        (0, 9),
    )  # upright, 37 degrees both ways, on the head
    s.known[1, INDEX["left_wrist"]] = False
    predicted = s.joints.copy()
    predicted[1, INDEX["left_knee"]] += 20
    predicted[3] = np.nan
    scores = pck_by_tilt(predicted, s)
    assert {k: (v.images, v.pck) for k, v in scores.items()} == {
        "0-15": (1, 1.0), "30-45": (2, pytest.approx(22 / 23)), "110-180": (1, 0.0),
    }  # fmt: skip
    s.known[0, pelvis] = False  # nobody knows how far: counts in no class
    assert "0-15" not in pck_by_tilt(predicted, s)


def test_pckh_takes_the_head_box_by_hand() -> None:
    # 0.6 of the diagonals: 30 and 40 pixels; the third one has no box.
    s = replace(made(3), head=np.array([30, 40, np.nan], "f4"))
    predicted = s.joints.copy()
    predicted[:2, INDEX["left_knee"]] += (15, 0)  # 0.5 and 0.375 of them: right, right
    predicted[:2, INDEX["left_wrist"]] += (18, 0)  # 0.6 and 0.45: wrong, right
    predicted[2] += 999  # does not count
    score = pckh(predicted, s)
    assert score.pck == pytest.approx(23 / 24)
    # The four are right at 1, 6, 0 and 3 of the thresholds 0.025, 0.05 ... 0.5.
    assert score.auc == pytest.approx((20 + (1 + 6 + 0 + 3) / 20) / 24)
    assert score.per_group["wrist"] == pytest.approx(0.75)
    figures = measure(s, np.dstack([predicted, s.depth]))
    assert (figures["pckh"], figures["pckh_auc"]) == (score.pck, score.auc)
    assert "pck_head_neck" not in figures
    with pytest.raises(ValueError, match="no head boxes"):
        pckh(predicted, made(3))


def test_pixels_and_depth_to_metres() -> None:
    # 300 px of focal length, 3 m away: 100 px a metre, along z as well.
    points = np.array([[[200.0, 150, 0], [300, 150, 0], [200, 150, 100]]])
    camera = np.array([[300.0, 300, 200, 150]])
    out = to_metres(points, camera, np.array([3.0]))
    assert np.allclose(out[0], [[0, 0, 3], [1, 0, 3], [0, 0, 4]])


def pose() -> tuple[np.ndarray, np.ndarray]:
    xyz = np.random.default_rng(0).normal((0, 0, 3), 0.4, (3, J, 3))
    xyz = np.round(xyz * 1024) / 1024  # what is moved by powers of two and back is the same
    return xyz, np.ones((3, J), bool)


def test_mpjpe_by_hand() -> None:
    true, counts = pose()
    predicted = true + np.array([0.5, -1, 2])  # about the root, a shift is no error
    predicted[0, INDEX["left_wrist"]] += [0.3, 0, 0.4]  # 500 mm
    predicted[1, INDEX["right_knee"]] += [0, 0.1, 0]  # 100 mm
    score = score_3d(predicted, true, counts)
    assert score.joints == 3 * 17
    assert score.mpjpe == pytest.approx(600 / 51)
    assert score.pck == pytest.approx(50 / 51)
    # Of the thresholds 0 ... 150 mm, 100 mm is reached by the last 11 (rounding: or 10).
    assert score.auc == pytest.approx((49 + 11 / 31) / 51, abs=1 / 31 / 51 + 1e-9)
    assert np.isnan(score_3d(predicted, true, counts & False).mpjpe)
    # By joint: one of the three is off.
    assert score.per_joint["mpjpe"]["left_wrist"] == pytest.approx(500 / 3)
    assert score.per_joint["mpjpe"]["right_knee"] == pytest.approx(100 / 3)
    assert score.per_joint["pck"]["left_wrist"] == pytest.approx(2 / 3)
    assert score.per_joint["pck"]["right_knee"] == 1
    assert score.per_joint["pa_mpjpe"]["left_wrist"] > 50
    hidden = counts.copy()
    hidden[0, INDEX["left_wrist"]] = False
    assert score_3d(predicted, true, hidden).per_joint["mpjpe"]["left_wrist"] == 0


def test_what_was_not_found_is_wrong_but_has_no_distance() -> None:
    true, counts = pose()
    predicted = true.copy()
    predicted[0] = np.nan
    score = score_3d(predicted, true, counts)
    assert score.mpjpe == pytest.approx(0, abs=1e-6)
    assert score.pa_mpjpe == pytest.approx(0, abs=1e-6)
    assert (score.pck, score.auc) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    nobody = score_3d(np.full_like(true, np.nan), true, counts)
    assert np.isnan(nobody.mpjpe)
    assert (nobody.pck, nobody.joints) == (0, 3 * 17)


def test_the_neck_stands_in_for_a_pelvis_outside() -> None:
    true, counts = pose()
    counts[:, INDEX["pelvis"]] = False
    predicted = true.copy()
    predicted[:, INDEX["pelvis"]] += 9
    assert score_3d(predicted, true, counts).mpjpe == pytest.approx(0, abs=1e-6)


def test_alignment_is_a_similarity_without_reflection() -> None:
    true, counts = pose()
    turn = Rotation.from_euler("xyz", [30, 50, -70], degrees=True).as_matrix()
    moved = 1.7 * true @ turn.T + [1, 2, 3]
    assert np.allclose(align(moved, true, counts), true)
    assert score_3d(moved, true, counts).pa_mpjpe == pytest.approx(0, abs=1e-6)
    assert score_3d(moved, true, counts).mpjpe > 300
    mirrored = true * [-1, 1, 1]
    assert score_3d(mirrored, true, counts).pa_mpjpe > 50
    # Only joints that count decide.
    moved[:, INDEX["left_ear"]] = 99
    counts[:, INDEX["left_ear"]] = False
    assert np.allclose(align(moved, true, counts)[counts], true[counts])


def test_measures_follow_the_labels(tmp_path: Path) -> None:
    s = made()
    figures = measure(s, np.dstack([s.joints, s.depth]))
    assert figures["pck"] == figures["pck_head_neck"] == 1
    assert "3d" not in figures
    assert "pckh" not in figures  # without head boxes nothing is called so
    xyz = np.zeros((2, J, 3), "f4")
    xyz[..., :2], xyz[..., 2] = s.joints / 100, 3
    paths = tuple(tmp_path / p for p in s.images)
    for path in paths:
        cv2.imwrite(str(path), np.zeros((60, 60, 3), np.uint8))
    camera = np.tile(np.array([300.0, 300, 0, 0], "f4"), (2, 1))
    s = Samples("x", paths, s.joints, s.known, s.present, s.depth, xyz=xyz, camera=camera)
    figures = measure(s, np.dstack([s.joints, np.zeros((2, J))]))
    # The top of the head is above the picture, so these are no full bodies.
    assert figures["3d"]["joints"] == 2 * (len(MARGIPOSE_17) - 1)
    assert figures["3d"]["mpjpe"] == pytest.approx(0, abs=1e-3)
    assert figures["3d_full_body"]["joints"] == 0
    assert figures["3d_upper_body"] == figures["3d"]
    assert figures["detail"].keys() == {"pck_head_neck", "mpjpe", "pa_mpjpe", "pck_3d"}
    # What cannot be seen has a measure without it.
    away = np.zeros((2, J))
    away[:, INDEX["left_wrist"]] = 30
    s.present[:, INDEX["left_wrist"]] = 0
    hidden = measure(s, np.dstack([s.joints, away]))
    assert hidden["3d"]["mpjpe"] > 10
    assert hidden["3d_visible"]["mpjpe"] == pytest.approx(0, abs=1e-3)
    assert hidden["3d_visible"]["joints"] == hidden["3d"]["joints"] - 2
    # Sizes that are known need no pictures.
    for path in paths:
        path.unlink()
    again = measure(s, np.dstack([s.joints, np.zeros((2, J))]), np.full((2, 2), 60))
    assert again["3d"] == figures["3d"]


def test_the_table_has_all_measures_by_joint_and_group() -> None:
    s = made()
    predicted = np.dstack([s.joints, s.depth])
    predicted[0, INDEX["left_wrist"], 0] += 11  # wrong by the head of 20, and by the torso of 50
    predicted[1, INDEX["right_knee"], 0] += 10  # right by both
    figures = measure(s, predicted)
    figures["detail"]["mpjpe"] = {"per_joint": {"left_wrist": 40.0, "right_wrist": 60.0,
                                                "spine": 33.333},
                                  "per_group": {"wrist": 50.0}}  # fmt: skip
    lines = {line.split()[0]: line.split()[1:] for line in _table(figures)}
    assert lines["wrist"] == ["75.0", "50.0/100.0", "75.0", "50.0/100.0", "50.0", "40.0/60.0"]
    assert lines["knee"] == ["100.0", "100.0/100.0", "100.0", "100.0/100.0", "-", "-/-"]
    assert lines["spine"] == ["-", "-", "33.3"]


def test_oks_ap() -> None:
    s = made(4)
    s.joints[:, :17] = np.random.default_rng(0).uniform(0, 100, (4, 17, 2))
    points = s.joints.copy()
    confidence = np.ones((4, J))
    assert oks_ap(s, points, confidence)["ap"] == pytest.approx(1)
    points[3] += 500
    confidence[3] = 0.1
    out = oks_ap(s, points, confidence)
    assert out["ar"] == pytest.approx(0.75)
    assert 0.7 < out["ap"] < 0.8
    points[:3, INDEX["nose"]] = np.nan
    assert oks_ap(s, points, confidence)["ap"] < out["ap"]


def test_gallery_shows_the_worst_first(tmp_path: Path) -> None:
    s = made(3)
    paths = tuple(tmp_path / f"<{i}>.png" for i in range(3))
    for path in paths:
        cv2.imwrite(str(path), np.zeros((60, 60, 3), np.uint8))
    s = Samples("made", paths, s.joints, s.known, s.present, s.depth)
    points = s.joints.copy()
    points[1, INDEX["left_knee"]] += 20
    points[2, INDEX["left_knee"]] += 20
    points[2, INDEX["left_wrist"]] += 40
    write_gallery(tmp_path / "out/worst.html", s, points, np.ones((3, J)))
    page = (tmp_path / "out/worst.html").read_text()
    assert page.count("<figure>") == 2
    assert page.index("&lt;2&gt;.png") < page.index("&lt;1&gt;.png")
    assert "left wrist (1.13)" in page
