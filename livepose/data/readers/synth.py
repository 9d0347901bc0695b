"""Rendered people with exact labels (see `livepose.synth`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from livepose.data.samples import DataError, Samples, inside, with_xyz
from livepose.data.teachers import read_labels
from livepose.skeleton import J


def read_synth(root: Path, split: str = "train") -> Samples:
    """The whole shards in ``root`` or, where it exists, ``root-SPLIT``.

    Shards say of which split they are; those that do not are from before they did, and believed.
    """
    folder = root.with_name(f"{root.name}-{split}")
    folder = folder if folder.is_dir() else root
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise DataError(f"{folder} has no shards; `livepose synth` makes them")
    names = ("image", "joints", "xyz", "visible", "focal", "size")
    shards = [read_labels(file, *names, optional=("split",)) for file in files]
    for file, shard in zip(files, shards, strict=True):
        if (own := str(shard.get("split", split))) != split:
            raise DataError(f"{file} is of the split {own!r}, not {split!r}")
    data = {name: np.concatenate([s[name] for s in shards]) for name in names}
    if data["joints"].shape[1:] != (J, 2):
        raise DataError(f"{folder} was made with other joints; make it again")
    images = tuple(folder / str(name) for name in data["image"])
    # What is outside the picture is where it is, but nobody can be asked for it.
    before = data["xyz"][..., 2] > 0
    known = before & inside(data["joints"], data["size"][:, None])
    nothing = np.full(known.shape, np.nan, "f4")
    flat = Samples(
        "synth",
        images,
        data["joints"],
        known,
        np.where(known, data["visible"], 0).astype("f4"),
        nothing,
    )
    camera = np.column_stack([data["focal"], data["focal"], (data["size"] - 1) / 2]).astype("f4")
    masks = tuple(image.with_suffix(".png") for image in images)
    unfinished = sum(p.is_dir() and not p.with_suffix(".npz").exists() for p in folder.iterdir())
    out = flat.omitting({"unfinished shards": unfinished})
    return with_xyz(replace(out, masks=masks), data["xyz"], camera)
