from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from livepose import palette
from livepose.frames import Pose, Viewpoint
from livepose.skeleton import INDEX, JOINTS, J, side
from livepose.ui import skeleton_mesh
from livepose.ui.camera import VIEWS
from livepose.ui.standing import NEAR, PELVIS_HEIGHT, SOLE, Stage, frustum, in_world

from .fakes import person

LEVEL = Viewpoint(np.array([0.0, -1.0, 0.0]), 1.2, 60.0)


def mesh(*poses, middle=(10, 20, 30)):
    points = Stage().place(poses, None, 0.0)
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
    there = replace(person(), xyz=np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(in_world(there, None), [[1, 3, -2]])
    np.testing.assert_array_equal(in_world(there, None, mirror=True), [[-1, 3, -2]])
    placed = replace(there, position=np.array([0.5, 0.0, 2.0]))
    np.testing.assert_allclose(in_world(placed, LEVEL), [[1.5, 5, 1.2 - 2]])
    np.testing.assert_allclose(in_world(placed, LEVEL, mirror=True), [[-1.5, 5, 1.2 - 2]])


def test_feet_stand_on_the_floor_and_jumps_are_smoothed() -> None:
    stage, pose = Stage(), person()
    ankles = [INDEX["left_ankle"], INDEX["right_ankle"]]

    def lowest(p, t: float) -> float:
        return float(stage.place([p], None, t)[0][ankles, 2].min())

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
    points = Stage().place([replace(pose, confidence=confidence)], None, 0.0)
    assert points[0, INDEX["pelvis"], 2] == pytest.approx(PELVIS_HEIGHT)


def at(x: float, away: float, number: int = 0) -> Pose:
    return replace(person(), position=np.array([x, 0.0, away]), id=number)


def test_people_stand_at_their_distances_and_the_view_follows() -> None:
    stage = Stage()
    pelvis = INDEX["pelvis"]
    points = stage.place([at(-0.5, 2, 1), at(1, 4, 2)], LEVEL, 0.0)
    np.testing.assert_allclose(points[1, pelvis] - points[0, pelvis], [1.5, 2, 0], atol=1e-5)
    np.testing.assert_allclose(stage.focus, [0.25, 3])
    np.testing.assert_allclose(points[:, pelvis, :2].mean(0), 0, atol=1e-5)
    # Small steps do not move the view, long ways do, smoothly.
    stage.place([at(-0.3, 2, 1), at(1, 4, 2)], LEVEL, 0.1)
    np.testing.assert_allclose(stage.focus, [0.25, 3])
    for k in range(60):
        points = stage.place([at(3, 6, 1)], LEVEL, 0.2 + k / 30)
    assert np.linalg.norm(points[0, pelvis, :2]) == pytest.approx(NEAR, abs=0.1)
    # After a cut it is there at once.
    stage.place([at(-3, 2, 1)], LEVEL, 60.0)
    np.testing.assert_allclose(stage.focus, [-3, 2])


def test_trails_lie_where_people_went_and_end() -> None:
    stage = Stage()
    for k in range(30):
        stage.place([at(0.05 * k, 3, 1), at(-1, 3, 2)], LEVEL, k / 30)
    ways = dict(stage.trails())
    assert len(ways[1]) == 30
    assert len(ways[2]) == 1  # who stands leaves none
    ways[1][:, :2] += stage.focus
    np.testing.assert_allclose(ways[1][[0, -1], :2], [[0, 3], [1.45, 3]], atol=1e-6)
    for k in range(150):
        stage.place([at(-1, 3, 2)], LEVEL, 1 + k / 30)
    assert 1 not in dict(stage.trails())


def test_the_camera_stands_above_the_floor_and_sees_what_it_sees() -> None:
    lines = frustum(LEVEL, 1280, 720)
    assert lines.shape == (8, 2, 3)
    np.testing.assert_allclose(lines[:4, 0], [[0, 0, 1.2]] * 4)
    corners = lines[:4, 1] - [0, 0, 1.2]
    assert (corners[:, 1] > 0).all()
    width, height = np.ptp(corners[:, 0]), np.ptp(corners[:, 2])
    assert width / height == pytest.approx(16 / 9)
    assert np.degrees(2 * np.arctan(width / 2 / corners[0, 1])) == pytest.approx(60)


def test_each_person_has_a_colour_in_the_mesh() -> None:
    points = Stage().place([at(-0.5, 2, 1), at(1, 4, 2)], LEVEL, 0.0)
    mesh = skeleton_mesh.build(points, np.ones((2, J)), numbers=[1, 2])
    one, two = np.split(mesh.colours[:, :3] * 255, 2)
    one, two = ({tuple(c) for c in part.round().astype(int)} for part in (one, two))
    assert one.isdisjoint(two)
    assert palette.person_colour(1) in one
    assert len({palette.person_colour(n) for n in range(1, 11)}) == 10
    assert palette.person_colour(11) == palette.person_colour(1)


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
