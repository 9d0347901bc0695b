"""OKS average precision by COCO's own evaluator (pycocotools, extra ``eval``)."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from livepose.data.samples import Samples, areas
from livepose.skeleton import COCO_17


class CocoError(Exception):
    """The evaluator is not there; the message says how to get it."""


def oks_ap(samples: Samples, points: np.ndarray, confidence: np.ndarray) -> dict[str, float]:
    """AP, AP at OKS 0.5 and 0.75, and AR over the 17 joints of COCO, 0..1.

    One person a row of `samples`, each with one prediction, its score the mean confidence. OKS
    needs the area of the person: of the data set, or from the box (`samples.areas`).

    Args:
        points: (N, J, 2 or more) pixels. confidence: (N, J).

    Raises:
        CocoError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise CocoError("OKS AP needs pycocotools: pip install 'livepose[eval]'") from None
    k = len(COCO_17)
    # A row is an image of its own: a prediction is matched with its own person only.
    ids = range(1, len(samples) + 1)
    flag = 2 * samples.known[:, :k]
    labels = np.where(flag[..., None] > 0, samples.joints[:, :k], 0)
    area = areas(samples)
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i} for i in ids],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "area": float(area[i - 1]),
             "bbox": [0, 0, 1, 1], "num_keypoints": int((flag[i - 1] > 0).sum()),
             "keypoints": np.column_stack([labels[i - 1], flag[i - 1]]).ravel().tolist()}
            for i in ids
        ],
    }  # fmt: skip
    found = [
        {"image_id": i, "category_id": 1, "score": float(np.nan_to_num(confidence[i - 1]).mean()),
         "keypoints": np.nan_to_num(
             np.column_stack([points[i - 1, :k, :2], np.ones(k)]), nan=-1e6).ravel().tolist()}
        for i in ids
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(found), "keypoints")
        run.evaluate()
        run.accumulate()
        run.summarize()
    names = {"ap": 0, "ap50": 1, "ap75": 2, "ar": 5}
    return {name: float(run.stats[i]) for name, i in names.items()}
