"""The network that finds people, on OpenVINO: a quarter of the time that torch takes on a CPU."""

from __future__ import annotations

import copy
import hashlib
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch import Tensor, nn

from livepose import __version__
from livepose.crop import to_input
from livepose.engine.backends.openvino_backend import compiled
from livepose.models.detector import PersonNet
from livepose.resources import cache_folder


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
    versions = f"{__version__} {torch.__version__} {ov.__version__}"
    digest = hashlib.sha256(f"{versions} {net}".encode())
    for tensor in net.state_dict().values():
        digest.update(tensor.float().cpu().numpy().tobytes())
    folder = cache_folder("detector", digest.hexdigest()[:24])
    with suppress(RuntimeError):  # not there yet, or broken
        return core.read_model(folder / "net.xml")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        example = torch.zeros(1, 192, 320, 3, dtype=torch.uint8)
        model = ov.convert_model(_FromBytes(net), example_input=example)
    with suppress(OSError, RuntimeError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Elsewhere first: another livepose may be reading.
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            fresh = Path(place) / folder.name
            fresh.mkdir()
            ov.save_model(model, fresh / "net.xml", compress_to_fp16=False)
            fresh.rename(folder)
    return model
