"""A body takes the pose of a motion; cameras and motion files. No renderer is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from livepose.data.samples import DataError
from livepose.synth.camera import Camera
from livepose.synth.motions import Motions
from livepose.synth.retarget import between, frame, retarget, swing, turn, unit

# A stick figure at rest, arms half down, facing +z: where bones begin.
_SIDE = {
    "upperleg01": (0.1, 0.9, 0), "lowerleg01": (0.12, 0.48, 0.02), "foot": (0.13, 0.08, 0),
    "toe1-1": (0.14, 0.0, 0.15), "clavicle": (0.02, 1.4, 0), "upperarm01": (0.18, 1.38, 0),
    "lowerarm01": (0.36, 1.18, 0.0), "wrist": (0.48, 1.04, 0.12), "finger2-1": (0.53, 1.0, 0.17),
    "finger5-1": (0.53, 1.0, 0.11),
}  # fmt: skip


class Figure:
    """What `retarget` asks of a person."""

    def head(self, bone: str) -> np.ndarray:
        name, _, side = bone.partition(".")
        sign = np.array([1 if side == "L" else -1, 1, 1])
        if name.startswith("finger") and name not in _SIDE:
            finger, joint = int(name[6]), int(name[8])
            at = np.array([0.5, 1.02, 0.19 - 0.02 * finger])
            return sign * (at + joint * np.array([0.02, -0.02, 0.001 * finger]))
        return sign * np.array(_SIDE[name])


def positions(**moved: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """The figure's joints in the names of the motion files, standing upright."""
    names = {"hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "toe": "toe1-1",
             "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist"}  # fmt: skip
    out = {"pelvis": np.array([0, 0.9, 0.0]), "spine": np.array([0, 1.1, 0.0]),
           "thorax": np.array([0, 1.38, 0.0])}  # fmt: skip
    for side in "lr":
        for name, bone in names.items():
            out[f"{side}_{name}"] = Figure().head(f"{bone}.{side.upper()}")
    return {**out, **{k: np.array(v) for k, v in moved.items()}}


def world(turns: dict[str, np.ndarray], *bones: str) -> np.ndarray:
    """The rotation at the end of a chain of bones."""
    out = np.eye(3)
    for bone in bones:
        out = out @ turns.get(bone, np.eye(3))
    return out


SPINE = ("root", "spine05", "spine04", "spine03", "spine02", "spine01")


def test_the_rest_pose_turns_nothing_but_fingers() -> None:
    turns = retarget(Figure(), positions(), np.zeros(3), curl=0)  # type: ignore[arg-type]
    for bone, rotation in turns.items():
        # The shoulder blades are up by a share, which the upper arms make good.
        if not bone.startswith(("clavicle", "shoulder01", "upperarm01", "finger")):
            assert np.allclose(rotation, np.eye(3), atol=1e-6), bone


@pytest.mark.parametrize("side", ["L", "R"])
def test_limbs_point_where_the_motion_says(side: str) -> None:
    low, sign = side.lower(), 1 if side == "L" else -1
    shoulder = Figure().head(f"upperarm01.{side}")
    out = np.array([sign, 1, 1])
    elbow, wrist = shoulder + out * (0.1, 0.25, 0.1), shoulder + out * (0.05, 0.35, 0.3)
    hip = Figure().head(f"upperleg01.{side}")
    knee, ankle = hip + out * (0.05, -0.1, 0.4), hip + out * (0.05, -0.5, 0.3)
    at = positions(**{f"{low}_elbow": elbow, f"{low}_wrist": wrist, f"{low}_knee": knee,
                      f"{low}_ankle": ankle})  # fmt: skip
    turns = retarget(Figure(), at, np.zeros(3))  # type: ignore[arg-type]
    arm = (*SPINE, f"clavicle.{side}", f"shoulder01.{side}", f"upperarm01.{side}",
           f"upperarm02.{side}")  # fmt: skip
    leg = ("root", f"upperleg01.{side}")
    f = Figure()
    rest = {n: f.head(f"{n}.{side}") for n in _SIDE}
    for chain, a, b, now in (
        (arm, "upperarm01", "lowerarm01", elbow - shoulder),
        ((*arm, f"lowerarm01.{side}"), "lowerarm01", "wrist", wrist - elbow),
        (leg, "upperleg01", "lowerleg01", knee - hip),
        ((*leg, f"lowerleg01.{side}"), "lowerleg01", "foot", ankle - knee),
    ):
        assert np.allclose(world(turns, *chain) @ unit(rest[b] - rest[a]), unit(now), atol=1e-6), b
    for rotation in turns.values():
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_a_turned_body_turns_as_a_whole() -> None:
    quarter = turn("y", 90)
    at = {name: quarter @ p for name, p in positions().items()}
    turns = retarget(Figure(), at, np.array([0.0, 30, 0]))  # type: ignore[arg-type]
    assert np.allclose(turns["root"], quarter, atol=1e-6)
    assert np.allclose(world(turns, *SPINE), quarter, atol=1e-6)
    head = world(turns, *SPINE, "neck01", "neck02", "neck03", "head")
    assert np.allclose(head, turn("y", 120), atol=1e-6)


