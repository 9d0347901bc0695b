"""Labels by teachers: what is written, and that a picture and its mirror image agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import cli
from livepose.cv import cv2
from livepose.data.label import _labeller, tilts_of
from livepose.data.readers import read
from livepose.data.samples import Samples
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import save_model
from livepose.skeleton import COCO_17, INDEX, J, mirrored
from tests.data.made import blaze, write_image

FLIP = [COCO_17.index(mirrored(name)) for name in COCO_17]


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    torch.manual_seed(0)
    net = MargiPose(Config("small", 64, heatmap_stride=8))
    save_model(tmp_path / "tiny.safetensors", net, {}, {})
    return str(tmp_path / "tiny.safetensors")


def label(folder: Path, out: Path, *options: str) -> dict[str, np.ndarray]:
    assert cli.main(["label", str(folder), "--out", str(out), *options]) == 0
    with np.load(out) as data:
        return dict(data)


def test_a_model_labels_a_folder(tmp_path: Path, teacher: str, capsys) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "images"
    for name in ("a", "b"):
        write_image(folder / f"{name}.jpg", 90, 120)
    write_image(folder / "a.png", 90, 120)  # its mask
    (folder / "broken.jpg").write_bytes(b"x")
    labels = label(folder, tmp_path / "out/l.npz", "--teacher", teacher)
    assert "broken.jpg: not a readable picture, skipped" in capsys.readouterr().err
    assert labels["image"].tolist() == ["a.jpg", "b.jpg"]
    assert labels["keypoints"].shape == (2, 17, 4)
    assert (labels["keypoints"][..., 3] > 0).any()

    (folder / "a.png").unlink()
    for name in ("a", "b"):  # the mean with the mirror image does not depend on which is which
        file = folder / f"{name}.jpg"
        cv2.imwrite(str(file.with_suffix(".png")), cv2.imread(str(file))[:, ::-1])
        file.unlink()
    (folder / "broken.jpg").unlink()
    other = label(folder, tmp_path / "m.npz", "--teacher", teacher)["keypoints"][:, FLIP]
    other[..., 0] = 89 - other[..., 0]
    assert np.allclose(other[..., :3], labels["keypoints"][..., :3], atol=2)

    plain = label(folder, tmp_path / "p.npz", "--teacher", teacher, "--plain")["keypoints"]
    assert (plain[..., 3] == 0).all()
    assert not np.allclose(plain[..., :2], other[:, FLIP, :2], atol=0.5)


def test_movenet_labels_people(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in (1, 2, 1001):
        name = f"im{i:04d}.jpg"
        (folder / name).write_bytes((shared / "data/lsp_dataset/images" / name).read_bytes())
    weights = shared / "pretrained/movenet-lightning.safetensors"
    labels = label(folder, tmp_path / "l.npz", "--teacher", "lightning", "--weights", str(weights),
                   "--skip-lsp-test")  # fmt: skip
    assert labels["image"].tolist() == ["im0001.jpg", "im0002.jpg"]  # never the test half
    truth = read("lsp", shared / "data/lsp_dataset").take(np.arange(2)).joints
    error = np.linalg.norm(labels["keypoints"][:, 5:, :2] - truth[:, INDEX["left_shoulder"] : 17],
                           axis=-1)  # fmt: skip
    assert np.median(error) < 10  # pixels, of people about 130 tall


def test_tilted_people_are_looked_at_upright_as_well() -> None:
    """A head to the right: the teacher, who knows standing people only, is shown them upright."""
    joints, known = np.zeros((3, J, 2), "f4"), np.ones((3, J), bool)
    joints[0, INDEX["neck"]] = 80, 50
    joints[1, INDEX["neck"]] = 55, 20  # nearly upright
    joints[:, INDEX["pelvis"]] = 50, 50
    joints[2] = joints[0]
    known[2, INDEX["pelvis"]] = False
    files = tuple(Path(f"{name}.jpg") for name in "abc")
    samples = Samples("x", files, joints, known, known.astype("f4"), np.zeros((3, J), "f4"))
    tilts = tilts_of(samples)
    assert tilts == {"a.jpg": pytest.approx(np.pi / 2)}

    def points(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        upright = crop[:32].mean() > crop[32:].mean()  # the bright head is at the top
        xy = np.zeros((17, 2), "f4")
        xy[:, 1] = -0.5
        return xy, np.full(17, 0.9 if upright else 0.4, "f4")

    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 70:90] = 255
    teacher = _labeller(points, 64, plain=False)
    upright = teacher(image, tilts["a.jpg"])["keypoints"]
    assert np.allclose(upright[:, :2], [49.5 + 25, 49.5], atol=0.5)
    assert np.allclose(upright[:, 2], 0.9)
    assert np.allclose(teacher(image, 0)["keypoints"][:, :3], [49.5, 24.5, 0.4], atol=0.5)
    # Told wrongly, it stays with what it is surer of.
    image = np.rot90(image).copy()
    assert np.allclose(teacher(image, np.pi / 2)["keypoints"][:, 2], 0.9)


def test_a_second_teacher_adds_its_columns(tmp_path: Path, teacher: str, capsys) -> None:  # type: ignore[no-untyped-def]
    """MediaPipe's columns first, then those of a network: what the reader of such folders wants."""
    folder, out = tmp_path / "images", tmp_path / "labels.npz"
    names = ["b.jpg", "a.jpg"]  # the order of the file that is there
    for k, name in enumerate(names):
        write_image(folder / name, 90 + 30 * k, 120)
    (folder / "broken.jpg").write_bytes(b"x")
    world, flat = blaze(np.full((2, 17, 4), 40.0, "f4"))
    np.savez(out, image=np.array(names), world=world, image33=flat)
    alone = label(folder, tmp_path / "alone.npz", "--teacher", teacher, "--device", "cpu")
    both = label(folder, out, "--teacher", teacher, "--device", "cpu")
    assert "beside" in capsys.readouterr().out
    assert both["image"].tolist() == names
    assert np.array_equal(both["world"], world)
    assert np.array_equal(both["keypoints"], alone["keypoints"][::-1])
    read("pseudo", tmp_path, "val")  # which finds all that it needs

    before = out.read_bytes()
    write_image(folder / "c.jpg")
    command = ["label", str(folder), "--teacher", teacher, "--out", str(out)]
    assert cli.main(command) == 2
    assert "with the labels of other pictures" in capsys.readouterr().err
    (folder / "c.jpg").unlink()
    (folder / "a.jpg").unlink()
    assert cli.main(command) == 2
    assert out.read_bytes() == before


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = ["--out", str(tmp_path / "l.npz")]
    gone = ["--teacher", "thunder", "--weights", str(tmp_path / "no.safetensors")]
    turned = ["--teacher", "mediapipe", "--upright", "lspet"]  # it would be ignored
    placed = ["--teacher", "mediapipe", "--device", "cpu"]  # so would this
    nowhere = ["--teacher", "base", "--device", "tpu"]
    bare, unknown = ["--teacher", "thunder"], ["--teacher", "nonsense"]
    for wrong in (bare, unknown, gone, turned, placed, nowhere):
        assert cli.main(["label", str(tmp_path), *wrong, *out]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert cli.main(["label", str(tmp_path / "no"), "--teacher", "base", *out]) == 2
    assert not (tmp_path / "l.npz").exists()
