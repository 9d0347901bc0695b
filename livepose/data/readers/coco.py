"""COCO keypoints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from livepose.data.samples import DataError, Samples, make


def read_coco(root: Path, split: str = "train") -> Samples:
    """COCO keypoints, one row a person.

    The official layout: ``annotations/person_keypoints_{split}2017.json`` and ``{split}2017/``; or
    one file ``person_keypoints.json`` (which is all train) with ``images/`` beside it. Pictures may
    be in ``images/{split}2017/``, too. In a file without any joint of flag 1 (hidden), flag 2 does
    not mean visible, and `present` is unknown.
    """
    official = root / "annotations" / f"person_keypoints_{split}2017.json"
    alone = root / "person_keypoints.json"
    file = alone if split == "train" and alone.is_file() else official
    try:
        data = json.loads(file.read_text())
        names = {image["id"]: image["file_name"] for image in data["images"]}
        reasons = [_left_out(a, names) for a in data["annotations"]]
        rows = [a for a, out in zip(data["annotations"], reasons, strict=True) if not out]
        flat = np.array([a["keypoints"] for a in rows], "f4").reshape(-1, 17, 3)
    except FileNotFoundError:
        raise DataError(f"{file} is missing, and {alone} too") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is not in COCO's keypoint format: {error!r}") from error
    official_names = f"{split}2017", f"images/{split}2017"
    folders = [*(root / name for name in official_names), root / "images", root]
    folder = next(f for f in folders if f.is_dir())
    images = [folder / names[a["image_id"]] for a in rows]
    flag = flat[..., 2]
    seen = 1.0 if (flag == 1).any() else np.nan
    present = np.select([flag == 2, flag == 1], [seen, 0.0], np.nan).astype("f4")
    out = make("coco", images, "coco17", flat[..., :2], flag > 0, present)
    box = np.array([a.get("bbox", [np.nan] * 4) for a in rows], "f4").reshape(-1, 4)
    area = np.array([a.get("area", np.nan) for a in rows], "f4")
    return replace(out, box=box, area=area).omitting(Counter(filter(None, reasons)))


def _left_out(row: dict[str, Any], images: Container[int]) -> str:
    """Why an annotation is of no use, empty for one that is."""
    if row.get("iscrowd"):
        return "crowds"
    if not row.get("num_keypoints", 1):
        return "without joints"
    return "" if row["image_id"] in images else "of pictures that the file does not list"
