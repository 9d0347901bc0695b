"""The learning rate, step by step."""

from __future__ import annotations

import math

from livepose.train.config import TrainConfig


def cosine(step: int, steps: int, rate: float, warm_up: int) -> float:
    """Learning rate: linear warm-up to `rate`, then along a cosine to 0 at the last step."""
    if step < warm_up:
        return rate * (step + 1) / warm_up
    share = (step - warm_up) / max(1, steps - warm_up)
    return rate * 0.5 * (1 + math.cos(math.pi * share))


def learning_rate(step: int, c: TrainConfig) -> float:
    """See `cosine`; one-cycle warms up longer.

    Of detection first, then regression, each task has its own warm-up and cosine.
    """
    begin, steps = 0, c.steps
    if c.detection == "first":
        begin = c.steps // 2 if step >= c.steps // 2 else 0
        steps = c.steps - begin if begin else c.steps // 2
    warm_up = round(0.3 * steps) if c.schedule == "one-cycle" else c.warm_up
    return cosine(step - begin, steps, c.rate, warm_up)
