"""OpenVINO on the CPU: the same network, its layers fused."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch

from livepose import __version__
from livepose.engine.backends.base import OneByOne
from livepose.engine.backends.export import exported
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork
from livepose.resources import cache_folder

_FORMAT = 3  # of what is kept
_KEPT = 40  # networks in the cache
# Of what is not in the graph's own integers.
_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16",
               torch.int8: "f32"}  # fmt: skip
_HALVES = (torch.bfloat16, torch.float16)


class OpenVINOBackend(OneByOne):
    """float32 or int8 in one graph; half precision for the convolutions only, see `exported`."""

    name = "openvino"

    def __init__(self, net: PoseNetwork, placement: Placement) -> None:
        self.config = net.config
        self.size, self.precision = net.config.input_size, placement.precision_name
        core = ov.Core()
        models = _models(core, net, placement.dtype)
        hints = [_PRECISIONS[placement.dtype], "f32"][: len(models)]
        self._requests = [_compiled(core, m, h, placement.cpu_threads)
                          for m, h in zip(models, hints, strict=True)]  # fmt: skip

    def _run(self, crop: np.ndarray, want_maps: bool) -> list[np.ndarray]:
        values: list[np.ndarray] = [crop]
        for request in self._requests:
            out = request.infer(values, share_inputs=True, share_outputs=True)
            values = list(out.values())
        # The buffers are filled anew by the next square.
        return [v.copy() for v in values[: 4 if want_maps else 1]]


def _compiled(core: ov.Core, model: ov.Model, precision: str, threads: int) -> Any:
    settings = {
        "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }  # fmt: skip
    return core.compile_model(model, "CPU", settings).create_infer_request()


def is_kept(net: PoseNetwork, dtype: torch.dtype) -> bool:
    """Whether the network has been exported before."""
    return _files(net, dtype)[0].exists()


def _files(net: PoseNetwork, dtype: torch.dtype) -> list[Path]:
    in_parts = dtype in _HALVES
    kind = "-parts" if in_parts else "-int8" if dtype == torch.int8 else ""
    folder = cache_folder("openvino", _key(net) + kind)
    return [folder / f"{part}.xml" for part in range(1 + in_parts)]


def _models(core: ov.Core, net: PoseNetwork, dtype: torch.dtype) -> list[ov.Model]:
    """The network's graphs; exporting takes seconds, so what it gives is kept on disk."""
    files = _files(net, dtype)
    folder = files[0].parent
    try:
        return [core.read_model(file) for file in files]
    except RuntimeError:  # not there yet, or broken
        pass
    parts = exported(net, in_parts=dtype in _HALVES, int8=dtype == torch.int8)
    models = [ov.convert_model(part) for part in parts]
    # Elsewhere first: another livepose may be reading.
    with suppress(OSError, RuntimeError), tempfile.TemporaryDirectory() as fresh:
        for file, model in zip(files, models, strict=True):
            ov.save_model(model, Path(fresh) / file.name, compress_to_fp16=False)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(fresh, folder)
        _tidy(folder.parent)
    return models


def _key(net: PoseNetwork) -> str:
    """Another network, another version of anything that made the files: another key."""
    versions = f"{_FORMAT} {__version__} {torch.__version__} {ov.__version__}"
    digest = hashlib.sha256(versions.encode())
    digest.update(repr((net.config, sorted(net.ranges.items()))).encode())
    for tensor in net.state_dict().values():
        digest.update(tensor.float().numpy().tobytes())
    return digest.hexdigest()[:24]


def _tidy(folder: Path) -> None:
    """Keeps the newest networks only."""
    for old in sorted(folder.iterdir(), key=lambda f: -f.stat().st_mtime)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
