"""People pasted beside the one whom a square is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livepose.crop import cut
from livepose.cv import cv2
from livepose.data.beside import Beside, square_beside
from livepose.data.mix import Mix
from livepose.data.pictures import Pictures
from livepose.data.samples import Samples
from livepose.skeleton import J

FULL = np.ones((1, J), "f4")


def red_person(folder: Path) -> Samples:
    """A red block of 20 x 60 pixels as somebody cut out, before green that must not be seen."""
    image, mask = np.full((100, 80, 3), (0, 255, 0), np.uint8), np.zeros((100, 80), np.uint8)
    part = np.s_[20:80, 30:50]
    image[part], mask[part] = (0, 0, 255), 255
    image[15:85, 25:55] = (0, 0, 255)  # soft edges stay red
    cv2.imwrite(str(folder / "red.png"), image)
    cv2.imwrite(str(folder / "mask.png"), mask)
    joints = np.random.default_rng(0).uniform((30, 20), (50, 80), (1, J, 2)).astype("f4")
    return Samples("red", (folder / "red.png",), joints, FULL > 0, FULL, FULL * 0,
                   masks=(folder / "mask.png",))  # fmt: skip


def standing(x: float) -> np.ndarray:
    """(J, 2): somebody about x, a third of the square high."""
    return np.random.default_rng(1).uniform((x - 0.1, -0.3), (x + 0.1, 0.3), (J, 2))


def test_the_other_one_is_in_the_square_and_not_upon_the_first(tmp_path: Path) -> None:
    beside = Beside([red_person(tmp_path)], 1.0)
    known = np.ones(J, bool)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        picture = beside(rng, np.zeros((128, 128, 3), np.uint8), standing(0.0), known, Pictures())
        red = picture[..., 2] > 128
        assert red.sum() > 100  # somebody came
        assert not (picture[..., 1] > 128).any()  # without the surroundings
        middle = red[:, 60:68].mean()
        assert middle < 0.4, "the person in the middle is hidden"


def test_nothing_to_paste_or_nobody_there_changes_nothing(tmp_path: Path) -> None:
    samples, rng = red_person(tmp_path), np.random.default_rng(0)
    picture, known = np.zeros((32, 32, 3), np.uint8), np.ones(J, bool)
    xy = standing(0.0)
    for beside, there in (
        (Beside([replace(samples, masks=None)], 1.0), known),
        (Beside([samples], 0.0), known),
        (Beside([samples], 1.0), ~known),
        (Beside([replace(samples, images=(tmp_path / "none.png",))], 1.0), known),
        (Beside([replace(samples, masks=(tmp_path / "none.png",))], 1.0), known),
    ):
        assert beside(rng, picture, xy, there, Pictures()) is picture


@pytest.mark.parametrize("x", [-0.4, 0.4])
def test_whoever_is_in_the_middle_stays_it(x: float) -> None:
    box = np.array([[30.0, 20.0], [50.0, 80.0]])
    for seed in range(50):
        square = square_beside(np.random.default_rng(seed), standing(x), np.ones(J, bool), box)
        image = np.zeros((100, 80), np.uint8)
        image[20:81, 30:51] = 255
        columns = np.nonzero(cut(image, replace(square, side=4 * square.side), 256) > 128)[1]
        at = ((columns.mean() + 0.5) / 128 - 1) * 4
        assert at * np.sign(x) > abs(x)  # farther out, on the same side


def test_a_mix_shows_others_beside(tmp_path: Path) -> None:
    samples = red_person(tmp_path)
    plain, mixed = (Mix([(samples, 1.0)], 64, 0, 20, beside=share) for share in (0.0, 1.0))
    differ = [not np.array_equal(plain[k].image, mixed[k].image) for k in range(20)]
    assert sum(differ) > 15
    for k in range(20):
        assert np.array_equal(mixed[k].image, mixed[k].image)  # of the seed and the number alone
        assert np.array_equal(plain[k].xyz, mixed[k].xyz)
