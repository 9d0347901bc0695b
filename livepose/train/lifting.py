"""The lifting by itself, before the pose network is trained: from skeletons, without pictures.

A step takes a fiftieth of the time of one with pictures, so it can learn for longer than these are
looked at: docs/training.md measures what it brings.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from tqdm import trange

from livepose.data.skeletons import Skeletons
from livepose.train.checkpoint import Stop
from livepose.train.loss import lift_loss
from livepose.train.processes import any_of, rank
from livepose.train.schedule import cosine

_RATE, _WARM_UP, _CLIP = 2e-3, 100, 1.0


def learn_alone(
    lifting: nn.Module, skeletons: Skeletons, steps: int, batch: int, seed: int, stop: Stop
) -> bool:
    """Trains a `livepose.models.lifting.Lifting` by AdamW; False if it was stopped before its end.

    Every process of a run draws the same skeletons, so that all end with the same weights.
    """
    parameters = list(lifting.parameters())
    optimiser = torch.optim.AdamW(parameters)
    mean = 0.0
    with trange(steps, unit="steps", desc="lifting", mininterval=10, disable=rank() > 0) as bar:
        for step in bar:
            if any_of(stop.asked):
                return False
            optimiser.param_groups[0]["lr"] = cosine(step, steps, _RATE, _WARM_UP)
            drawn = skeletons(np.random.default_rng((seed, step)), batch)
            loss = lift_loss(lifting, drawn, parameters[0].device)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, _CLIP)
            optimiser.step()
            mean += (loss.item() - mean) / min(step + 1, 200)
            bar.set_postfix({"lift": f"{mean:.4f}"}, refresh=False)
    return True
