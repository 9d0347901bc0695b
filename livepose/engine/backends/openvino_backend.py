"""OpenVINO on the CPU: the same network, its layers fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch.export import ExportedProgram

from livepose.engine.backends import kept
from livepose.engine.backends.base import OneByOne
from livepose.engine.backends.export import exported
from livepose.engine.backends.signal_stack import own_signal_stack
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork

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
        models = graphs(core, net, placement.dtype)
        hints = [_PRECISIONS[placement.dtype], "f32"][: len(models)]
        self._requests = [compiled(core, m, h, placement.cpu_threads)
                          for m, h in zip(models, hints, strict=True)]  # fmt: skip
        # The same memory every time, and what one graph puts out is what the next one takes.
        self._crop = np.zeros((1, self.size, self.size, 3), np.uint8)
        values = [ov.Tensor(self._crop, shared_memory=True)]
        for request in self._requests:
            for k, value in enumerate(values):
                request.set_input_tensor(k, value)
            values = list(request.output_tensors)
        self._out = [value.data for value in values]

    def _run(self, crop: np.ndarray, want_maps: bool) -> list[np.ndarray]:
        self._crop[:] = crop
        for request in self._requests:
            request.infer(share_outputs=True)
        return [out.copy() for out in self._out[: 4 if want_maps else 1]]


def compiled(core: ov.Core, model: ov.Model, precision: str, threads: int) -> Any:
    """Ready to infer, one picture at a time."""
    settings = {
        "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # Fusing the lifting's layers for a single thread in float32 ends the process (2026.4:
        # segmentation fault in the plugin); without such fusions the networks are as fast.
        "SNIPPETS_MODE": "DISABLE",
    }  # fmt: skip
    with own_signal_stack():
        return core.compile_model(model, "CPU", settings).create_infer_request()


def is_kept(net: PoseNetwork, dtype: torch.dtype) -> bool:
    """Whether the network has been exported before."""
    return _files(net, dtype)[0].exists()


def _files(net: PoseNetwork, dtype: torch.dtype) -> list[Path]:
    in_parts = dtype in _HALVES
    kind = "-parts" if in_parts else "-int8" if dtype == torch.int8 else ""
    folder = kept.folder_of(net, "openvino", ov.__version__, kind)
    return [folder / f"{part}.xml" for part in range(1 + in_parts)]


def graphs(core: ov.Core, net: PoseNetwork, dtype: torch.dtype) -> list[ov.Model]:
    """The network's graphs; exporting takes seconds, so what it gives is kept on disk."""

    def make() -> list[ov.Model]:
        parts = exported(net, in_parts=dtype in _HALVES, int8=dtype == torch.int8)
        return [_converted(part) for part in parts]

    return read_or_make(core, _files(net, dtype), make)


def _converted(part: ExportedProgram) -> ov.Model:
    """With the shapes that it was exported for: OpenVINO would take any, and a tenth more time."""
    return ov.convert_model(part, input=[tuple(x.shape) for x in part.example_inputs[0]])


def read_or_make(
    core: ov.Core, files: Sequence[Path], make: Callable[[], list[ov.Model]]
) -> list[ov.Model]:
    """The graphs in the files of one folder; made, and kept there, if they cannot be read."""
    folder = files[0].parent
    try:
        models = [core.read_model(file) for file in files]
        kept.mark_used(folder)
        return models
    except RuntimeError:  # not there yet, or broken
        models = make()

    def write(fresh: Path) -> None:
        for file, model in zip(files, models, strict=True):
            ov.save_model(model, fresh / file.name, compress_to_fp16=False)

    kept.keep(folder, write)
    return models
