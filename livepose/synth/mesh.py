"""Textured triangle meshes that follow the bones of a body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

DRAPE, EASE = 8, 0.009  # rounds of smoothing a top, and its least distance from the skin
WAIST = 0.1  # height in the rest pose; trousers stay as they are


@dataclass(frozen=True)
class Part:
    """A textured triangle mesh that follows the bones.

    vertices, normals: (V, 3) at rest. uv: (V, 2), v down as in the picture. weights: (V, bones).
    faces: (T, 3). texture: (H, W, 4) RGBA bytes.
    """

    name: str
    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    texture: np.ndarray


def skin(points: np.ndarray, weights: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """Linear blend skinning of points (V, 3) with weights (V, bones)."""
    blend = (weights @ transforms.reshape(len(transforms), 12)).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", blend[:, :, :3], points) + blend[:, :, 3]


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals; faces (T, 3)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    out = np.zeros_like(vertices)
    for k in range(3):
        for axis in range(3):
            out[:, axis] += np.bincount(faces[:, k], flat[:, axis], len(vertices))
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def make_part(name, vertices, weights, polygons, uv, uv_polygons, texture) -> Part:
    """Splits polygons (F, 4) into triangles, and vertices where the texture has a seam."""
    triangles, corners = (
        np.concatenate([p[:, [0, 1, 2]], p[:, [0, 2, 3]]]) for p in (polygons, uv_polygons)
    )
    normals = vertex_normals(vertices, triangles)
    pairs = np.stack([triangles.ravel(), corners.ravel()], axis=1)
    pairs, faces = np.unique(pairs, axis=0, return_inverse=True)
    v, t = pairs.T
    flipped = np.stack([uv[t, 0], 1 - uv[t, 1]], axis=1)
    faces = faces.reshape(-1, 3)
    faces = faces[(faces[:, 0] != faces[:, 2]) & (faces[:, 1] != faces[:, 2])]  # quads that are not
    return Part(name, vertices[v], normals[v], flipped, weights[v], faces, texture)


def draped(
    vertices: np.ndarray, polygons: np.ndarray, body: np.ndarray, normals: np.ndarray
) -> np.ndarray:
    """Evens out a top that clings too closely, but not into the body; its hems stay as they are."""
    pairs = np.sort(np.concatenate([polygons[:, [k, (k + 1) % 4]] for k in range(4)]), axis=1)
    pairs, uses = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0, return_counts=True)
    n = len(vertices)
    links = coo_array((np.ones(2 * len(pairs)), (pairs.ravel(), pairs[:, ::-1].ravel())), (n, n))
    count = np.maximum(links.sum(1), 1)[:, None]
    free = ~np.isin(np.arange(n), pairs[uses == 1])[:, None] & (vertices[:, 1:2] > WAIST)
    skin_only = np.flatnonzero((normals != 0).any(1))
    tree = cKDTree(body[skin_only])
    for _ in range(DRAPE):
        vertices = np.where(free, 0.5 * vertices + 0.5 * (links @ vertices) / count, vertices)
        near = skin_only[tree.query(vertices)[1]]
        outside = ((vertices - body[near]) * normals[near]).sum(1, keepdims=True)
        vertices = vertices + np.where(free, np.maximum(EASE - outside, 0), 0) * normals[near]
    return vertices


def stiff(shoes: Part, bones: Sequence[str], heads: np.ndarray) -> Part:
    """Shoes that, below the ankle, only follow the foot: the shin would tilt their soles."""
    weights = shoes.weights.copy()
    for side in "LR":
        foot = bones.index(f"foot.{side}")
        low = shoes.vertices[:, 1] < heads[foot, 1]
        for b, name in enumerate(bones):
            if name.endswith(f".{side}") and not name.startswith(("foot", "toe")):
                weights[low, foot] += weights[low, b]
                weights[low, b] = 0
    return replace(shoes, weights=weights)
