"""From a labelled picture to a training square: geometry, truncation, colour, noise, occluders.

Geometry comes as one similarity transform, so that picture and joints are moved once.
"""

from __future__ import annotations

import numpy as np

from livepose.crop import Square
from livepose.cv import cv2
from livepose.data.samples import extent
from livepose.skeleton import FLIP, indices

_UPPER = indices(["head_top", "nose", "left_shoulder", "right_shoulder", "left_elbow",
                  "right_elbow", "left_hip", "right_hip", "neck"])  # fmt: skip
_BUST = indices(["head_top", "nose", "left_shoulder", "right_shoulder", "neck"])
_HANDS = indices(["left_wrist", "right_wrist"])
# How much of a person a square is about, for each framing: the joints, how many of them must be
# known, the least and the most that the square is larger than their box, and the share.
_FRAMINGS = (
    (slice(None), 1, 1.06, 2.1, 0.7),
    (_UPPER, 4, 0.7, 1.55, 0.2),  # waist up: what a webcam sees
    (_BUST, 3, 1.0, 2.2, 0.1),
)


def random_square(
    rng: np.random.Generator, joints: np.ndarray, known: np.ndarray, turned: float = 0.1
) -> Square:
    """A square about a person, from tight to wide: all of it, from the waist up, head and
    shoulders; now and then a hand is out of it.

    joints: (J, 2) pixels. known: (J,) bool, those that are labelled and in the picture. turned:
    share of squares with any way up.
    """
    which, least, low, high, _ = _FRAMINGS[rng.choice(3, p=[f[-1] for f in _FRAMINGS])]
    use = np.zeros_like(known)
    use[which] = known[which]
    if use.sum() < least:
        use, (_, _, low, high, _) = known, _FRAMINGS[0]
    corners = np.stack(extent(joints, use))
    side = max(float(np.ptp(corners, axis=0).max()), 8.0)
    side *= np.exp(rng.uniform(np.log(low), np.log(high)))
    centre = corners.mean(0) + rng.normal(0, 0.06, 2).clip(-0.2, 0.2) * side
    hands = [h for h in _HANDS if known[h]]
    if hands and rng.random() < 0.12:
        centre = _without(rng, centre, side, joints, joints[rng.choice(hands)], use)
    wild = rng.random() < turned
    angle = rng.uniform(-np.pi, np.pi) if wild else rng.normal(0, 0.3)
    return Square(centre[0], centre[1], side, angle, bool(rng.random() < 0.5))


def _without(
    rng: np.random.Generator, centre: np.ndarray, side: float, joints: np.ndarray,
    point: np.ndarray, use: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The centre moved so that `point` is just outside, unless most of the person would be too."""
    away = point - centre
    axis = int(np.abs(away).argmax())
    moved = centre.copy()
    moved[axis] += away[axis] - np.sign(away[axis]) * side / 2 * rng.uniform(1.02, 1.2)
    inside = (np.abs(joints - moved) < side / 2).all(1) & use
    return moved if inside.sum() > 0.6 * use.sum() else centre


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
    """Colour, low light, noise, blur, JPEG and occluders on a training picture (uint8, BGR)."""
    levels = np.linspace(0, 1, 256, dtype="f4")[:, None]
    gamma = np.exp(rng.normal(0, 0.25))
    tint = np.exp(rng.normal(0, 0.08, 3))
    gain, lift = np.exp(rng.normal(0, 0.2)), rng.normal(0, 0.06)
    table = ((levels**gamma - 0.5) * gain * tint + 0.5 + lift).clip(0, 1) * 255
    image = cv2.LUT(image, table.astype("u1")[None])
    what = rng.random(7)
    if what[6] < 0.08:  # a dark room, and a camera that turns up its gain
        dim = image.astype("f4") * rng.uniform(0.15, 0.5)
        grain = _noise(rng, image.shape) * rng.uniform(2, 10)
        image = ((dim + grain) * rng.uniform(1, 2)).clip(0, 255).astype("u1")
    if what[0] < 0.08:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if what[1] < 0.15:
        image = cv2.filter2D(image, -1, _motion(rng, image.shape[0]))
    if what[2] < 0.15:  # coarse: small people in large pictures
        h, w = image.shape[:2]
        k = rng.uniform(0.35, 0.8)
        image = cv2.resize(cv2.resize(image, None, fx=k, fy=k), (w, h))
    if what[3] < 0.2:
        grain = _noise(rng, image.shape) * rng.uniform(3, 20)
        image = (image + grain).clip(0, 255).astype("u1")
    if what[4] < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR))
    if what[5] < 0.25:
        image = _occlude(rng, image.copy())
    return image


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    start = int(rng.integers(_NOISE.size))
    return _NOISE.take(np.arange(start, start + size), mode="wrap").reshape(shape)


def _motion(rng: np.random.Generator, size: int) -> np.ndarray:
    """A kernel that smears along a line of any direction, up to a thirtieth of the picture."""
    n = 2 * int(rng.integers(1, max(2, size // 60) + 1)) + 1
    kernel = np.zeros((n, n), "f4")
    angle = rng.uniform(0, np.pi)
    reach = (n // 2) * np.array([np.cos(angle), np.sin(angle)])
    a, b = (tuple(np.round(n // 2 + s * reach).astype(int).tolist()) for s in (-1, 1))
    cv2.line(kernel, a, b, 1.0)
    return kernel / kernel.sum()


def replace_background(
    rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """The person of `image` before a part of `other`, with a soft edge; all BGR bytes.

    mask: (H, W) bytes, 255 where the person is.
    """
    h, w = image.shape[:2]
    scale = max(h / other.shape[0], w / other.shape[1]) * rng.uniform(1.0, 1.5)
    other = cv2.resize(other, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    other = np.pad(other, ((0, 1), (0, 1), (0, 0)), "edge")  # rounding may have lost a row
    y, x = rng.integers(0, other.shape[0] - h + 1), rng.integers(0, other.shape[1] - w + 1)
    return blended(image, other[y : y + h, x : x + w], soft(mask, 1.0))


def soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) bytes, 255 where the person is -> (H, W, 1) float32 in 0..1, its edge blurred."""
    return cv2.GaussianBlur(mask, (0, 0), sigma)[..., None].astype("f4") / 255


def blended(over: np.ndarray, under: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 3) bytes: `over`, where alpha (H, W, 1) is 1, before `under`."""
    out: np.ndarray = np.round(over * alpha + under * (1 - alpha)).astype("u1")
    return out


def _occlude(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = np.array(image.shape[1::-1])
    w, h = (rng.uniform(0.1, 0.35, 2) * size).astype(int)
    x, y = rng.integers(0, size[0] - w), rng.integers(0, size[1] - h)
    if rng.random() < 0.5:  # a piece of the picture itself: clutter with natural texture
        u, v = rng.integers(0, size[0] - w), rng.integers(0, size[1] - h)
        image[y : y + h, x : x + w] = image[v : v + h, u : u + w].copy()
    else:
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return image
