"""Pictures of people with masks, for other backgrounds; a teacher has to label them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from livepose.data.samples import IMAGE_SUFFIXES, DataError, Samples
from livepose.skeleton import J


def read_masked(root: Path, split: str = "train") -> Samples:
    """``NAME.jpg`` with ``NAME_mask.png`` in a folder and those in it; no joint is labelled."""
    masks = {p.with_name(p.name.removesuffix("_mask.png")): p for p in root.rglob("*_mask.png")}
    pictures = sorted(p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES
                      and not p.name.endswith("_mask.png"))  # fmt: skip
    images = [p for p in pictures if p.with_suffix("") in masks]
    if not images:
        raise DataError(f"{root} has no pictures with masks")
    n = len(images)
    nothing, unknown = np.zeros((n, J), bool), np.full((n, J), np.nan, "f4")
    out = Samples("masked", tuple(images), np.zeros((n, J, 2), "f4"), nothing, unknown,
                  unknown, masks=tuple(masks[p.with_suffix("")] for p in images))  # fmt: skip
    alone = len(masks.keys() - {p.with_suffix("") for p in images})
    return out.omitting({"pictures without a mask": len(pictures) - n,
                         "masks without a picture": alone})  # fmt: skip
