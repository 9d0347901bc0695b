"""Squares of people, and what is done to their pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from livepose.crop import Square, cut, to_input, whole
from livepose.cv import cv2
from livepose.data.augment import move, random_patch, random_square, recolour
from livepose.skeleton import INDEX, J, indices


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


@pytest.mark.parametrize("side", [50, 96, 180, 192, 260, 400])
def test_squares_of_whole_pixels_are_cut_alike(side: int) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3), np.uint8), (0, 0), 3)
    middle = (np.array([100, 60]) + (side - 1) / 2).tolist()
    fast, near = (cut(image, Square(*middle, side + off), 96).astype(int) for off in (0, 1e-6))
    inner = np.abs(fast - near)[2:-2, 2:-2]
    assert inner.max() <= 1  # rounding
    # Outside the picture is black, as ever.
    over = cut(image + 1, Square(middle[0] - 200, middle[1], side), 96)
    assert not over[:, :2].any()


@pytest.mark.parametrize("corner", [(-20, 60), (300, 200), (-20, -30)])
@pytest.mark.parametrize("side", [52, 96, 180, 192, 260, 400, 720])
def test_squares_of_whole_pixels_may_reach_beyond_the_picture(
    side: int, corner: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    image = 1 + cv2.GaussianBlur(rng.integers(0, 255, (480, 640, 3), np.uint8), (0, 0), 8)
    middle = (np.array(corner) + (side - 1) / 2).tolist()
    square = Square(*middle, side)
    beside = replace(square, side=side + 1e-6)
    fast, near = (cut(image, s, 96).astype(int) for s in (square, beside))
    # Pixels at an edge of the picture or of the square are a mixture with what lies beyond it.
    cells = (np.mgrid[2:94, 2:94][::-1].transpose(1, 2, 0) - 47.5) / 48
    x, y = np.moveaxis(square.to_picture(cells), -1, 0)
    inside = np.minimum.reduce([x, y, 639 - x, 479 - y]) > 2 * side / 96
    outside = np.maximum.reduce([-x, -y, x - 639, y - 479]) > 2 * side / 96
    assert np.abs(fast - near)[2:-2, 2:-2][inside].max() <= 2  # rounding, other blocks
    assert not fast[2:-2, 2:-2][outside].any()


def test_a_square_outside_the_picture_is_black() -> None:
    image = np.full((48, 64, 3), 255, np.uint8)
    assert not cut(image, Square(-50.5, 23.5, 40), 96).any()
    assert not cut(image, Square(100.5, 23.5, 40), 96).any()


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


# --- one effect at a time


class Forced:
    """A generator with a neutral normal distribution, and some draws of the others decided.

    effects: of `recolour`, by number. coins: single draws of 0..1, in order; then heads (0.99).
    framing: of `random_square`.
    """

    def __init__(
        self, seed: int = 0, effects: tuple[int, ...] = (), coins: tuple[float, ...] = (),
        framing: int = 0,
    ) -> None:  # fmt: skip
        self.rng = np.random.default_rng(seed)
        self.effects, self.coins, self.framing = effects, list(coins), framing

    def normal(self, mean: float, _: float, size: int | None = None) -> np.ndarray | float:
        return mean if size is None else np.full(size, mean)

    def random(self, size: int | None = None) -> np.ndarray | float:
        if size is None:
            return self.coins.pop(0) if self.coins else 0.99
        return np.where(np.isin(np.arange(size), self.effects), 0.0, 1.0)

    def choice(self, of: Any, p: Any = None) -> int:
        return self.framing if p is not None else of[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rng, name)


GREY, MOTION, COARSE, NOISE, JPEG, OCCLUDER, DARK = range(7)
CLUTTER = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
FLAT = np.full((96, 96, 3), 160, np.uint8)


def done(effect: int, image: np.ndarray, seed: int = 0, *coins: float) -> np.ndarray:
    return recolour(Forced(seed, (effect,), coins), image).astype(float)  # type: ignore[arg-type]


def test_without_effects_a_picture_stays_as_it_is() -> None:
    out = recolour(Forced(), CLUTTER)  # type: ignore[arg-type]
    assert np.abs(out.astype(float) - CLUTTER).max() <= 1  # rounding


def test_colours_vary_and_are_reproducible() -> None:
    for seed in range(20):
        a = recolour(np.random.default_rng(seed), CLUTTER)
        assert (a.shape, a.dtype) == (CLUTTER.shape, np.uint8)
        assert np.array_equal(a, recolour(np.random.default_rng(seed), CLUTTER))

    class Tinted(Forced):
        def normal(self, mean: float, spread: float, size: int | None = None) -> Any:
            return self.rng.normal(mean, spread, size)

    means = np.array([recolour(Tinted(k), FLAT).mean((0, 1)) for k in range(40)])  # type: ignore[arg-type]
    assert means.std(0).min() > 8  # brightness
    assert (means - means.mean(1, keepdims=True)).std(0).min() > 2  # tint


def test_grey_has_no_colour() -> None:
    out = done(GREY, CLUTTER)
    assert np.ptp(out, axis=-1).max() == 0
    assert out.std() > 20


@pytest.mark.parametrize("seed", range(5))
def test_motion_blur_smears_a_dot_along_a_line(seed: int) -> None:
    image = np.zeros((240, 240, 3), np.uint8)
    image[120, 120] = 240
    y, x = np.nonzero(done(MOTION, image, seed)[..., 0])
    assert len(x) >= 3
    assert max(np.ptp(x), np.ptp(y)) <= 240 / 30
    assert (x.mean(), y.mean()) == (120, 120)
    across = np.linalg.svd(np.column_stack([x - 120, y - 120]))[1][-1] / np.sqrt(len(x))
    assert across < 0.5  # thin


def test_coarse_pictures_lose_their_detail() -> None:
    checks = np.uint8(np.indices((96, 96)).sum(0) % 2 * 255)[..., None].repeat(3, -1)
    assert done(COARSE, checks).std() < checks.std() / 2
    assert np.abs(done(COARSE, FLAT) - FLAT).max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_about_the_picture(seed: int) -> None:
    error = done(NOISE, FLAT, seed) - FLAT
    assert 2 < error.std() < 21
    assert abs(error.mean()) < 1.5


@pytest.mark.parametrize("seed", range(5))
def test_jpeg_drops_fine_detail(seed: int) -> None:
    def finest(image: np.ndarray) -> float:
        blocks = image[..., 1].reshape(12, 8, 12, 8).swapaxes(1, 2).reshape(-1, 8, 8)
        return float(np.mean([cv2.dct(b.astype("f4"))[6:, 6:] ** 2 for b in blocks]))

    soft = cv2.GaussianBlur(CLUTTER, (0, 0), 0.7)
    out = done(JPEG, soft, seed)
    assert finest(out) < 0.5 * finest(soft)
    assert np.abs(out - soft).mean() < 40


@pytest.mark.parametrize("coin", [0.0, 0.99])
@pytest.mark.parametrize("seed", range(3))
def test_an_occluder_covers_one_rectangle(coin: float, seed: int) -> None:
    changed = (np.abs(done(OCCLUDER, CLUTTER, seed, coin) - CLUTTER) > 1).any(-1)
    y, x = np.nonzero(changed)
    sides = np.array([np.ptp(x), np.ptp(y)]) + 1
    assert ((sides >= 0.1 * 96 - 1) & (sides <= 0.35 * 96)).all()
    assert changed.sum() > 0.95 * sides.prod()


@pytest.mark.parametrize("seed", range(5))
def test_a_dark_room_is_dark_and_grainy(seed: int) -> None:
    out = done(DARK, FLAT, seed)
    assert out.mean() < 0.9 * FLAT.mean()
    assert out.std() > 1


# --- truncation


def standing() -> tuple[np.ndarray, np.ndarray]:
    """Joints from the top of the head at y = 0 to the ankles at 240, wrists to the sides."""
    joints = np.tile(np.array([[150.0, 110.0]]), (J, 1))
    rows = {"head_top": 0, "nose": 15, "neck": 40, "left_shoulder": 45, "right_shoulder": 45,
            "left_hip": 120, "right_hip": 120, "left_ankle": 240, "right_ankle": 240}  # fmt: skip
    for name, y in rows.items():
        joints[INDEX[name], 1] = y
    joints[INDEX["left_wrist"], 0], joints[INDEX["right_wrist"], 0] = 230, 70
    return joints, np.ones(J, bool)


@pytest.mark.parametrize("framing", range(3))
@pytest.mark.parametrize("seed", range(5))
def test_framings_by_force(framing: int, seed: int) -> None:
    joints, known = standing()
    square = random_square(Forced(seed, framing=framing), joints, known)  # type: ignore[arg-type]
    inside = move(joints, known, np.ones(J), np.zeros(J), square)[1]
    ankles = indices(["left_ankle", "right_ankle"])
    assert inside[ankles].all() == (framing == 0)  # whole, waist up, head and shoulders
    assert inside[INDEX["neck"]]
    if framing == 2:
        assert not inside[indices(["left_hip", "right_hip"])].any()


def test_a_hand_is_cut_off_by_force() -> None:
    joints, known = standing()
    square = random_square(Forced(coins=(0.0,)), joints, known)  # type: ignore[arg-type]
    inside = move(joints, known, np.ones(J), np.zeros(J), square)[1]
    wrists = indices(["left_wrist", "right_wrist"])
    assert inside[wrists].sum() == 1
    assert inside.sum() == J - 1
