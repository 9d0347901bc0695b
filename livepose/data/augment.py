"""From a labelled picture to a training square: geometry, truncation, colour, noise, occluders.

Geometry comes as one similarity transform, so that picture and joints are moved once.
"""

from __future__ import annotations

import numpy as np

from livepose.crop import Square
from livepose.cv import cv2
from livepose.data.samples import extent
from livepose.skeleton import FLIP, INDEX

_UPPER = [INDEX[n] for n in ("head_top", "nose", "left_shoulder", "right_shoulder", "left_elbow",
                             "right_elbow", "left_hip", "right_hip", "neck")]  # fmt: skip


def random_square(rng: np.random.Generator, joints: np.ndarray, known: np.ndarray) -> Square:
    """A square about a person, from tight to wide, sometimes about its upper body only."""
    use = known
    upper = rng.random() < 0.25 and known[_UPPER].sum() >= 4
    if upper:
        use = np.zeros_like(known)
        use[_UPPER] = known[_UPPER]
    low, high = extent(joints, use)
    box = max(float((high - low).max()), 8.0)
    cx, cy = (low + high) / 2
    grow = 1.25 if not upper else rng.uniform(0.8, 1.3)
    side = box * grow * np.exp(rng.uniform(np.log(0.85), np.log(1.7 if not upper else 1.2)))
    shift = rng.normal(0, 0.06, 2).clip(-0.2, 0.2) * side
    wild = rng.random() < 0.1
    angle = rng.uniform(-np.pi, np.pi) if wild else rng.normal(0, 0.3)
    return Square(cx + shift[0], cy + shift[1], side, angle, bool(rng.random() < 0.5))


def random_patch(rng: np.random.Generator, width: int, height: int) -> Square:
    """A square anywhere in a picture of nobody."""
    cx, cy = rng.uniform(0.2, 0.8, 2) * [width, height]
    return Square(cx, cy, max(width, height) * rng.uniform(0.4, 1.2), rng.normal(0, 0.1))


def move(
    joints: np.ndarray, known: np.ndarray, present: np.ndarray, depth: np.ndarray, square: Square
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of one picture -> labels in the square.

    Returns:
        ``(xyz, known, present)``: (J, 3) normalised coordinates (NaN depth where not known),
        (J,) bool for joints that are known and inside, (J,) float as in `Samples`.
    """
    matrix = square.matrix(1)  # size 1: the square is -1/2..1/2 about its only pixel, at 0
    xy = 2 * (joints @ matrix[:, :2].T + matrix[:, 2])
    xyz = np.column_stack([xy, depth * 2 / square.side])
    if square.flip:
        xyz, known, present = xyz[list(FLIP)], known[list(FLIP)], present[list(FLIP)]
    inside = (np.abs(xyz[:, :2]) < 1).all(1)
    present = np.where(known & ~inside, 0, present)
    return xyz, known & inside, present


_NOISE = np.random.default_rng(0).normal(0, 1, (64 * 64 * 64,)).astype("f4")


def recolour(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Colour, low light, noise, blur, JPEG and occluders on a training square (uint8, BGR)."""
    levels = np.linspace(0, 1, 256, dtype="f4")[:, None]
    gamma = np.exp(rng.normal(0, 0.25))
    tint = np.exp(rng.normal(0, 0.08, 3))
    gain, lift = np.exp(rng.normal(0, 0.2)), rng.normal(0, 0.06)
    table = ((levels**gamma - 0.5) * gain * tint + 0.5 + lift).clip(0, 1) * 255
    image = cv2.LUT(image, table.astype("u1")[None])
    what = rng.random(6)
    if what[0] < 0.08:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if what[1] < 0.15:
        n = int(rng.integers(2, 6))
        kernel = np.zeros((n, n), "f4")
        kernel[n // 2] = 1 / n  # motion along x, or y
        image = cv2.filter2D(image, -1, kernel if rng.random() < 0.5 else kernel.T)
    if what[2] < 0.15:  # coarse: small people in large pictures
        size, k = image.shape[0], rng.uniform(0.35, 0.8)
        image = cv2.resize(cv2.resize(image, None, fx=k, fy=k), (size, size))
    if what[3] < 0.2:
        start = int(rng.integers(_NOISE.size))
        noise = _NOISE.take(np.arange(start, start + image.size), mode="wrap")
        image = (image + noise.reshape(image.shape) * rng.uniform(3, 20)).clip(0, 255).astype("u1")
    if what[4] < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR))
    if what[5] < 0.25:
        image = _occlude(rng, image.copy())
    return image


def _occlude(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = image.shape[0]
    w, h = (rng.uniform(0.1, 0.35, 2) * size).astype(int)
    x, y = rng.integers(0, size - w), rng.integers(0, size - h)
    if rng.random() < 0.5:  # a piece of the picture itself: clutter with natural texture
        u, v = rng.integers(0, size - w), rng.integers(0, size - h)
        image[y : y + h, x : x + w] = image[v : v + h, u : u + w].copy()
    else:
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return image
