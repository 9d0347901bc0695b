"""The network that finds people: its scenes, targets, losses, training and measures."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose.cv import cv2
from livepose.data.crowd import Crowd, Photos, Scene, photos
from livepose.data.readers.masked import read_masked
from livepose.data.samples import DataError
from livepose.engine.detector import PersonDetector, fitted
from livepose.evaluate.detection import Found, judged, summary
from livepose.models import store
from livepose.models.detector import STRIDE, PersonNet, decode, shared
from livepose.models.store import WeightsError, load_detector, save_detector
from livepose.train import detector
from livepose.train.detector import collate, losses, targets
from tests.engine.fakes import CPU

GREEN = (0, 200, 0)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    """Green people on black, in rooms of grey."""
    folder = tmp_path_factory.mktemp("crowd")
    person, mask = np.zeros((100, 80, 3), np.uint8), np.zeros((100, 80), np.uint8)
    person[10:90, 30:50], mask[10:90, 30:50] = GREEN, 255
    for file, image in (("cut/a.jpg", person), ("cut/a_mask.png", mask), ("whole/b.jpg", person),
                        ("empty/room.jpg", np.full((90, 120, 3), 120, np.uint8))):  # fmt: skip
        (folder / file).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / file), image)
    boxes = np.array([[[30, 10, 49, 89, 0.9], [60, 10, 75, 80, 0.2], [0, 0, 9, 9, 0.01]]], "f4")
    np.savez(folder / "people.npz", image=np.array(["b.jpg"]), boxes=boxes)
    whole = photos(folder / "whole", folder / "people.npz")
    assert len(whole.boxes[0]) == 2  # the third is nothing
    return Crowd([read_masked(folder / "cut")], [whole], [folder / "empty/room.jpg"], 0, 400, 4)


def test_boxes_lie_about_the_people_of_a_scene(crowd: Crowd) -> None:
    boxes = covered = empty = 0
    for k in range(120):
        scene = crowd[k]
        height, width = scene.image.shape[:2]
        assert width % 32 == height % 32 == 0
        empty += not len(scene.boxes)
        for left, top, right, bottom in scene.boxes:
            assert 0 <= left < right <= width - 1
            assert 0 <= top < bottom <= height - 1
            # Seen by its colour, unless the light is strange or something lies over it.
            part = scene.image[int(top) : int(bottom) + 1, int(left) : int(right) + 1].astype(int)
            green = part[..., 1] > part[..., [0, 2]].max(-1) + 20
            boxes, covered = boxes + 1, covered + (green.mean() > 0.5)
    assert boxes > 100
    assert covered > 0.75 * boxes
    assert empty > 3
    assert sum(len(crowd[k].doubtful) for k in range(120)) > 10


def test_scenes_are_the_same_again_and_of_one_shape_in_a_batch(crowd: Crowd) -> None:
    assert np.array_equal(crowd[7].image, crowd[7].image)
    shapes = [crowd[k].image.shape for k in range(12)]
    assert all(len(set(shapes[k : k + 4])) == 1 for k in (0, 4, 8))
    batch = collate([crowd[k] for k in range(4)])
    h, w = shapes[0][0] // STRIDE, shapes[0][1] // STRIDE
    assert batch["heat"].shape == batch["weight"].shape == batch["inside"].shape == (4, h, w)
    assert batch["sides"].shape == (4, 4, h, w)


def test_photos_need_their_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"people\.npz"):
        photos(tmp_path, tmp_path / "people.npz")


def two() -> Scene:
    boxes = np.array([[16.0, 20, 70, 120], [90, 30, 140, 110]])
    return Scene(np.zeros((128, 160, 3), np.uint8), boxes, np.array([[4.0, 4, 30, 30]]))


def test_targets_decode_to_the_boxes_they_were_made_of() -> None:
    scene = two()
    heat, weight, sides, inside = targets(scene)
    assert heat.shape == (16, 20)
    assert (heat == 1).sum() == 2
    assert weight.min() < 0.1
    assert weight[8, 14] == 1
    assert inside.sum() >= 2
    boxes, scores = decode(torch.logit(heat.clamp(1e-4, 1 - 1e-4)), sides)
    found = boxes[scores > 0.9].numpy()
    found = found[np.argsort(found[:, 0])]
    assert found == pytest.approx(scene.boxes, abs=0.01)


def test_the_same_person_is_found_once() -> None:
    odds, sides = torch.full((12, 12), -9.0), torch.full((4, 12, 12), 1.5)
    odds[4, 4], odds[4, 6], odds[9, 9] = 3.0, 2.0, 1.0
    boxes, scores = decode(odds, sides)
    assert (scores > 0.5).sum() == 2
    a = torch.tensor([[0.0, 0, 10, 10]])
    assert shared(a, torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
                  )[0].tolist() == pytest.approx([1, 1 / 3, 0])  # fmt: skip
    assert len(boxes) >= 2


def test_it_learns_what_it_is_shown() -> None:
    torch.manual_seed(0)
    net, batch = PersonNet(), collate([two()] * 2)
    image = torch.zeros(2, 3, 128, 160)
    image[:, :, 20:120, 16:70], image[:, 1, 30:110, 90:140] = 1, 1
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    first = None
    for _ in range(60):
        middle, box = losses(*net(image), batch)
        first = first or (middle + box).item()
        optimiser.zero_grad()
        (middle + box).backward()
        optimiser.step()
    assert (middle + box).item() < 0.5 * first


def test_training_goes_on_where_it_was_stopped(
    crowd: Crowd, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "BATCH", 1)
    start = shared / "pretrained/movenet-lightning.safetensors"
    scenes = Crowd(crowd.cutouts, crowd.whole, crowd.empty, 0, 3, 1)

    def go(name: str, steps: int = 3) -> tuple[PersonNet, dict[str, float] | None]:
        own = argparse.Namespace(seed=1, start=start, out=tmp_path / name, steps=steps)
        return detector.run(scenes, [crowd[0]], own)[:2]

    through, figures = go("a")
    assert figures is not None
    update = detector._update

    def stopped(*args):  # type: ignore[no-untyped-def]
        os.kill(os.getpid(), signal.SIGINT)
        return update(*args)

    monkeypatch.setattr(detector, "_update", stopped)
    assert go("b")[1] is None
    monkeypatch.setattr(detector, "_update", update)
    with pytest.raises(ValueError, match="belongs to"):
        go("b", steps=9)
    again, same = go("b")
    assert same == figures
    for name, value in through.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_detection_is_measured_as_by_hand() -> None:
    true = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [80, 80, 90, 90]])
    scores, doubtful = np.array([0.9, 0.8, 0.5, 0.4]), np.array([[78.0, 78, 92, 92]])
    picture = Found(boxes, scores, true, doubtful)
    assert judged(picture) == pytest.approx([1, 0, 0, np.nan], nan_ok=True)
    ghost = Found(boxes[:1], np.array([0.7]), np.zeros((0, 4)), np.zeros((0, 4)))
    figures = summary([picture, ghost])
    # Right, wrong (twice found), wrong (ghost), wrong: half of the people at full precision.
    assert figures["ap"] == pytest.approx(0.5)
    assert figures["recall"] == pytest.approx(0.5)
    assert figures["precision"] == pytest.approx(1 / 4)
    assert figures["ghosts"] == 1


@pytest.mark.parametrize("size", [(1280, 720), (96, 64), (720, 1280), (3000, 3), (1, 1)])
def test_pictures_of_any_size_are_looked_at(size: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    small, scale = fitted(image)
    assert small.shape[0] % 32 == small.shape[1] % 32 == 0
    assert max(size) * scale == pytest.approx(320, abs=1)
    torch.manual_seed(0)
    assert PersonDetector(PersonNet().eval(), CPU)(image) == []  # untrained, it sees nobody


def test_squares_lie_about_the_boxes_in_the_whole_picture() -> None:
    class Sees(PersonNet):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            odds = torch.full((1, x.shape[2] // 8, x.shape[3] // 8), -9.0)
            sides = torch.full((1, 4, x.shape[2] // 8, x.shape[3] // 8), float(np.log(5)))
            odds[0, 10, 20] = 2.0
            return odds, sides

    (square,) = PersonDetector(Sees(), CPU)(np.zeros((720, 1280, 3), np.uint8))
    assert (square.cx, square.cy) == pytest.approx((4 * 163.5, 4 * 83.5))
    assert square.side == pytest.approx(4 * 80 * 1.3)


def test_weights_of_the_detector_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "person.safetensors"
    net = PersonNet()
    save_detector(file, net, {"command": "x"}, {"ap": 0.5})
    again = load_detector(file)
    assert torch.allclose(again.head.out.bias, net.head.out.bias, atol=5e-3)
    with pytest.raises(WeightsError, match="joints"):
        store.read_card(file)
    store.update_measured(file, {"ap": 0.6})
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(WeightsError, match="not the file"):
        load_detector(file)


def test_every_picture_has_its_photo(crowd: Crowd) -> None:
    with pytest.raises(OSError, match="could not be read"):
        Crowd(crowd.cutouts, [Photos((Path("nowhere.jpg"),), (np.zeros((0, 5)),))],
              [Path("nowhere.jpg")], 0, 10, 1)[0]  # fmt: skip
