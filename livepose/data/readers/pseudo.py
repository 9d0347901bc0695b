"""Pictures that only teachers labelled (see `livepose.data.label`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from livepose.data.samples import Samples, make
from livepose.data.teachers import read_labels, seen_by_teacher, with_depth

_EVERY = 20  # one picture of so many is for validation
_LEAST = 5  # with fewer joints nobody is there, or nobody sure


def read_pseudo(root: Path, split: str = "train", labels: str = "labels.npz") -> Samples:
    """Pictures in ``root/images`` with labels in ``root/labels.npz``; with depth, where it has any.

    split: train, or val: every twentieth picture.
    """
    data = read_labels(root / labels, "image", "keypoints", optional=("world",))
    known, present = seen_by_teacher(data["keypoints"])
    images = [root / "images" / str(name) for name in data["image"]]
    out = make("pseudo", images, "coco17", data["keypoints"][..., :2], known, present)
    own = (np.arange(len(out)) % _EVERY == 0) == (split == "val")
    out = out.take(own).keep((known.sum(1) >= _LEAST)[own], f"with fewer than {_LEAST} sure joints")
    return with_depth(out, root / labels) if "world" in data else out
