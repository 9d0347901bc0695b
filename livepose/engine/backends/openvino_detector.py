"""The network that finds people, on OpenVINO: a quarter of the time that torch takes on a CPU."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch import Tensor, nn

from livepose.crop import to_input
from livepose.engine.backends import kept
from livepose.engine.backends.openvino_backend import compiled, read_or_make
from livepose.models.detector import PersonNet


class _FromBytes(nn.Module):
    def __init__(self, net: PersonNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).float().cpu().eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        out: tuple[Tensor, Tensor] = self.net(to_input(pictures))
        return out


class OpenVINODetector:
    """(H, W, 3) BGR bytes, sides multiples of 32 -> log-odds (h, w) and sides (4, h, w).

    Compiled for one size at a time: that of the pictures changes with their source only.
    """

    def __init__(self, net: PersonNet, threads: int) -> None:
        self._core, self._threads = ov.Core(), threads
        self._model = _model(self._core, net)
        self._shape: tuple[int, ...] = ()
        self._request: Any = None

    def __call__(self, picture: np.ndarray) -> tuple[Tensor, Tensor]:
        if picture.shape != self._shape:
            self._model.reshape({0: [1, *picture.shape]})
            self._request = compiled(self._core, self._model, "f32", self._threads)
            self._shape = picture.shape
        odds, sides = self._request.infer([picture[None]]).values()
        return torch.from_numpy(odds[0]), torch.from_numpy(sides[0])


def _model(core: ov.Core, net: PersonNet) -> ov.Model:
    """For pictures of any size; making it takes more than a second, so it is kept on disk."""

    def make() -> list[ov.Model]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            example = torch.zeros(1, 192, 320, 3, dtype=torch.uint8)
            return [ov.convert_model(_FromBytes(net), example_input=example)]

    folder = kept.folder_of_any(net, str(net), "openvino", ov.__version__, "-detector")
    (model,) = read_or_make(core, [folder / "net.xml"], make)
    return model
