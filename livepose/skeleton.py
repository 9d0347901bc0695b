"""The one table of joints, and how the joint orders of common data sets map to it.

The table covers COCO-17 and the canonical 17 joints of MargiPose (Nibali et al. 2019, after
Mehta et al. 2017). Left and right are the person's own. Joints that a data set does not label
but that follow from labelled ones (pelvis, spine, ...) are derived by `derive`; everything
else that is missing is masked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

COCO_17 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

# The first 17 are COCO-17, so that slicing gives COCO.
JOINTS: tuple[str, ...] = (*COCO_17, "head_top", "neck", "head", "spine", "pelvis")
INDEX: dict[str, int] = {name: i for i, name in enumerate(JOINTS)}
J = len(JOINTS)

MARGIPOSE_17 = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle",
    "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head",
)  # fmt: skip

LSP_14 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
    "neck", "head_top",
)  # fmt: skip

# MPII's "thorax" sits between the shoulders and its "upper neck" below the chin. Our "neck" is
# the joint between the shoulders (as in LSP and MargiPose); the upper neck has no counterpart.
MPII_16 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "pelvis", "neck", None, "head_top",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip

# Human3.6M's "neck/nose" is taken as our "head" (middle of the head) and its "head" (top of the
# head) as "head_top"; its thorax is our neck.
H36M_17 = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "spine", "neck", "head", "head_top",
    "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip

LAYOUTS: dict[str, tuple[str | None, ...]] = {
    "coco17": COCO_17,
    "margipose17": MARGIPOSE_17,
    "lsp14": LSP_14,
    "mpii16": MPII_16,
    "h36m17": H36M_17,
    "livepose": JOINTS,
}

# The joints that PCK is counted over.
LIMBS = (
    "left_ankle", "right_ankle", "left_knee", "right_knee", "left_hip", "right_hip",
    "left_wrist", "right_wrist", "left_elbow", "right_elbow", "left_shoulder", "right_shoulder",
)  # fmt: skip

# Bones to draw: (from, to), from the trunk outwards.
BONES: tuple[tuple[str, str], ...] = (
    ("pelvis", "spine"), ("spine", "neck"), ("neck", "head"), ("head", "head_top"),
    ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
    ("pelvis", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
    ("pelvis", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
)  # fmt: skip
FACE_BONES: tuple[tuple[str, str], ...] = (
    ("nose", "left_eye"), ("left_eye", "left_ear"),
    ("nose", "right_eye"), ("right_eye", "right_ear"),
)  # fmt: skip

# Missing joints that are, by definition here, the weighted mean of labelled ones.
_DERIVED: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    ("pelvis", (("left_hip", 0.5), ("right_hip", 0.5))),
    ("neck", (("left_shoulder", 0.5), ("right_shoulder", 0.5))),
    ("spine", (("pelvis", 0.5), ("neck", 0.5))),
    ("head", (("head_top", 0.5), ("neck", 0.5))),
    ("head", (("left_ear", 0.5), ("right_ear", 0.5))),
)


def side(joint: str) -> str:
    """``"left"``, ``"right"`` or ``"middle"``: the person's own side that a joint is on."""
    prefix = joint.split("_", 1)[0]
    return prefix if prefix in ("left", "right") else "middle"


def mirrored(joint: str) -> str:
    """The joint's counterpart on the other side (itself for joints on the middle line)."""
    if joint.startswith("left_"):
        return "right_" + joint[5:]
    if joint.startswith("right_"):
        return "left_" + joint[6:]
    return joint


# FLIP[i] is the index of the joint that joint i becomes when the picture is mirrored.
FLIP: tuple[int, ...] = tuple(INDEX[mirrored(name)] for name in JOINTS)


def indices(names: Sequence[str]) -> list[int]:
    """Positions of the named joints in `JOINTS`; KeyError names an unknown joint."""
    return [INDEX[name] for name in names]


def _layout(name: str) -> tuple[str | None, ...]:
    try:
        return LAYOUTS[name]
    except KeyError:
        raise ValueError(f"unknown joint layout {name!r}; known: {', '.join(LAYOUTS)}") from None


def to_table(values: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Values per joint of a data set's layout -> values per joint of the table.

    Args:
        values: (..., K, D) in the order of `layout` (a key of `LAYOUTS`).

    Returns:
        ``(table, present)``: (..., J, D) with NaN where the layout has no such joint, and the
        boolean mask (J,) of the joints that it has.
    """
    names = _layout(layout)
    values = np.asarray(values)
    if values.ndim < 2 or values.shape[-2] != len(names):
        raise ValueError(f"{layout} has {len(names)} joints, got an array of shape {values.shape}")
    dtype = np.result_type(values.dtype, np.float32)
    table = np.full((*values.shape[:-2], J, values.shape[-1]), np.nan, dtype)
    present = np.zeros(J, bool)
    for k, name in enumerate(names):
        if name is not None:
            table[..., INDEX[name], :] = values[..., k, :]
            present[INDEX[name]] = True
    return table, present


def from_table(values: np.ndarray, layout: str) -> np.ndarray:
    """Values per joint of the table (..., J, D) -> (..., K, D) in the order of `layout`.

    A joint of the layout without counterpart in the table comes out as NaN.
    """
    names = _layout(layout)
    values = np.asarray(values)
    if values.ndim < 2 or values.shape[-2] != J:
        raise ValueError(f"the joint table has {J} joints, got an array of shape {values.shape}")
    out = np.full((*values.shape[:-2], len(names), values.shape[-1]), np.nan, values.dtype)
    for k, name in enumerate(names):
        if name is not None:
            out[..., k, :] = values[..., INDEX[name], :]
    return out


def derive(points: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fills joints that follow from others: pelvis from the hips, neck from the shoulders, ...

    Args:
        points: (..., J, D), anything where not labelled.
        mask: (..., J) bool, True where labelled.

    Returns:
        New ``(points, mask)``; labelled joints are left as they are.
    """
    points, mask = points.copy(), mask.copy()
    for name, parts in _DERIVED:
        target = INDEX[name]
        sources = indices([part for part, _ in parts])
        fill = ~mask[..., target] & mask[..., sources].all(-1)
        mean = sum(points[..., i, :] * w for i, (_, w) in zip(sources, parts, strict=True))
        points[..., target, :] = np.where(fill[..., None], mean, points[..., target, :])
        mask[..., target] |= fill
    return points, mask
