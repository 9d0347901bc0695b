"""The room of the bundled clip: boxes, sheets and leaves with textures computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

BACK, LEFT, RIGHT, HEIGHT = -1.75, -2.75, 3.4, 3.1


@dataclass(frozen=True)
class Thing:
    """A textured mesh that stays where it is; arrays as in `livepose.synth.mesh.Part`."""

    name: str
    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    texture: np.ndarray
    gloss: float = 0.0


def _rgba(colour: np.ndarray) -> np.ndarray:
    alpha = np.full((*colour.shape[:2], 1), 255.0)
    return np.clip(np.concatenate([colour, alpha], axis=2), 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float]):
    """Smooth noise of unit deviation that repeats at its borders."""
    out = gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return out / out.std()


def _planks(rng: np.random.Generator, colour: tuple[int, int, int], rows: int) -> np.ndarray:
    """Wooden boards that run along x; each board has its own tone and grain."""
    size = 1024
    tone = np.ones((size, size))
    step = size // rows
    for r in range(rows):
        rows_of = slice(r * step, (r + 1) * step)
        at = int(rng.integers(size))
        board = 0.07 * _noise(rng, (step, size), (1.2, 60))
        board += 0.05 * _noise(rng, (step, size), (6, 90))
        for half in range(2):
            columns = (at + half * size // 2 + np.arange(size // 2)) % size
            tone[rows_of, columns] = 1 + board[:, columns] + rng.normal(0, 0.09)
            tone[rows_of, columns[:2]] *= 0.62
        tone[rows_of][:2] *= 0.62
    tint = np.clip(tone, 0.3, 1.5)[..., None] ** np.array([0.9, 1.0, 1.15])
    return _rgba(tint * colour)


def _plaster(rng: np.random.Generator, colour: tuple[int, int, int]) -> np.ndarray:
    fine, broad = (_noise(rng, (512, 512), (sigma, sigma)) for sigma in (1.5, 40))
    tone = 1 + 0.008 * fine + 0.012 * broad
    return _rgba(tone[..., None] * colour)


def _cloth(rng: np.random.Generator, colour: tuple[int, int, int]) -> np.ndarray:
    tone = 1 + 0.05 * _noise(rng, (256, 256), (0.7, 3)) + 0.05 * _noise(rng, (256, 256), (3, 0.7))
    return _rgba(tone[..., None] * colour)


def _painting(rng: np.random.Generator) -> np.ndarray:
    """Hills under an evening sky."""
    x, y = np.meshgrid(np.linspace(0, 1, 256), np.linspace(0, 1, 192))
    sky = (1 - y)[..., None] * (120, 160, 190) + y[..., None] * (238, 190, 140)
    for k, colour in enumerate(((150, 150, 160), (104, 124, 118), (66, 92, 74), (44, 62, 48))):
        ridge = 0.42 + 0.14 * k + 0.06 * np.sin(7 * x + 2.1 * k) + 0.025 * np.sin(19 * x + k * k)
        sky = np.where((y > ridge)[..., None], colour, sky)
    return _rgba(sky + 5 * _noise(rng, (192, 256), (1.5, 4))[..., None])


def _plain(*colour: int) -> np.ndarray:
    return _rgba(np.broadcast_to(np.array(colour, float), (4, 4, 3)))


def _box(
    name: str,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    texture: np.ndarray,
    scale: float = 1.0,
    gloss: float = 0.0,
) -> Thing:
    """A box; the texture repeats every `scale` metres, or fills each side where scale is 0."""
    lo, hi = np.array(low), np.array(high)
    vertices, normals, uv = [], [], []
    for axis in range(3):
        u, v = ((2, 1), (0, 2), (0, 1))[axis]
        for end, sign in ((lo, -1.0), (hi, 1.0)):
            corners = np.repeat(end[None], 4, axis=0)
            corners[:, u] = [lo[u], hi[u], hi[u], lo[u]]
            corners[:, v] = [lo[v], lo[v], hi[v], hi[v]]
            vertices.append(corners)
            normals.append(np.tile(np.eye(3)[axis] * sign, (4, 1)))
            uv.append(corners[:, [u, v]] / scale if scale else [[0, 1], [1, 1], [1, 0], [0, 0]])
    faces = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * k for k in range(6)])
    arrays = (np.concatenate(a).astype(float) for a in (vertices, normals, uv))
    return Thing(name, *arrays, faces, texture, gloss)


def _sheet(
    name: str,
    shape: tuple[int, int],
    surface: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]],
    texture: np.ndarray,
    gloss: float = 0.0,
) -> Thing:
    """A curved sheet: `surface` maps u, v in 0..1 to x, y, z."""
    v, u = (k.ravel() for k in np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j])
    points = np.stack(np.broadcast_arrays(*surface(u, v)), axis=1)
    du, dv = (
        np.stack(np.broadcast_arrays(*surface(u + a, v + b)), axis=1) - points
        for a, b in ((1e-4, 0), (0, 1e-4))
    )
    normals = np.cross(du, dv)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    i = np.arange(shape[0] * shape[1]).reshape(shape)
    a, b, c, d = (k.ravel() for k in (i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return Thing(name, points, normals, np.stack([u, v], 1), faces, texture, gloss)


def _lathe(
    name: str, at: tuple[float, float], profile: list[tuple[float, float]], texture: np.ndarray
) -> Thing:
    """A body of revolution about a vertical axis; profile: (height, radius) from the bottom."""
    height, radius = np.array(profile).T

    def surface(u: np.ndarray, v: np.ndarray):
        along = v * (len(profile) - 1)
        r, y = (np.interp(along, np.arange(len(profile)), k) for k in (radius, height))
        return at[0] + r * np.sin(2 * np.pi * u), y, at[1] + r * np.cos(2 * np.pi * u)

    return _sheet(name, (4 * len(profile), 33), surface, texture, gloss=0.06)


def _plant(rng: np.random.Generator, x: float, z: float, base: float) -> Iterator[Thing]:
    yield _lathe(
        "pot", (x, z), [(0.0, 0.0), (0.0, 0.13), (0.3, 0.17), (0.3, 0.15), (base, 0.0)],
        _plain(196, 188, 176),
    )  # fmt: skip
    green = np.linspace(0.75, 1.15, 16)[:, None, None] * np.array([62, 96, 48])
    leaf = _rgba(np.broadcast_to(green, (16, 16, 3)))
    for k in range(26):
        turn, length = 2.4 * k + rng.normal(0, 0.2), rng.uniform(0.55, 0.95)
        rise, width = rng.uniform(0.75, 1.4), rng.uniform(0.03, 0.05)

        def surface(u, v, turn=turn, length=length, rise=rise, width=width):
            out = length * np.sin(v * 1.5) * 0.55 / rise
            y = base + length * rise * (v - 0.42 * v**2.6)
            aside = width * (2 * u - 1) * np.sin(np.pi * np.clip(0.08 + 0.92 * v, 0, 1)) ** 0.7
            c, s = np.cos(turn), np.sin(turn)
            y = y + 0.6 * np.abs(aside)  # folded along its middle
            return x + out * c - aside * s, y, z + 0.75 * (out * s + aside * c)

        yield _sheet(f"leaf{k}", (12, 4), surface, leaf, gloss=0.04)


def things() -> list[Thing]:
    """All that is in the room but the person; the person stands at x = z = 0, looking along +z."""
    rng = np.random.default_rng(11)
    oak, dark_oak = _planks(rng, (168, 126, 88), 8), _planks(rng, (112, 78, 52), 4)
    wall, white, metal = _plaster(rng, (172, 168, 154)), _plain(226, 224, 218), _plain(60, 58, 56)
    side_wall = _plaster(rng, (120, 140, 140))
    out = [
        _box("floor", (LEFT, -0.1, BACK), (RIGHT, 0, 4.2), oak, 1.3, gloss=0.03),
        _box("back wall", (LEFT, 0, BACK - 0.1), (RIGHT, HEIGHT, BACK), wall, 1.5),
        _box("left wall", (LEFT - 0.1, 0, BACK), (LEFT, HEIGHT, 1.0), side_wall, 1.5),
        _box("skirting", (LEFT, 0, BACK), (RIGHT, 0.09, BACK + 0.018), white),
        _box("left skirting", (LEFT, 0, BACK), (LEFT + 0.018, 0.09, 1.0), white),
        _box("rug", (-1.15, 0.0, -0.75), (1.25, 0.012, 0.95), _cloth(rng, (134, 136, 134)), 0.5),
    ]
    # A door with its frame, panels and handle.
    x = -2.05
    out += [
        _box("frame", (x - 0.07, 0, BACK), (x + 0.92, 2.14, BACK + 0.03), white),
        _box("door", (x, 0.01, BACK), (x + 0.85, 2.07, BACK + 0.045), _plain(214, 211, 203)),
        _box("handle", (x + 0.75, 1.02, BACK), (x + 0.78, 1.05, BACK + 0.11), metal, gloss=0.2),
        _box("lever", (x + 0.65, 1.02, BACK + 0.09), (x + 0.78, 1.045, BACK + 0.11), metal),
    ]
    for k, (low, high) in enumerate(((0.16, 0.92), (1.12, 1.94))):
        edge = (x + 0.12, low, BACK), (x + 0.73, high, BACK + 0.052)
        out.append(_box(f"panel{k}", *edge, _plain(206, 203, 195)))
    # A sideboard with books and a bowl, a picture above it.
    x, z = 0.95, BACK + 0.46
    out += [
        _box("sideboard", (x, 0.14, BACK + 0.01), (x + 1.4, 0.74, z), dark_oak, 0.9, gloss=0.05),
        _box("picture frame", (x + 0.2, 1.38, BACK), (x + 1.2, 2.1, BACK + 0.03), metal),
        _box("mat", (x + 0.225, 1.405, BACK), (x + 1.175, 2.075, BACK + 0.033), white),
        _box("painting", (x + 0.3, 1.47, BACK), (x + 1.1, 2.01, BACK + 0.036), _painting(rng), 0),
        _lathe(
            "bowl", (x + 1.1, BACK + 0.25), [(0.745, 0), (0.745, 0.06), (0.84, 0.15), (0.83, 0.0)],
            _plain(70, 104, 120),
        ),
    ]  # fmt: skip
    for k in range(4):
        at = x + 0.03 + 0.345 * k
        out.append(_box(f"front{k}", (at, 0.17, z), (at + 0.32, 0.71, z + 0.012), dark_oak, 0.9))
        left, front = x + (0.05, 1.31)[k % 2], z - (0.01, 0.36)[k // 2]
        out.append(_box(f"leg{k}", (left, 0, front - 0.04), (left + 0.04, 0.14, front), metal))
    at = x + 0.12
    books = (150, 62, 50), (52, 78, 104), (204, 176, 110), (74, 96, 74), (180, 172, 160)
    for k, colour in enumerate(books):
        wide, tall = rng.uniform(0.025, 0.05), rng.uniform(0.19, 0.27)
        end = (at + wide, 0.74 + tall, z - 0.12)
        out.append(_box(f"book{k}", (at, 0.74, z - 0.3), end, _plain(*colour)))
        at += wide + 0.002
    return [*out, *_plant(rng, -0.85, BACK + 0.35, 0.28)]
