"""MPII Human Pose: the official MATLAB file, or the JSON files that are in common use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from livepose.data.samples import DataError, Samples, make

_MAT = "mpii_human_pose_v1_u12_1.mat"
_JSON = {"train": "train.json", "val": "valid.json"}


def read_mpii(root: Path, split: str = "train") -> Samples:
    """One row a person; pictures in ``root/images``.

    Looks in ``root/annot`` and ``root`` for ``train.json`` and ``valid.json`` (both kinds that go
    around: with ``joints`` and ``joints_vis``, or with ``joint_self``), else for the MATLAB file,
    all labelled people of which are train. Visible and hidden are told apart by the MATLAB file
    and ``joint_self`` only; in the other, 0 means not labelled. Pixels count from 1 in all three.
    """
    for folder in (root / "annot", root):
        if (folder / _JSON[split]).is_file():
            return _from_json(folder / _JSON[split], root)
        if split == "train" and (folder / _MAT).is_file():
            return _from_mat(folder / _MAT, root)
    raise DataError(f"{root} has neither {_JSON[split]} nor {_MAT}, and no annot folder with them")


def _rows(
    root: Path, file: Path, names: list[str], joints: list[np.ndarray], present: list[np.ndarray]
) -> Samples:
    if not names:
        raise DataError(f"{file} has no labelled people")
    points, seen = np.stack(joints).astype("f4") - 1, np.stack(present).astype("f4")
    # A joint at the corner is MPII's way to say that it has no label.
    known = ~np.isnan(points[..., 0]) & (points > -1).any(-1)
    images = [root / "images" / name for name in names]
    return make("mpii", images, "mpii16", points, known, np.where(known, seen, np.nan))


def _from_json(file: Path, root: Path) -> Samples:
    names, joints, present = [], [], []
    try:
        for row in json.loads(file.read_text()):
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
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{file} is not in MPII's JSON format: {error!r}") from error
    return _rows(root, file, names, joints, present)


def _from_mat(file: Path, root: Path) -> Samples:
    try:
        release = scipy.io.loadmat(file, struct_as_record=False, squeeze_me=True)["RELEASE"]
        annolist, train = _list(release.annolist), _list(release.img_train)
    except Exception as error:  # scipy raises many kinds on a broken file
        raise DataError(f"{file} is not MPII's MATLAB file: {error!r}") from error
    names, joints, present = [], [], []
    for image, of_train in zip(annolist, train, strict=True):
        for person in _list(getattr(image, "annorect", None)):
            points = _list(getattr(getattr(person, "annopoints", None), "point", None))
            if not of_train or not points:
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
    return _rows(root, file, names, joints, present)


def _list(value: Any) -> list[Any]:
    """MATLAB's idea of none, one and many, as a list."""
    if value is None or (isinstance(value, np.ndarray) and value.size == 0):
        return []
    return list(value) if isinstance(value, np.ndarray) else [value]
