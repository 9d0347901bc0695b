"""OpenVINO on the CPU (extra ``openvino``): the same network, its layers fused."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch

from livepose import __version__
from livepose.crop import Square
from livepose.engine.backends.base import Raw, cut_all
from livepose.engine.backends.export import exported
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork
from livepose.resources import cache_folder
from livepose.timing.timeline import Timeline

_KEPT = 40  # networks in the cache
_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


class OpenVINOBackend:
    name = "openvino"

    def __init__(self, net: PoseNetwork, placement: Placement) -> None:
        net = net.float().cpu().eval()
        self.size, self.precision = net.config.input_size, placement.precision_name
        core = ov.Core()
        convolutions, decoding = _models(core, net)
        self._convolutions = self._compiled(core, convolutions, _PRECISIONS[placement.dtype])
        self._decoding = self._compiled(core, decoding, "f32")

    @staticmethod
    def _compiled(core: ov.Core, model: ov.Model, precision: str) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }  # fmt: skip
        return core.compile_model(model, "CPU", settings).create_infer_request()

    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        crops = cut_all(image, squares, self.size, timeline)
        mark = timeline.mark if timeline else lambda stage: None
        mark("upload")
        logits = self._convolutions.infer([crops], share_inputs=True, share_outputs=True)
        mark("forward")
        out = self._decoding.infer(list(logits.values()), share_inputs=True)
        flat, *maps = out.values()
        mark("decode")
        raw = Raw(flat[..., :3], np.ascontiguousarray(flat[..., 3]),
                  tuple(np.array(m) for m in maps) if want_maps else ())  # fmt: skip
        mark("download")
        return raw


def _models(core: ov.Core, net: PoseNetwork) -> list[ov.Model]:
    """Both parts of the network; exporting takes seconds, so what it gives is kept on disk."""
    folder = cache_folder("openvino", _key(net))
    files = [folder / f"{part}.xml" for part in ("convolutions", "decoding")]
    try:
        return [core.read_model(file) for file in files]
    except RuntimeError:  # not there yet, or broken
        pass
    models = [ov.convert_model(part) for part in exported(net)]
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
    digest = hashlib.sha256(f"{__version__} {torch.__version__} {ov.__version__}".encode())
    digest.update(repr(net.config).encode())
    for tensor in net.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:24]


def _tidy(folder: Path) -> None:
    """Keeps the newest networks only."""
    for old in sorted(folder.iterdir(), key=lambda f: -f.stat().st_mtime)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
