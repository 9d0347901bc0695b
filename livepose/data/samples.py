"""Pictures with labels: one column store for every data set.

Joints are those of `livepose.skeleton.JOINTS`, coordinates pixels of the picture. What a data set
does not label is masked; joints that follow from labelled ones are derived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from livepose import skeleton
from livepose.skeleton import INDEX

_TILTS = (15, 30, 45, 70, 110, 180)  # degrees by which trunks are off upright, at most
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class DataError(Exception):
    """A data set is missing or broken; the message names the file and what is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """N pictures of one person each.

    joints: (N, J, 2) float32 pixels, anything where not known. known: (N, J) bool.
    present: (N, J) float32, 1 visible, 0 hidden or outside the picture, NaN where nobody can say.
    depth: (N, J) float32, z about the pelvis in pixels of the picture (weak perspective: metres
    times pixels per metre at the pelvis), positive away from the camera, NaN where not known.
    box: (N, 4) float32, left, top, width and height, and area: (N,) float32, both in pixels, where
    the data set has them (else see `boxes` and `areas`).
    head: (N,) float32, the length of the head in pixels by which MPII counts, 0.6 of the diagonal
    of its head box, NaN where there is no box.
    masks: N files of the same size as the pictures, 255 where the person is, or None for all.
    With true 3D labels also xyz: (N, J, 3) float32, metres from the camera (x right, y down, z
    away), NaN where not known, and camera: (N, 4) float32, focal lengths and principal point (fx,
    fy, cx, cy) in pixels.
    omitted: how much of the data set is not among the N, by reason ("crowds").
    """

    name: str
    images: tuple[Path, ...]
    joints: np.ndarray
    known: np.ndarray
    present: np.ndarray
    depth: np.ndarray
    box: np.ndarray | None = None
    area: np.ndarray | None = None
    head: np.ndarray | None = None
    masks: tuple[Path, ...] | None = None
    xyz: np.ndarray | None = None
    camera: np.ndarray | None = None
    omitted: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: np.ndarray) -> Samples:
        """The given rows (indices or a mask)."""
        rows = np.arange(len(self))[rows]
        columns = ("joints", "known", "present", "depth", "box", "area", "head", "xyz", "camera")
        taken = {c: v[rows] for c in columns if (v := getattr(self, c)) is not None}
        masks = None if self.masks is None else tuple(self.masks[i] for i in rows)
        images = tuple(self.images[i] for i in rows)
        return replace(self, images=images, masks=masks, **taken)

    def spread(self, most: int) -> Samples:
        """Evenly spread samples, if there are more than so many."""
        return self.take(self.spread_rows(most))

    def spread_rows(self, most: int) -> np.ndarray:
        """The rows of `spread`, ascending."""
        number = min(most, len(self))
        return np.linspace(0, len(self), number, endpoint=False).astype(int)

    def keep(self, rows: np.ndarray, reason: str) -> Samples:
        """The rows of a mask (N,); the others are counted as left out for a `reason`."""
        return self.take(rows).omitting({reason: int((~rows).sum())})

    def omitting(self, numbers: Mapping[str, int]) -> Samples:
        """The same samples, told how many others were left out, by reason."""
        return replace(self, omitted={**self.omitted, **{r: n for r, n in numbers.items() if n}})

    @property
    def left_out(self) -> str:
        """What is `omitted`, in words, as ``"12 crowds, 3 without joints"``; empty for nothing."""
        return ", ".join(f"{number} {reason}" for reason, number in self.omitted.items())


def make(
    name: str, images: list[Path], layout: str, points: np.ndarray, known: np.ndarray,
    present: np.ndarray,
) -> Samples:  # fmt: skip
    """`Samples` from labels (N, K, ...) in the order of a layout; derives what follows."""
    joints, _ = skeleton.to_table(points, layout)
    mask = np.nan_to_num(skeleton.to_table(known[..., None].astype("f4"), layout)[0][..., 0]) > 0
    seen = skeleton.to_table(present[..., None], layout)[0][..., 0]
    joints, mask = skeleton.derive(joints, mask)
    # A derived joint is as present as the least present joint that it is derived from.
    for target, sources in (("pelvis", "hip"), ("neck", "shoulder")):
        if np.isnan(seen[:, INDEX[target]]).all():
            pair = seen[:, [INDEX[f"left_{sources}"], INDEX[f"right_{sources}"]]]
            seen[:, INDEX[target]] = pair.min(1)
    depth = np.full(joints.shape[:2], np.nan, "f4")
    return Samples(name, tuple(images), joints.astype("f4"), mask, seen.astype("f4"), depth)


