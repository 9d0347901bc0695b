"""Squares of people, and what is done to their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from livepose.crop import Square, cut, to_input, whole
from livepose.cv import cv2
from livepose.data.augment import move, random_patch, random_square, recolour
from livepose.skeleton import INDEX, J


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


def test_random_squares_mostly_show_the_person() -> None:
    joints, known = np.random.default_rng(0).uniform(100, 200, (J, 2)), np.ones(J, bool)
    rng, seen = np.random.default_rng(1), []
    for _ in range(200):
        square = random_square(rng, joints, known)
        seen.append(move(joints, known, np.ones(J), np.zeros(J), square)[1].mean())
    assert np.mean(seen) > 0.8
    assert np.min(seen) < 0.9  # and some are cut off
    assert random_patch(rng, 100, 50).side <= 120


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


def test_any_share_of_people_is_turned_any_way_up() -> None:
    joints = np.random.default_rng(0).uniform(20, 80, (J, 2))
    for turned in (0.0, 1.0):
        rng = np.random.default_rng(1)
        angles = [random_square(rng, joints, np.ones(J, bool), turned).angle for _ in range(300)]
        far = np.mean(np.abs(angles) > np.pi / 2)
        assert (far == 0) if turned == 0 else (0.4 < far < 0.6)


def test_recolour_keeps_shape_and_is_reproducible() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for seed in range(40):
        a = recolour(np.random.default_rng(seed), image)
        assert a.shape == image.shape
        assert a.dtype == np.uint8
        assert np.array_equal(a, recolour(np.random.default_rng(seed), image))
