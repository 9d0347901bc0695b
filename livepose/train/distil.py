"""Learning from a larger network, too: what it says of the very same squares.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", with heatmaps for classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from livepose import dsnt
from livepose.crop import whole
from livepose.engine import backends
from livepose.engine.backends import Backend
from livepose.engine.device import choose
from livepose.models.margipose import Output
from livepose.models.store import load_model

SURE = 0.3  # joints that the teacher is less sure of teach nothing


class Said(NamedTuple):
    """Of B squares: xy (B, J, H, W) maps, z (B, J) normalised, sure (B, J) bool."""

    xy: Tensor
    z: Tensor
    sure: Tensor


class Teacher:
    """A model of livepose, by the fastest way that this machine has.

    Raises (when it is made): `WeightsError`.
    """

    def __init__(self, model: str, device: str = "cpu") -> None:
        self._model, self._placement = model, choose(device)
        self._ready: dict[int, Backend] = {}
        load_model(model)  # what is wrong with it is said now

    def __call__(self, images: Tensor) -> Said:
        """(B, S, S, 3) BGR bytes -> what it says, on the CPU.

        Raises:
            ValueError: it cannot take squares of this size.
        """
        squares = images.numpy()
        backend, place = self._at(squares.shape[1]), whole(*squares.shape[1:3])
        raws = [backend(image, [place], want_maps=True) for image in squares]
        xyz, confidence, xy = (
            torch.from_numpy(np.concatenate(part))
            for part in ([r.xyz for r in raws], [r.confidence for r in raws],
                         [r.maps[0] for r in raws])
        )  # fmt: skip
        return Said(xy, xyz[..., 2], confidence > SURE)

    def _at(self, size: int) -> Backend:
        if size not in self._ready:
            net = backends.at_size(load_model(self._model)[0], size)
            self._ready[size], _ = backends.make(net, self._placement)
        return self._ready[size]


def distil_parts(out: Output, said: Said, weight: float) -> dict[str, Tensor]:
    """Scalar losses against the teacher: divergence of the xy maps, distance in depth.

    Raises:
        ValueError: the teacher's maps are of another size.
    """
    if out.xy.shape != said.xy.shape:
        raise ValueError(
            f"the maps of the teacher are {tuple(said.xy.shape[-2:])}, those of the network "
            f"{tuple(out.xy.shape[-2:])}: distil_from needs a model with the same heatmap_stride"
        )
    xy, z, sure = (t.to(out.xy.device) for t in said)
    return {
        "distil_xy": weight * dsnt.average(dsnt.js_divergence(out.xy, xy), sure),
        "distil_z": weight * dsnt.average((out.xyz[..., 2] - z).abs(), sure),
    }
