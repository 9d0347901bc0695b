"""MPII Human Pose: the official MATLAB file, or the JSON files that are in common use."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from livepose.data.samples import DataError, Samples, make

_MAT = "mpii_human_pose_v1_u12_1.mat"
# One file a split, or both splits in one.
_JSON = {
    "train": ("train.json", "mpii_train.json", "mpii_annotations.json"),
    "val": ("valid.json", "mpii_val.json", "mpii_annotations.json"),
}
_HEADS = ("gt_valid.mat", "mpii_gt_val.mat")  # the head boxes of the validation split
_HEAD_SHARE = 0.6  # of the diagonal of the head box: the length by which MPII counts


def read_mpii(root: Path, split: str = "train") -> Samples:
    """One row a person; pictures in ``root/images``.

    Looks in ``root/annot`` and ``root`` for ``train.json`` and ``valid.json``, also under MMPose's
    names (``mpii_train.json``, ``mpii_val.json``), or ``mpii_annotations.json`` with both splits;
    rows have ``joints`` and ``joints_vis``, or ``joint_self``. Else for the MATLAB file, all
    labelled people of which are train. Visible and hidden are told apart by the MATLAB file and
    ``joint_self`` only; in the other, 0 means not labelled. Pixels count from 1 in all of them.

    Head boxes are in the MATLAB file; for ``valid.json`` in ``gt_valid.mat`` (MMPose:
    ``mpii_gt_val.mat``) beside it.
    """
    for folder in (root / "annot", root):
        for name in _JSON[split]:
            if (folder / name).is_file():
                return _from_json(folder / name, root, split)
        if split == "train" and (folder / _MAT).is_file():
            return _from_mat(folder / _MAT, root)
    names = ", ".join((*_JSON[split], *([_MAT] if split == "train" else [])))
    raise DataError(f"{root} has none of {names}, and no annot folder with one of them")


def _rows(
    root: Path, file: Path, names: list[str], joints: list[np.ndarray], present: list[np.ndarray],
    head: np.ndarray | None,
) -> Samples:  # fmt: skip
    if not names:
        raise DataError(f"{file} has no labelled people")
    points, seen = np.stack(joints).astype("f4") - 1, np.stack(present).astype("f4")
    # A joint at the corner is MPII's way to say that it has no label.
    known = ~np.isnan(points[..., 0]) & (points > -1).any(-1)
    images = [root / "images" / name for name in names]
    out = make("mpii", images, "mpii16", points, known, np.where(known, seen, np.nan))
    return replace(out, head=head)


def _from_json(file: Path, root: Path, split: str) -> Samples:
    names, joints, present = [], [], []
    try:
        for row in json.loads(file.read_text()):
            if row.get("isValidation", split == "val") != (split == "val"):
                continue
            if "joint_self" in row:
                table = np.array(row["joint_self"], float)
                points, seen = table[:, :2], table[:, 2]
                name = row["img_paths"]
            else:
                labelled = np.array(row["joints_vis"], float)
                points = np.where(labelled[:, None] > 0, np.array(row["joints"], float), np.nan)
                seen, name = np.where(labelled > 0, np.nan, 0), row["image"]
            if points.shape != (16, 2):
                raise ValueError(f"{points.shape[0]} joints in a row")
            names.append(str(name))
            joints.append(points)
            present.append(seen)
    except (AttributeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{file} is not in MPII's JSON format: {error!r}") from error
    return _rows(root, file, names, joints, present, _heads(file, split, len(names)))


def _heads(file: Path, split: str, number: int) -> np.ndarray | None:
    """(N,) lengths of the heads, of the file of head boxes beside a JSON file of as many people."""
    beside = [file.with_name(name) for name in _HEADS if file.with_name(name).is_file()]
    if split != "val" or not beside:
        return None
    try:
        corners = scipy.io.loadmat(beside[0])["headboxes_src"].astype("f4")
    except Exception as error:  # scipy raises many kinds on a broken file
        raise DataError(f"{beside[0]} is not a file of head boxes: {error!r}") from error
    if corners.shape != (2, 2, number):
        raise DataError(f"{beside[0]} is not of the {number} people of {file}")
    return _HEAD_SHARE * np.linalg.norm(corners[1] - corners[0], axis=0)


def _from_mat(file: Path, root: Path) -> Samples:
    try:
        release = scipy.io.loadmat(file, struct_as_record=False, squeeze_me=True)["RELEASE"]
        annolist, train = _list(release.annolist), _list(release.img_train)
    except Exception as error:  # scipy raises many kinds on a broken file
        raise DataError(f"{file} is not MPII's MATLAB file: {error!r}") from error
    names, joints, present, heads = [], [], [], []
    omitted: Counter[str] = Counter()
    for image, of_train in zip(annolist, train, strict=True):
        for person in _list(getattr(image, "annorect", None)):
            points = _list(getattr(getattr(person, "annopoints", None), "point", None))
            if not of_train or not points:
                omitted["without joints" if of_train else "of the test pictures"] += 1
                continue
            table, seen = np.full((16, 2), np.nan), np.full(16, np.nan)
            for p in points:
                table[int(p.id)] = p.x, p.y
                flag = getattr(p, "is_visible", None)  # empty for joints of the head
                if flag is not None and np.size(flag):
                    seen[int(p.id)] = float(flag)
            names.append(str(image.image.name))
            joints.append(table)
            present.append(seen)
            corners = [getattr(person, name, np.nan) for name in ("x1", "y1", "x2", "y2")]
            heads.append([float(c) if np.size(c) == 1 else np.nan for c in corners])
    box = np.array(heads, "f4").reshape(-1, 2, 2)
    head = _HEAD_SHARE * np.linalg.norm(box[:, 1] - box[:, 0], axis=-1)
    return _rows(root, file, names, joints, present, head).omitting(omitted)


def _list(value: Any) -> list[Any]:
    """MATLAB's idea of none, one and many, as a list."""
    if value is None or (isinstance(value, np.ndarray) and value.size == 0):
        return []
    return list(value) if isinstance(value, np.ndarray) else [value]
