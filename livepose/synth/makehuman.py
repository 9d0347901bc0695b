"""Reads clothes, hair and skins for MakeHuman's base mesh (`.obj`, `.mhclo`) from a zip."""

from __future__ import annotations

import functools
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from livepose.cv import cv2
from livepose.synth.mesh import Part, draped, make_part

BASE_VERTICES = 19_158


@dataclass(frozen=True, slots=True)
class Garment:
    """What an ``.mhclo`` says: how each vertex hangs on the base mesh.

    corners (V, 3), shares (V, 3): vertices of the base mesh and their weights. offsets (V, 3).
    scales: per axis two vertices of the base mesh and the distance that the garment was made for.
    hides: (BASE_VERTICES,) bool, skin under the garment. uv, polygons, uv_polygons: as of `obj`.
    """

    corners: np.ndarray
    shares: np.ndarray
    offsets: np.ndarray
    scales: tuple[tuple[int, int, int, float], ...]
    hides: np.ndarray
    uv: np.ndarray
    polygons: np.ndarray
    uv_polygons: np.ndarray

    def wear(
        self, name: str, base: np.ndarray, base_normals: np.ndarray, base_weights: np.ndarray,
        texture: np.ndarray, drape: bool = False,
    ) -> Part:  # fmt: skip
        """The garment on a body at rest; its size follows the body. drape: as tops hang."""
        scale = np.ones(3)
        for axis, a, b, distance in self.scales:
            scale[axis] = abs(base[a, axis] - base[b, axis]) / distance
        hung = np.einsum("vk,vkd->vd", self.shares, base[self.corners])
        vertices = hung + self.offsets * scale
        # Corners may have negative shares (the vertex lies outside the triangle); bones may not.
        kept = np.maximum(self.shares, 0)
        kept /= kept.sum(1, keepdims=True)
        weights = np.einsum("vk,vkb->vb", kept, base_weights[self.corners])
        if drape:
            vertices = draped(vertices, self.polygons, base, base_normals)
        return make_part(name, vertices, weights, self.polygons, self.uv, self.uv_polygons, texture)


class Assets:
    """The clothes, hair and skins in ``makehuman.zip``; what was read once is kept.

    Raises:
        OSError, zipfile.BadZipFile: no such file, or it is broken.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self.names = tuple(n.removeprefix("makehuman/") for n in self._zip.namelist())
        self.garment = functools.cache(self._garment)
        self.picture = functools.cache(self._picture)

    def folders(self, kind: str) -> list[str]:
        """Garments of a kind (``clothes``, ``hair``), as ``clothes/shoes01``, sorted."""
        files = (n for n in self.names if n.startswith(f"{kind}/") and n.endswith(".mhclo"))
        return sorted({n.rsplit("/", 1)[0] for n in files})

    def textures(self, folder: str) -> list[str]:
        """Pictures of colours in a folder, sorted; some garments have none."""
        inside = (n for n in self.names if n.startswith(f"{folder}/") and "diffuse" in n)
        return sorted(n for n in inside if n.endswith((".jpg", ".png")))

    def _text(self, name: str) -> list[str]:
        return io.TextIOWrapper(self._zip.open(f"makehuman/{name}"), "utf-8").read().splitlines()

    def _picture(self, name: str) -> np.ndarray:
        """(H, W, 4) RGBA bytes."""
        data = np.frombuffer(self._zip.read(f"makehuman/{name}"), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise OSError(f"{name} in {self._zip.filename} is not a readable picture")
        code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA
        return cv2.cvtColor(picture, code)

    def _obj(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """uv (N, 2), polygons (F, 4) and uv polygons (F, 4); triangles repeat their last corner."""
        uv, polygons = [], []
        for line in self._text(name):
            kind, *rest = line.split() or [""]
            if kind == "vt":
                uv.append([float(x) for x in rest[:2]])
            elif kind == "f":
                corners = [[int(i) - 1 for i in corner.split("/")[:2]] for corner in rest]
                polygons.append(corners + corners[-1:] * (4 - len(corners)))
        table = np.array(polygons)
        return np.array(uv), table[..., 0], table[..., 1]

    def _garment(self, folder: str) -> Garment:
        file = next(n for n in sorted(self.names)
                    if n.startswith(f"{folder}/") and n.endswith(".mhclo"))  # fmt: skip
        scales, rows, hides, section = [], [], np.zeros(BASE_VERTICES, bool), ""
        mesh = file.replace(".mhclo", ".obj")
        for line in self._text(file):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if words[0] in ("x_scale", "y_scale", "z_scale"):
                a, b = int(words[1]), int(words[2])
                scales.append(("xyz".index(words[0][0]), a, b, float(words[3])))
            elif words[0] in ("verts", "delete_verts"):
                section = words[0]
            elif section == "verts" and words[0].isdigit():
                row = [float(x) for x in words]
                rows.append(row if len(row) == 9 else [row[0]] * 3 + [1, 0, 0, 0, 0, 0])
            elif section == "delete_verts":
                numbers = line.replace(" - ", "-").split()
                for first, _, last in (n.partition("-") for n in numbers):
                    hides[int(first) : int(last or first) + 1] = True
        table = np.array(rows)
        return Garment(
            table[:, :3].astype(int), table[:, 3:6], table[:, 6:], tuple(scales), hides,
            *self._obj(mesh),
        )  # fmt: skip
