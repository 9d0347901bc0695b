"""Joints -> one merged, lit mesh: bones as tapered cylinders, joints as balls (numpy only).

All persons are built at once from two templates, a few hundred vertices each; only positions,
normals and colours change from frame to frame, the faces depend on the number of persons alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from livepose import palette
from livepose.palette import RGB
from livepose.skeleton import BONES, INDEX, JOINTS, J, indices

SIDES = 8

_RADII = {
    "nose": 0.022, "eye": 0.016, "ear": 0.022,
    "shoulder": 0.05, "elbow": 0.042, "wrist": 0.034,
    "hip": 0.052, "knee": 0.047, "ankle": 0.036,
    "head_top": 0.03, "head": 0.1, "neck": 0.044, "spine": 0.048, "pelvis": 0.054,
}  # fmt: skip
# Metres by joint; a bone tapers between this share of the radii of its ends.
RADII = np.array(
    [_RADII.get(name) or _RADII[name.removeprefix("left_").removeprefix("right_")]
     for name in JOINTS], np.float32
)  # fmt: skip
_BONE_SHARE = 0.72
# The head's ball reaches to the top of the head, within what heads are like.
_HEAD, _HEAD_TOP = INDEX["head"], INDEX["head_top"]
_HEAD_RADIUS = (0.09, 0.12)
_SMALL = [i for i in range(J) if i != _HEAD]
_FACE = indices(["nose", "left_eye", "right_eye", "left_ear", "right_ear"])
_BONES = [bone for bone in BONES if bone != ("head", "head_top")]
_FROM = np.array([INDEX[a] for a, _ in _BONES])
_TO = np.array([INDEX[b] for _, b in _BONES])
_UP, _ASIDE = np.eye(3, dtype=np.float32)[[2, 0]]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """positions, normals (N, 3) and colours (N, 4, 0..1) float32; faces (M, 3) uint32."""

    positions: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    faces: np.ndarray


@cache
def ball(levels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Unit icosphere: (N, 3) vertices (normals as well), (M, 3) faces; 42 and 80 for one level."""
    g = (1 + 5**0.5) / 2
    corners = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g),
               (0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]  # fmt: skip
    faces = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4),
             (11, 10, 2), (10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8),
             (3, 8, 9), (4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1)]  # fmt: skip
    points = [_unit(np.array(corner, float)) for corner in corners]
    for _ in range(levels):
        middles: dict[tuple[int, int], int] = {}
        finer = []
        for face in faces:
            cut = []
            for a, b in zip(face, (*face[1:], face[0]), strict=True):
                key = (min(a, b), max(a, b))
                if key not in middles:
                    middles[key] = len(points)
                    points.append(_unit(points[a] + points[b]))
                cut.append(middles[key])
            (a, b, c), (ab, bc, ca) = face, cut
            finer += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        faces = finer
    return np.array(points, np.float32), np.array(faces, np.uint32)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@cache
def _person_faces() -> tuple[np.ndarray, int]:
    """Faces of one person and the number of its vertices: tubes, small balls, the head."""
    k = np.arange(SIDES)
    low, low_next = k, (k + 1) % SIDES
    tube = np.concatenate([
        np.stack([low, low_next, low + SIDES], -1),
        np.stack([low_next, low_next + SIDES, low + SIDES], -1),
    ])  # fmt: skip
    parts, count = [], 0
    for (vertices, faces_), number in (
        ((2 * SIDES, tube), len(_BONES)),
        ((len(ball()[0]), ball()[1]), len(_SMALL)),
        ((len(ball(2)[0]), ball(2)[1]), 1),
    ):
        starts = count + vertices * np.arange(number)
        parts.append((faces_[None] + starts[:, None, None]).reshape(-1, 3))
        count += vertices * number
    return np.concatenate(parts).astype(np.uint32), count


@cache
def faces(persons: int) -> np.ndarray:
    """(M, 3) uint32 for so many persons."""
    one, count = _person_faces()
    shift = count * np.arange(persons, dtype=np.uint32)[:, None, None]
    return (one[None] + shift).reshape(-1, 3)