def with_xyz(samples: Samples, xyz: np.ndarray, camera: np.ndarray) -> Samples:
    """`samples` with true 3D labels and the depth that follows from them."""
    root, focal = xyz[:, [INDEX["pelvis"]], 2], camera[:, :2].mean(1, keepdims=True)
    with np.errstate(all="ignore"):
        depth = np.where(root > 0, (xyz[..., 2] - root) * focal / root, np.nan)
    return replace(samples, xyz=xyz.astype("f4"), camera=camera.astype("f4"),
                   depth=depth.astype("f4"))  # fmt: skip


def torso(joints: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(..., J, 2), (..., J) -> left shoulder to right hip in pixels (...).

    At least a tenth of the extent of the known joints, twice that without the two; NaN without any.
    """
    a, b = INDEX["left_shoulder"], INDEX["right_hip"]
    length = np.linalg.norm(joints[..., a, :] - joints[..., b, :], axis=-1)
    both = known[..., a] & known[..., b]
    low, high = extent(joints, known)
    floor = 0.1 * (high - low).max(-1)
    return np.where(both, np.maximum(length, floor), 2 * floor)


def inside(joints: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(..., 2) pixels -> (...) bool, in the picture of `size` (width, height) or not."""
    return np.all((joints > -0.5) & (joints < size - 0.5), axis=-1)


def extent(joints: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., J, 2), (..., J) -> the corners (..., 2) of the box of known joints, NaN without any."""
    with np.errstate(all="ignore"):
        low = np.where(known[..., None], joints, np.inf).min(-2)
        high = np.where(known[..., None], joints, -np.inf).max(-2)
    empty = ~known.any(-1)
    low[empty], high[empty] = np.nan, np.nan
    return low, high


def boxes(samples: Samples) -> np.ndarray:
    """(N, 4) left, top, width, height: of the data set, or about the known joints with a margin."""
    low, high = extent(samples.joints, samples.known)
    margin = 0.1 * (high - low).max(-1, keepdims=True)
    made = np.concatenate([low - margin, high - low + 2 * margin], -1)
    return made if samples.box is None else np.where(np.isnan(samples.box), made, samples.box)


def tilts(samples: Samples) -> np.ndarray:
    """(N,) radians clockwise by which trunks are off upright, -pi..pi, NaN without such labels."""
    neck, pelvis = INDEX["neck"], INDEX["pelvis"]
    up = samples.joints[:, neck] - samples.joints[:, pelvis]
    known = samples.known[:, [neck, pelvis]].all(1) & (up != 0).any(1)
    return np.where(known, np.arctan2(up[:, 0], -up[:, 1]), np.nan)


def by_tilt(samples: Samples) -> dict[str, np.ndarray]:
    """Rows of the people of each class of `tilts`: by how many degrees, either way, as ``"15-30"``.

    Classes that nobody is in are left out, people without such labels are in none.
    """
    degrees, rows = np.abs(np.degrees(tilts(samples))), {}
    for low, high in pairwise((-1, *_TILTS)):
        of_class = np.flatnonzero((degrees > low) & (degrees <= high))
        if len(of_class):
            rows[f"{max(0, low)}-{high}"] = of_class
    return rows


def areas(samples: Samples) -> np.ndarray:
    """(N,) area of the person: of the data set, or 0.53 of the box, as is usual without masks."""
    box = boxes(samples)
    made = 0.53 * box[:, 2] * box[:, 3]
    return made if samples.area is None else np.where(np.isnan(samples.area), made, samples.area)
