"""How well people are found: average precision, and ghosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from livepose.models.detector import shared

SAME = 0.5  # intersection over union from which a box is the right one
THRESHOLD = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one picture, best first: boxes (N, 4), scores (N,); and what is there.

    true, doubtful: (M, 4); a find that covers a doubtful box is neither right nor wrong.
    """

    boxes: np.ndarray
    scores: np.ndarray
    true: np.ndarray
    doubtful: np.ndarray


def judged(found: Found) -> np.ndarray:
    """(N,) 1 right, 0 wrong, NaN neither; each true box is found once."""
    out = np.zeros(len(found.boxes))
    boxes = torch.as_tensor(found.boxes, dtype=torch.float32)
    overlap, doubt = (
        shared(boxes, torch.as_tensor(t, dtype=torch.float32)).numpy()
        for t in (found.true, found.doubtful)
    )
    free = np.ones(len(found.true), bool)
    for i in range(len(out)):
        best = int(np.where(free, overlap[i], -1).argmax()) if free.any() else -1
        if best >= 0 and overlap[i, best] >= SAME:
            out[i], free[best] = 1, False
        elif len(found.doubtful) and doubt[i].max() >= 0.3:
            out[i] = np.nan
    return out


def summary(pictures: Sequence[Found]) -> dict[str, float]:
    """``ap``: area under the curve of precision over recall. At `THRESHOLD`: ``recall``,
    ``precision``, and ``ghosts``: finds per picture in pictures without people.
    """
    marks = [judged(p) for p in pictures]
    right = np.concatenate(marks)
    score = np.concatenate([p.scores for p in pictures])
    counts = ~np.isnan(right)
    right, score = right[counts], score[counts]
    number = max(1, sum(len(p.true) for p in pictures))
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(right[order])
    recall, precision = hits / number, hits / np.arange(1, len(hits) + 1)
    # The best precision at this recall or a higher one.
    best = np.maximum.accumulate(precision[::-1])[::-1]
    ap = float((np.diff(recall, prepend=0) * best).sum())
    over = score >= THRESHOLD
    empty = [p for p in pictures if not len(p.true) and not len(p.doubtful)]
    ghosts = sum(int((p.scores >= THRESHOLD).sum()) for p in empty) / max(1, len(empty))
    return {
        "ap": ap, "recall": float(right[over].sum() / number),
        "precision": float(right[over].mean()) if over.any() else 0.0, "ghosts": ghosts,
    }  # fmt: skip
