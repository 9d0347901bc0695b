"""Pictures that only teachers labelled (see `livepose.data.label`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from livepose.data.samples import Samples, make
from livepose.data.teachers import read_labels, seen_by_teacher, with_depth

_EVERY = 20  # one picture of so many is for validation


def read_pseudo(root: Path, split: str = "train", labels: str = "labels.npz") -> Samples:
    """Pictures in ``root/images`` with labels in ``root/labels.npz``, depth included.

    split: train, or val: every twentieth picture.
    """
    data = read_labels(root / labels, "image", "keypoints")
    known, present = seen_by_teacher(data["keypoints"])
    images = [root / "images" / str(name) for name in data["image"]]
    out = make("pseudo", images, "coco17", data["keypoints"][..., :2], known, present)
    held_out = np.arange(len(out)) % _EVERY == 0
    # With fewer joints nobody is there, or nobody sure.
    out = out.take((known.sum(1) >= 5) & (held_out == (split == "val")))
    return with_depth(out, root / labels)
