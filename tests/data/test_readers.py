"""Readers of the larger data sets, on small made files in their official layouts."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from livepose.data.readers import READERS, read, true3d
from livepose.data.samples import DataError, areas, boxes
from livepose.data.skeletons import Skeletons
from livepose.evaluate.metrics import to_metres
from livepose.skeleton import H36M_17, INDEX, MARGIPOSE_17, MPII_16, J, indices

CAMERA = np.array([1145.0, 1143.5, 512.0, 515.5])


def project(xyz: np.ndarray, camera: np.ndarray = CAMERA) -> np.ndarray:
    return xyz[..., :2] / xyz[..., 2:] * camera[:2] + camera[2:]


def people(n: int, joints: int) -> np.ndarray:
    """(n, joints, 3) millimetres, some five metres from the camera."""
    return np.random.default_rng(joints).normal((0, 0, 5000), 300, (n, joints, 3))


def test_every_reader_says_where_its_data_is_missing(tmp_path: Path) -> None:
    for name, reader in READERS.items():
        assert len(reader.licence) > 20
        for split in reader.splits:
            with pytest.raises(DataError, match=str(tmp_path)):
                read(name, tmp_path, split)


# --- MPII


def test_mpii_json(tmp_path: Path) -> None:
    joints = [[10.0 + k, 20.0 + k] for k in range(16)]
    joints[0] = [-1.0, -1.0]
    row = {"image": "a.jpg", "joints": joints, "joints_vis": [0] + [1] * 15}
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot/train.json").write_text(json.dumps([row]))
    s = read("mpii", tmp_path)
    assert s.images == (tmp_path / "images/a.jpg",)
    assert not s.known[0, INDEX["right_ankle"]]
    assert s.joints[0, INDEX["right_knee"]].tolist() == [10, 20]  # counted from 1
    assert np.isnan(s.present[0, INDEX["right_knee"]])  # labelled, but nobody says whether hidden
    assert s.joints[0, INDEX["head_top"]].tolist() == [9 + MPII_16.index("head_top"), 28]


def test_mpii_json_of_the_other_kind(tmp_path: Path) -> None:
    table = [[10.0 + k, 20.0, 1.0] for k in range(16)]
    table[1] = [0.0, 0.0, 0.0]  # not labelled
    table[2][2] = 0.0  # hidden
    row = {"img_paths": "b.jpg", "joint_self": table}
    (tmp_path / "valid.json").write_text(json.dumps([row, row]))
    s = read("mpii", tmp_path, "val")
    assert len(s) == 2
    assert not s.known[0, INDEX["right_knee"]]
    assert s.known[0, INDEX["right_hip"]]
    assert s.present[0, INDEX["right_hip"]] == 0
    assert s.present[0, INDEX["left_hip"]] == 1


def test_mpii_json_in_one_file_and_under_mmposes_names(tmp_path: Path) -> None:
    table = [[10.0 + k, 20.0, 1.0] for k in range(16)]
    rows = [{"img_paths": f"{k}.jpg", "joint_self": table, "isValidation": float(k > 1)}
            for k in range(3)]  # fmt: skip
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot/mpii_annotations.json").write_text(json.dumps(rows))
    names = [[p.name for p in read("mpii", tmp_path, s).images] for s in ("train", "val")]
    assert names == [["0.jpg", "1.jpg"], ["2.jpg"]]

    row = {"image": "a.jpg", "joints": [[10.0, 20.0]] * 16, "joints_vis": [1] * 16}
    (tmp_path / "annot/mpii_train.json").write_text(json.dumps([row]))
    (tmp_path / "annot/mpii_val.json").write_text(json.dumps([row, row]))
    assert len(read("mpii", tmp_path)) == 1
    val = read("mpii", tmp_path, "val")
    assert len(val) == 2
    assert val.head is None

    corners = np.zeros((2, 2, 2))
    corners[1, :, 1] = 30, 40  # the second one's box has a diagonal of 50
    heads = tmp_path / "annot/mpii_gt_val.mat"
    scipy.io.savemat(heads, {"headboxes_src": corners})
    assert read("mpii", tmp_path, "val").head == pytest.approx([0, 30])
    scipy.io.savemat(heads, {"headboxes_src": corners[..., :1]})
    with pytest.raises(DataError, match=r"gt_val\.mat is not of the 2 people"):
        read("mpii", tmp_path, "val")


@pytest.mark.parametrize(
    "content",
    ["[", "[{}]", "[]", "[3]", '[{"image": "a", "joints": [[1, 2]], "joints_vis": [1]}]'],
)
def test_mpii_json_that_is_broken(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(DataError, match=r"train\.json"):
        read("mpii", tmp_path)


def test_mpii_mat(tmp_path: Path) -> None:
    def point(k: int, visible: object) -> dict[str, object]:
        return {"x": 10.0 + k, "y": 20.0, "id": k, "is_visible": visible}

    def person(points: list[dict[str, object]]) -> dict[str, object]:
        box = {"x1": 5, "y1": 5, "x2": 35, "y2": 45}  # a diagonal of 50
        return {"annopoints": {"point": np.array(points, object)}, "scale": 1.0, **box}

    first = person([point(k, 1) for k in range(1, 16)])
    second = person([point(6, 0), point(9, np.zeros((0, 0)))])
    empty = {"annopoints": np.zeros((0, 0)), "scale": 1.0}
    annolist = [
        {"image": {"name": "a.jpg"}, "annorect": np.array([first, empty, second], object)},
        {"image": {"name": "b.jpg"}, "annorect": first},
        {"image": {"name": "test.jpg"}, "annorect": first},
        {"image": {"name": "nobody.jpg"}, "annorect": np.zeros((0, 0))},
    ]
    release = {"annolist": np.array(annolist, object), "img_train": np.array([1, 1, 0, 1])}
    scipy.io.savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    s = read("mpii", tmp_path)
    assert [p.name for p in s.images] == ["a.jpg", "a.jpg", "b.jpg"]
    assert not s.known[0, INDEX["right_ankle"]]
    assert s.joints[0, INDEX["right_knee"]].tolist() == [10, 19]
    assert s.known[1].sum() == 2
    assert s.present[1, INDEX["pelvis"]] == 0
    assert s.head == pytest.approx([30, 30, 30])
    assert s.omitted == {"without joints": 1, "of the test pictures": 1}
    assert np.isnan(s.present[1, INDEX["head_top"]])


# --- Human3.6M


@pytest.fixture
def h36m(tmp_path: Path) -> Path:
    for subject, action in (("S1", "Directions-1"), ("S9", "Posing-2")):
        folder = tmp_path / subject / action
        folder.mkdir(parents=True)
        xyz = people(3, 32)
        with h5py.File(folder / "annot.h5", "w") as file:
            file["pose/2d"], file["pose/3d"] = project(xyz), xyz
            file["pose/3d-univ"] = xyz * 1.1
            file["camera"], file["frame"] = [54138969, 54138969, 60457274], [1, 6, 1]
            for camera in ("54138969", "60457274"):
                file[f"intrinsics/{camera}"] = CAMERA[[0, 2, 1, 3]]
                file[f"intrinsics-univ/{camera}"] = CAMERA[[0, 2, 1, 3]] * 2
    return tmp_path


def test_human36m(h36m: Path) -> None:
    s = read("human36m", h36m)
    assert len(s) == 3
    assert s.images[1] == h36m / "S1/Directions-1/imageSequence/54138969/img_000006.jpg"
    assert read("human36m", h36m, "test").images[2].parts[-5:-3] == ("S9", "Posing-2")
    xyz = people(3, 32)[:, true3d.H36M_JOINTS] / 1000
    assert s.xyz is not None
    assert s.camera is not None
    assert np.allclose(s.camera[0], CAMERA)
    for k, name in enumerate(H36M_17):
        if name:
            assert np.allclose(s.xyz[:, INDEX[name]], xyz[:, k], atol=1e-4), name
    assert not s.known[:, INDEX["left_eye"]].any()
    assert s.left_out == "4 missing subjects (S5, S6, S7, S8)"
    # The labels in pixels lead back to the metres.
    root = s.xyz[:, INDEX["pelvis"], 2]
    back = to_metres(np.concatenate([s.joints, s.depth[..., None]], -1), s.camera, root)
    assert np.allclose(back[s.known], s.xyz[s.known], atol=1e-3)


def test_human36m_that_is_broken(h36m: Path) -> None:
    file = h36m / "S1/Directions-1/annot.h5"
    with h5py.File(file, "a") as data:
        del data["camera"]
    with pytest.raises(DataError, match="camera"):
        read("human36m", h36m)
    file.write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"annot\.h5 is not a readable HDF5"):
        read("human36m", h36m)


# --- MPI-INF-3DHP


def test_mpi_inf_3dhp_training(tmp_path: Path) -> None:
    folder = tmp_path / "S1/Seq1"
    for k in true3d.MPI_CAMERAS:
        (folder / f"imageSequence/video_{k}").mkdir(parents=True)
    xyz = people(25, 28)
    flat, deep = np.empty((14, 1), object), np.empty((14, 1), object)
    for k in range(14):
        flat[k, 0] = project(xyz).reshape(25, 56)
        deep[k, 0] = xyz.reshape(25, 84)
    scipy.io.savemat(folder / "annot.mat", {"annot2": flat, "annot3": deep})
    s = read("mpi-inf-3dhp", tmp_path)
    assert len(s) == 3 * len(true3d.MPI_CAMERAS)
    assert s.images[1] == folder / "imageSequence/video_0/000010.jpg"
    assert s.camera is not None
    assert np.allclose(s.camera, CAMERA, rtol=1e-4)  # fitted to the labels
    wrist = xyz[::10, true3d.MPI_JOINTS][:, MARGIPOSE_17.index("left_wrist")] / 1000
    assert s.xyz is not None
    assert np.allclose(s.xyz[:3, INDEX["left_wrist"]], wrist, atol=1e-4)
    assert "13 missing sequences (S1/Seq2, S2/Seq1" in s.left_out
    (folder / "imageSequence/video_7").rmdir()
    with pytest.raises(DataError, match="livepose data frames"):
        read("mpi-inf-3dhp", tmp_path)


def test_mpi_inf_3dhp_test(tmp_path: Path) -> None:
    folder = tmp_path / "TS2"
    folder.mkdir()
    xyz = people(4, 17)
    with h5py.File(folder / "annot_data.mat", "w") as file:
        file["valid_frame"] = np.array([[1], [0], [1], [1]])
        file["annot2"], file["annot3"] = project(xyz)[:, None], xyz[:, None]
    s = read("mpi-inf-3dhp", tmp_path, "test")
    assert [p.name for p in s.images] == ["img_000001.jpg", "img_000003.jpg", "img_000004.jpg"]
    assert s.omitted["frames that are not valid"] == 1
    assert s.omitted["missing sequences (TS1, TS3, TS4, TS5, TS6)"] == 5
    assert s.xyz is not None
    pelvis = xyz[2, MARGIPOSE_17.index("pelvis")] / 1000
    assert np.allclose(s.xyz[1, INDEX["pelvis"]], pelvis, atol=1e-4)


# --- rendered people, masks, boxes


def shard(root: Path, n: int = 3, **made: str) -> None:
    xyz = np.random.default_rng(0).normal((0, 0, 3), 0.3, (n, J, 3))
    xyz[0, INDEX["left_ankle"], 2] = -0.1  # behind the camera
    root.mkdir(parents=True)
    np.savez(
        root / "00000.npz", image=np.array([f"00000/{i}.jpg" for i in range(n)]),
        joints=project(xyz, np.array([300.0, 300.0, 199.5, 149.5])).astype("f4"),
        xyz=xyz.astype("f4"), visible=np.ones((n, J), bool), focal=np.full(n, 300, "f4"),
        size=np.tile([400, 300], (n, 1)), **made,
    )  # fmt: skip


def test_synth(tmp_path: Path) -> None:
    shard(tmp_path / "synth-test")
    s = read("synth", tmp_path / "synth", "test")
    assert len(s) == 3
    assert not s.known[0, INDEX["left_ankle"]]
    assert s.camera is not None
    assert s.camera[0].tolist() == [300, 300, 199.5, 149.5]
    assert s.masks is not None
    assert s.masks[2] == tmp_path / "synth-test/00000/2.png"
    assert s.take(np.array([2])).masks == s.masks[2:]
    assert np.allclose(s.depth[:, INDEX["pelvis"]], 0)


def test_synth_of_another_split_is_refused(tmp_path: Path) -> None:
    shard(tmp_path / "a", split="train")
    (tmp_path / "a/00001").mkdir()  # its labels are not written yet
    assert read("synth", tmp_path / "a").omitted == {"unfinished shards": 1}
    with pytest.raises(DataError, match="of the split 'train', not 'test'"):
        read("synth", tmp_path / "a", "test")


def test_masked(tmp_path: Path) -> None:
    for name in ("a.jpg", "a_mask.png", "b.jpg", "sub/c.jpg", "sub/c_mask.png", "d_mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    s = read("masked", tmp_path)
    assert [p.name for p in s.images] == ["a.jpg", "c.jpg"]
    assert s.omitted == {"pictures without a mask": 1, "masks without a picture": 1}
    assert s.masks is not None
    assert [p.name for p in s.masks] == ["a_mask.png", "c_mask.png"]
    assert not s.known.any()


def test_boxes_and_areas(tmp_path: Path) -> None:
    shard(tmp_path / "synth")
    s = read("synth", tmp_path / "synth")
    box = boxes(s)
    inside = (s.joints >= box[:, None, :2]) & (s.joints <= box[:, None, :2] + box[:, None, 2:])
    assert inside[s.known].all()
    assert np.allclose(areas(s), 0.53 * box[:, 2] * box[:, 3])


def test_coco_official_layout_boxes_and_areas(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    row = {"image_id": 7, "keypoints": [5, 6, 2] * 17, "num_keypoints": 17,
           "bbox": [1, 2, 30, 40], "area": 600.0}  # fmt: skip
    (tmp_path / "annotations/person_keypoints_val2017.json").write_text(json.dumps(
        {"images": [{"id": 7, "file_name": "7.jpg"}], "annotations": [row, row | {"iscrowd": 1}]}
    ))  # fmt: skip
    s = read("coco", tmp_path, "val")
    assert s.images == (tmp_path / "val2017/7.jpg",)
    assert boxes(s).tolist() == [[1, 2, 30, 40]]
    assert areas(s).tolist() == [600]


# --- skeletons


def test_skeletons_of_human36m_lack_faces_only(h36m: Path) -> None:
    skeletons = Skeletons([read("human36m", h36m)])
    assert len(skeletons) == 3
    drawn = skeletons(np.random.default_rng(0), 200)
    assert np.isfinite(drawn.xyz).all()
    face = indices(["nose", "left_eye", "right_eye", "left_ear", "right_ear"])
    assert not drawn.known[:, face].any()
    assert not drawn.sure[:, face].any()
    assert drawn.known[:, INDEX["pelvis"]].mean() > 0.9
    body = np.setdiff1d(np.arange(J), face)
    assert drawn.known[:, body].mean() > 0.6
    assert np.abs(drawn.xyz[..., 2][drawn.known]).max() > 0.1  # with depth