def test_a_motion_that_knows_the_head() -> None:
    # Human3.6M: the face is to the person's left.
    at = positions(head=(0.08, 1.55, 0), head_top=(0, 1.7, 0))
    turns = retarget(Figure(), at, np.zeros(3))  # type: ignore[arg-type]
    head = world(turns, *SPINE, "neck01", "neck02", "neck03", "head")
    assert np.allclose(head @ [0, 0, 1], [1, 0, 0], atol=1e-6)


def test_rotations() -> None:
    a, b = unit(np.array([1.0, 2, 3])), unit(np.array([-2.0, 0.5, 1]))
    assert np.allclose(swing(a, b) @ a, b)
    assert np.allclose(swing(a, -a) @ a, -a)
    assert np.allclose(swing(a, a), np.eye(3))
    assert np.allclose(between(np.eye(3), turn("x", 80), 0.25), turn("x", 20))
    f = frame(np.array([0, 2.0, 0]), np.array([1.0, 5, 0]))
    assert np.allclose(f, np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]]).T)


def test_camera_agrees_with_its_opengl_matrix() -> None:
    camera = Camera.looking(np.array([1.0, 2, 3]), np.zeros(3), 300, 400, 300, roll=0.2)
    p = np.random.default_rng(0).normal(0, 0.3, (20, 3))
    clip = np.column_stack([p, np.ones(20)]) @ camera.matrix(0.1, 10).T
    x, y = (clip[:, :2] / clip[:, 3:]).T
    # OpenGL counts from corner to corner, y upwards.
    pixels = np.column_stack([(x + 1) * 200 - 0.5, (1 - y) * 150 - 0.5])
    assert np.allclose(camera.project(p), pixels)
    assert np.allclose(camera.project(np.zeros(3)), [199.5, 149.5])
    assert camera.to_camera(np.zeros(3))[2] == pytest.approx(np.sqrt(14))


def test_held_out_subjects_stay_out(tmp_path: Path) -> None:
    positions = np.arange(6)[:, None, None] * np.ones((6, 2, 3), np.float16)
    names = np.array(["pelvis", "head"])
    np.savez(tmp_path / "human36m_10hz.npz", positions=positions, joints=names,
             clip_lengths=np.array([2, 3, 1]), subjects=np.array(["S1", "S9", "S11"]))  # fmt: skip
    np.savez(tmp_path / "bandai_namco_10hz.npz", positions=-positions, joints=names,
             clip_lengths=np.array([6]))  # fmt: skip
    rng = np.random.default_rng(0)
    train, test = Motions(tmp_path, "train"), Motions(tmp_path, "test")
    assert (len(train), len(test)) == (8, 4)
    assert {train.pick(rng)["head"][0] for _ in range(200)} == {0, 1, -1, -2, -3, -4, -5}
    assert {test.pick(rng)["pelvis"][0] for _ in range(200)} == {2, 3, 4, 5}
    (tmp_path / "human36m_10hz.npz").write_text("x")
    with pytest.raises(DataError, match="not a motion file"):
        Motions(tmp_path, "test")
