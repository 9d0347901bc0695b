"""Leeds Sports Pose and its extension, official layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io

from livepose.data.samples import DataError, Samples, make

# Pictures of the training half that show the scene and the person of a test picture a moment
# before or after: im1366, 1211, 1622, 1680, 1100, 1233, 1436, 1938, 1559, in this order.
NEAR_TEST = (550, 483, 371, 285, 210, 535, 492, 412, 966)


def _mat(root: Path) -> np.ndarray:
    file = root / "joints.mat"
    if not file.is_file():
        raise DataError(f"{file} is missing: --root must be the folder with joints.mat and images/")
    try:
        return scipy.io.loadmat(file)["joints"]
    except Exception as error:  # scipy raises many kinds on a broken file
        raise DataError(f"{file} is not a readable MATLAB file with 'joints': {error}") from error


def read_lsp(root: Path, split: str) -> Samples:
    """Leeds Sports Pose, official layout. split: train (im0001-0900), val (0901-1000), test.

    Every joint is labelled; flag 1 means occluded. Near-duplicates of test pictures (`NEAR_TEST`)
    are left out of train and val.
    """
    joints = _mat(root)
    if joints.shape != (3, 14, 2000):
        raise DataError(f"{root / 'joints.mat'}: expected (3, 14, 2000) joints, got {joints.shape}")
    rows = {"train": np.arange(900), "val": np.arange(900, 1000), "test": np.arange(1000, 2000)}
    near = np.isin(rows[split], np.array(NEAR_TEST) - 1)
    i = rows[split][~near]
    x, y, occluded = joints.transpose(2, 1, 0)[i].transpose(2, 0, 1)
    images = [root / "images" / f"im{k + 1:04d}.jpg" for k in i]
    points = np.stack([x, y], -1) - 1  # MATLAB counts pixels from 1
    out = make("lsp", images, "lsp14", points, np.ones_like(x, bool), (1 - occluded).astype("f4"))
    return out.omitting({"near-duplicates of test pictures": int(near.sum())})


def read_lspet(root: Path, split: str = "train") -> Samples:
    """LSP Extended. Flag 1 means labelled; an unlabelled joint is mostly hidden or outside."""
    joints = _mat(root)
    if joints.ndim != 3 or joints.shape[:2] != (14, 3):
        raise DataError(f"{root / 'joints.mat'}: expected (14, 3, N) joints, got {joints.shape}")
    x, y, labelled = joints.transpose(2, 0, 1).transpose(2, 0, 1)
    known = labelled > 0
    images = [root / "images" / f"im{k + 1:05d}.jpg" for k in range(joints.shape[2])]
    points = np.stack([x, y], -1) - 1
    return make("lspet", images, "lsp14", points, known, known.astype("f4"))
