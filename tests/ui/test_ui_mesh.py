from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from livepose import palette
from livepose.skeleton import INDEX, JOINTS, J, side
from livepose.ui import skeleton_mesh
from livepose.ui.camera import VIEWS
from livepose.ui.standing import PELVIS_HEIGHT, SOLE, Stage, spread, to_world

from .fakes import person


def mesh(*poses, middle=(10, 20, 30)):
    points = Stage().place(poses, 320, 0.0)
    confidence = np.array([p.confidence for p in poses])
    return points, skeleton_mesh.build(points, confidence, middle)


def test_ball_is_a_closed_sphere() -> None:
    for levels, count in ((0, 12), (1, 42), (2, 162)):
        vertices, faces = skeleton_mesh.ball(levels)
        assert vertices.shape == (count, 3)
        np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1, atol=1e-6)
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
        _, uses = np.unique(edges, axis=0, return_counts=True)
        assert (uses == 2).all()
        outwards = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]],
                            vertices[faces[:, 2]] - vertices[faces[:, 0]])  # fmt: skip
        assert ((outwards * vertices[faces].mean(1)).sum(1) > 0).all()


def test_tubes_have_the_radii_asked_for() -> None:
    start, end = np.float32([[0, 0, 0], [1, 2, 3]]), np.float32([[0, 0, 2], [1, 5, 3]])
    positions, normals = skeleton_mesh.tubes(
        start, end, np.float32([0.1, 0.2]), np.float32([0.3, 0.4])
    )
    assert positions.shape == (2, 2, skeleton_mesh.SIDES, 3)
    for bone in range(2):
        axis = (end - start)[bone] / np.linalg.norm((end - start)[bone])
        for tip, (at, radius) in enumerate(((start, (0.1, 0.2)), (end, (0.3, 0.4)))):
            out = positions[bone, tip] - at[bone]
            np.testing.assert_allclose(np.linalg.norm(out, axis=1), radius[bone], rtol=1e-5)
            np.testing.assert_allclose(out @ axis, 0, atol=1e-5)
            np.testing.assert_allclose(np.linalg.norm(normals[bone, tip], axis=1), 1, rtol=1e-5)


def test_mesh_is_whole_and_coloured_by_side() -> None:
    points, built = mesh(person(), person((250, 100)))
    assert len(built.positions) == len(built.normals) == len(built.colours)
    assert built.faces.max() == len(built.positions) - 1
    assert np.isfinite(built.positions).all()
    np.testing.assert_allclose(np.linalg.norm(built.normals, axis=1), 1, rtol=1e-4)
    for name in ("left_wrist", "right_knee", "pelvis"):
        near = np.linalg.norm(built.positions - points[0, INDEX[name]], axis=1) < 0.06
        rgb = {**palette.SIDES, "middle": (10, 20, 30)}[side(name)]
        expected = np.array(rgb) / 255
        assert (np.abs(built.colours[near, :3] - expected).max(1) < 0.01).any()


def test_all_faces_look_outwards() -> None:
    _, built = mesh(person())
    a, b, c = (built.positions[built.faces[:, k]] for k in range(3))
    outwards = (np.cross(b - a, c - a) * built.normals[built.faces].mean(1)).sum(1)
    real = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-7
    assert (outwards[real] > 0).all()


def test_unsure_joints_fade_and_nans_do_no_harm() -> None:
    pose = person()
    confidence = pose.confidence.copy()
    confidence[INDEX["left_wrist"]] = 0.05
    confidence[INDEX["right_wrist"]] = 0.3
    xyz = pose.xyz.copy()
    xyz[INDEX["left_knee"]] = np.nan
    points, built = mesh(replace(pose, confidence=confidence, xyz=xyz))
    assert np.isfinite(built.positions).all()

    def alpha_at(name: str) -> float:
        near = np.linalg.norm(built.positions - points[0, INDEX[name]], axis=1) < 0.05
        return float(built.colours[near, 3].max())

    assert alpha_at("left_wrist") == 0
    assert 0 < alpha_at("right_wrist") < 0.9
    assert alpha_at("right_elbow") == pytest.approx(1)


