"""Pictures without people."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from livepose.data.samples import IMAGE_SUFFIXES, DataError, Samples
from livepose.skeleton import J

_EVERY = 10  # one picture of so many is for testing


def read_empty(root: Path, split: str = "train") -> Samples:
    """Pictures without people, from a folder and those in it: nothing is present.

    split: train, or test: every tenth picture.
    """
    images = sorted(p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise DataError(f"{root} has no pictures")
    images = [p for i, p in enumerate(images) if (i % _EVERY == 0) == (split == "test")]
    n = len(images)
    nothing = np.zeros((n, J), bool)
    unknown = np.full((n, J), np.nan, "f4")
    return Samples("empty", tuple(images), np.zeros((n, J, 2), "f4"), nothing, nothing.astype("f4"),
                   unknown)  # fmt: skip
