"""Colours on a body: dyes, eyebrows, eyes."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import LinearNDInterpolator

from livepose.cv import cv2
from livepose.synth.makehuman import BASE_VERTICES
from livepose.synth.mesh import Part, make_part

FIRST_EYE_VERTEX = 14_598  # the two eyeballs are the vertices 14598-14741
BROW_HEIGHT, BROW_RGB = 0.014, (70, 48, 36)  # metres above the middle of the eye


def tinted(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The picture in shades of one colour."""
    grey = picture[..., :3] @ np.array([0.3, 0.59, 0.11])
    shade = np.clip((grey / np.median(grey[picture[..., 3] > 127])) ** 1.3, 0.5, 1.5)[..., None]
    out = picture.copy()
    out[..., :3] = np.clip(shade * colour, 0, 255)
    return out


def paint_brows(
    texture: np.ndarray, base: np.ndarray, uv: np.ndarray, polygons: np.ndarray, uv_polygons
) -> None:
    """MakeHuman's skins have no eyebrows (they are hair); these are strokes on the skin."""
    size = len(texture)
    stroke = np.zeros((size, size), np.float32)
    corners, texels = base[polygons.ravel()], uv[uv_polygons.ravel()]
    for s in (1, -1):
        eye = base[polygons[(polygons >= FIRST_EYE_VERTEX).all(1)].ravel()]
        eye = eye[s * eye[:, 0] > 0].mean(0)
        near = (np.abs(corners - eye) < (0.04, 0.04, 0.04)).all(1) & (s * corners[:, 0] > -1e-6)
        near &= (polygons.ravel() < FIRST_EYE_VERTEX) & (corners[:, 2] > eye[2])
        where = LinearNDInterpolator(corners[near, :2], texels[near])
        t = np.linspace(0, 1, 60)
        x, y = -0.018 + 0.042 * t, BROW_HEIGHT + 0.007 * np.sin(np.pi * (0.15 + 0.7 * t))
        for (u, v), k in zip(where(np.stack([eye[0] + s * x, eye[1] + y], 1)), t, strict=True):
            if np.isfinite(u):
                at = (round(u * size), round((1 - v) * size))
                cv2.circle(stroke, at, round(3.2 - 1.8 * k), 1, -1, cv2.LINE_AA)
    share = 0.75 * cv2.GaussianBlur(stroke, (0, 0), 1.2)[..., None]
    texture[..., :3] = texture[..., :3] * (1 - share) + np.array(BROW_RGB) * share


def eyes(base: np.ndarray, weights: np.ndarray, polygons: np.ndarray) -> Part:
    """Eyeballs, textured as seen from the front: white, iris, pupil."""
    grid = np.linspace(-1, 1, 64)
    radius = np.hypot(*np.meshgrid(grid, grid))[..., None]
    colour = np.where(radius < 0.5, (92, 66, 44), (222, 214, 208))
    colour = np.where(radius < 0.22, 12, colour)
    texture = np.concatenate([colour, np.full((64, 64, 1), 255)], axis=2).astype(np.uint8)
    uv = np.zeros((BASE_VERTICES, 2))
    for left in (True, False):
        ball = np.unique(polygons[(base[polygons[:, 0], 0] > 0) == left])
        low, high = base[ball].min(0), base[ball].max(0)
        uv[ball] = (base[ball, :2] - low[:2]) / (high - low)[:2]
    return make_part("eyes", base, weights, polygons, uv, polygons, texture)


def redyed(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A copy of a texture with other colours: hue turned, stronger or weaker, lighter or darker."""
    hsv = cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2HSV).astype("f4")
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 180)) % 180
    wash = rng.uniform(0, 90) if rng.random() < 0.5 else 0  # colour where there was none
    hsv[..., 1] = (hsv[..., 1] * rng.uniform(0.3, 1.5) + wash).clip(0, 255)
    hsv[..., 2] = (hsv[..., 2] * rng.uniform(0.5, 1.5) + rng.uniform(0, 30)).clip(0, 255)
    out = picture.copy()
    out[..., :3] = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    return out