def test_nobody_gives_an_empty_mesh() -> None:
    assert len(skeleton_mesh.build(np.zeros((0, J, 3)), np.zeros((0, J))).faces) == 0


def test_world_axes_and_mirror() -> None:
    # camera: right, down, away -> world: right, away, up
    np.testing.assert_array_equal(to_world(np.array([[1.0, 2.0, 3.0]])), [[1, 3, -2]])
    np.testing.assert_array_equal(to_world(np.array([[1.0, 2.0, 3.0]]), mirror=True), [[-1, 3, -2]])


def test_feet_stand_on_the_floor_and_jumps_are_smoothed() -> None:
    stage, pose = Stage(), person()
    ankles = [INDEX["left_ankle"], INDEX["right_ankle"]]

    def lowest(p, t: float) -> float:
        return float(stage.place([p], 320, t)[0][ankles, 2].min())

    assert lowest(pose, 0.0) == pytest.approx(SOLE, abs=1e-5)
    lifted = pose.xyz.copy()
    lifted[ankles, 1] -= 0.3  # both feet drawn up: a jump, at first
    jump = replace(pose, xyz=lifted)
    first = lowest(jump, 0.04)
    assert 0.2 < first - SOLE < 0.3
    for i in range(60):
        last = lowest(jump, 0.08 + 0.04 * i)
    assert last == pytest.approx(SOLE, abs=0.01)
    # Back on straight legs the feet would be in the floor: out of it quickly.
    assert lowest(pose, 2.6) < SOLE
    for i in range(6):
        last = lowest(pose, 2.64 + 0.04 * i)
    assert last == pytest.approx(SOLE, abs=0.01)


def test_hidden_feet_leave_the_pelvis_at_standing_height() -> None:
    pose = person()
    confidence = pose.confidence.copy()
    confidence[[INDEX["left_ankle"], INDEX["right_ankle"]]] = 0.1
    points = Stage().place([replace(pose, confidence=confidence)], 320, 0.0)
    assert points[0, INDEX["pelvis"], 2] == pytest.approx(PELVIS_HEIGHT)


def test_several_persons_stand_side_by_side_and_behind_each_other() -> None:
    near, far = person((80, 110), scale=100), person((240, 110), scale=50)
    offsets = spread([near, far], 320)
    np.testing.assert_allclose(offsets.mean(0), 0, atol=1e-5)
    assert offsets[0, 0] < offsets[1, 0]
    assert offsets[0, 1] < offsets[1, 1]
    np.testing.assert_array_equal(spread([near], 320), [[0, 0]])
    assert np.isfinite(spread([near, replace(far, joints=np.full((J, 2), np.nan))], 320)).all()


def test_camera_views() -> None:
    for name, expected in {
        "front": ([1, 0, 0], [0, 0, 1], [0, -1, 0]),
        "side": ([0, 1, 0], [0, 0, 1], [1, 0, 0]),
        "top": ([1, 0, 0], [0, 1, 0], [0, 0, 1]),
    }.items():
        np.testing.assert_allclose(VIEWS[name].basis(), expected, atol=1e-9)


def test_palette_fades() -> None:
    alpha = palette.opacity(np.array([0.0, 0.09, 0.11, 0.3, 0.6, 1.0]))
    assert alpha[:2].tolist() == [0, 0]
    assert 0.1 < alpha[2] < alpha[3] < alpha[4]
    assert alpha[4:].tolist() == [1, 1]
    assert palette.joint_colours().shape == (len(JOINTS), 3)
    rgba = palette.heat(np.array([[0.0, 1.0]]))
    assert rgba[0, 0, 3] == 0
    assert rgba[0, 1, 3] > 200
