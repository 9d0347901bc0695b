"""Learning from a larger network, too: what it says of the very same squares.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", with heatmaps for classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from livepose import dsnt
from livepose.crop import whole
from livepose.engine import backends
from livepose.engine.device import choose
from livepose.models.margipose import Output
from livepose.models.store import load_model
from livepose.train.processes import average

SURE = 0.3  # joints that the teacher is less sure of teach nothing


class Said(NamedTuple):
    """Of B squares: xy (B, J, H, W) maps, z (B, J) normalised, sure (B, J) bool."""

    xy: Tensor
    z: Tensor
    sure: Tensor


class Teacher:
    """A model of livepose at its own input size, by the fastest way that this machine has.

    Raises (when it is made): `WeightsError`.
    """

    def __init__(self, model: str, device: str = "cpu") -> None:
        self._backend, _ = backends.make(load_model(model)[0], choose(device))

    def __call__(self, images: Tensor) -> Said:
        """(B, S, S, 3) BGR bytes, of any size S -> what it says, on the CPU."""
        place = whole(*images.shape[1:3])
        raws = [self._backend(image, [place], want_maps=True) for image in images.numpy()]
        xyz, confidence, xy = (
            torch.from_numpy(np.concatenate(part))
            for part in ([r.xyz for r in raws], [r.confidence for r in raws],
                         [r.maps[0] for r in raws])
        )  # fmt: skip
        return Said(xy, xyz[..., 2], confidence > SURE)


def distil_parts(out: Output, said: Said, weight: float) -> dict[str, Tensor]:
    """Scalar losses against the teacher: divergence of the xy maps, distance in depth.

    The teacher's maps are brought to the size of the network's.
    """
    xy, z, sure = (t.to(out.xy.device) for t in said)
    if xy.shape != out.xy.shape:
        xy = F.interpolate(xy, out.xy.shape[-2:], mode="bilinear", antialias=True)
        xy = xy / xy.sum((-2, -1), keepdim=True)
    return {
        "distil_xy": weight * average(dsnt.js_divergence(out.xy, xy), sure),
        "distil_z": weight * average((out.xyz[..., 2] - z).abs(), sure),
    }