def tubes(
    start: np.ndarray, end: np.ndarray, r0: np.ndarray, r1: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cylinders from (N, 3) to (N, 3) with radii (N,): positions and normals (N, 2, SIDES, 3)."""
    axis = end - start
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    axis = axis / np.maximum(length, 1e-6)
    # Any vector not along the axis spans its cross-section with it.
    helper = np.where(np.abs(axis[:, 2:]) < 0.9, _UP, _ASIDE)
    u = np.cross(axis, helper)
    u /= np.maximum(np.linalg.norm(u, axis=-1, keepdims=True), 1e-6)
    v = np.cross(axis, u)
    angle = np.arange(SIDES, dtype=np.float32) * (2 * np.pi / SIDES)
    ring = np.cos(angle)[:, None] * u[:, None] + np.sin(angle)[:, None] * v[:, None]
    positions = np.stack([
        start[:, None] + r0[:, None, None] * ring, end[:, None] + r1[:, None, None] * ring
    ], axis=1)  # fmt: skip
    return positions, np.broadcast_to(ring[:, None], positions.shape)


def build(
    points: np.ndarray, confidence: np.ndarray, middle: RGB = palette.SIDES["middle"],
    numbers: Sequence[int] | None = None,
) -> Mesh:  # fmt: skip
    """Mesh of all persons.

    Args:
        points: (P, J, 3) metres, z up. confidence: (P, J).
        middle: colour of the body's middle line. numbers: ids, for their colours (None: all 0).
    """
    persons = len(points)
    numbers = [0] * persons if numbers is None else numbers
    if not persons:
        empty = np.zeros((0, 3), np.float32)
        return Mesh(empty, empty, np.zeros((0, 4), np.float32), np.zeros((0, 3), np.uint32))
    finite = np.isfinite(points).all(-1)
    points = np.where(finite[..., None], points, 0).astype(np.float32)
    alpha = np.where(finite, palette.opacity(confidence), 0).astype(np.float32)

    start, end = points[:, _FROM].reshape(-1, 3), points[:, _TO].reshape(-1, 3)
    r0 = np.tile(np.minimum(RADII[_FROM], 0.055) * _BONE_SHARE, persons)
    r1 = np.tile(np.minimum(RADII[_TO], 0.055) * _BONE_SHARE, persons)
    tube_positions, tube_normals = tubes(start, end, r0, r1)

    radii = np.tile(RADII, (persons, 1))
    radii[:, _HEAD] = np.clip(
        np.linalg.norm(points[:, _HEAD_TOP] - points[:, _HEAD], axis=-1), *_HEAD_RADIUS
    )
    alpha[:, _HEAD_TOP] = np.where(alpha[:, _HEAD] > 0, 0, alpha[:, _HEAD_TOP])
    points[:, _FACE] = _onto_head(points[:, _FACE], points[:, None, _HEAD], radii[:, None, _HEAD])
    centres = points[:, :, None]
    small, large = ball()[0], ball(2)[0]
    small_positions = centres[:, _SMALL] + radii[:, _SMALL, None, None] * small
    large_positions = centres[:, [_HEAD]] + radii[:, [_HEAD], None, None] * large

    bone_alpha = np.minimum(alpha[:, _FROM], alpha[:, _TO])
    bones, joints = (np.stack(part) for part in zip(*(_colours(middle, n) for n in numbers),
                                                    strict=True))  # fmt: skip
    bone_rgba, joint_rgba = _rgba(bones, bone_alpha), _rgba(joints, alpha)

    def merged(*parts: np.ndarray) -> np.ndarray:
        width = parts[0].shape[-1]
        flat = [part.reshape(persons, -1, width) for part in parts]
        return np.concatenate(flat, axis=1).reshape(-1, width).astype(np.float32, copy=False)

    return Mesh(
        merged(tube_positions, small_positions, large_positions),
        merged(
            tube_normals,
            np.broadcast_to(small, small_positions.shape),
            np.broadcast_to(large, large_positions.shape),
        ),
        merged(
            np.repeat(bone_rgba, 2 * SIDES, axis=1),
            np.repeat(joint_rgba[:, _SMALL], len(small), axis=1),
            np.repeat(joint_rgba[:, [_HEAD]], len(large), axis=1),
        ),
        faces(persons),
    )


def _onto_head(face: np.ndarray, head: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Lifts eyes, ears and nose that would disappear in the head's ball to its surface."""
    out = face - head
    distance = np.linalg.norm(out, axis=-1, keepdims=True)
    inside = (distance < radius[..., None]) & (distance > 1e-3)
    return np.where(inside, head + out / np.maximum(distance, 1e-3) * radius[..., None], face)


@lru_cache(maxsize=32)
def _colours(middle: RGB, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Of bones and joints of the person with this id."""
    return palette.bone_colours(_BONES, middle, number), palette.joint_colours(middle, number)


def _rgba(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(P, N, 3) uint8 and (P, N) -> (P, N, 4) 0..1."""
    return np.concatenate([rgb.astype(np.float32) / 255, alpha[..., None]], axis=-1)
