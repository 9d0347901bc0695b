"""OpenVINO on the CPU: the same network, its layers fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch.export import ExportedProgram

from livepose.engine.backends import columns, kept
from livepose.engine.backends.base import OneByOne
from livepose.engine.backends.export import exported
from livepose.engine.backends.signal_stack import own_signal_stack
from livepose.engine.device import Placement, cpu_has_vnni
from livepose.models.networks import PoseNetwork

# Of what is not in the graph's own integers.
_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16",
               torch.int8: "f32"}  # fmt: skip
_HALVES = (torch.bfloat16, torch.float16)


class OpenVINOBackend(OneByOne):
    """float32 or int8 in one graph; half precision for the convolutions only, see `exported`.

    Several squares at once take up to a third less than one by one, but each number of them wants
    graphs of its own: there are those for one, and for as many as are usual.

    middles: there are graphs for the middle of one, too.
    """

    name = "openvino"

    def __init__(self, net: PoseNetwork, placement: Placement, middles: bool = False) -> None:
        self.config = net.config
        self.size, self.precision = net.config.input_size, placement.precision_name
        self.at_once = placement.squares
        self._placement, self._core = placement, ov.Core()
        self._chains = {shape: _Chain(self._core, net, placement, *shape)
                        for shape in _shapes(net, placement)}  # fmt: skip
        if middles:
            self.add_middles(net)

    def add_middles(self, net: PoseNetwork) -> None:
        """Looks at the middle of one square from now on where that is enough.

        Another thread may use the backend meanwhile. net: the network that it was made of.
        """
        for squares, pixels in _middles(net):
            chain = _Chain(self._core, net, self._placement, squares, pixels)
            chain(np.zeros((squares, self.size, pixels, 3), np.uint8), False)  # it allocates
            self._chains[squares, pixels] = chain
        self.columns = columns(net.config)

    def _run(self, crops: np.ndarray, want_maps: bool) -> list[np.ndarray]:
        return self._chains[len(crops), crops.shape[2]](crops, want_maps)


def _shapes(net: PoseNetwork, placement: Placement) -> set[tuple[int, int]]:
    """For so many squares at once, of so many columns, there are graphs."""
    return {(n, net.config.input_size) for n in (1, placement.squares)}


def _middles(net: PoseNetwork) -> set[tuple[int, int]]:
    """The same of the middles of one square."""
    return {(1, pixels) for pixels in columns(net.config).values()}


class _Chain:
    """The graphs for so many squares, each taking what the one before puts out."""

    def __init__(
        self, core: ov.Core, net: PoseNetwork, placement: Placement, squares: int, columns: int
    ) -> None:
        models = graphs(core, net, placement.dtype, squares, columns)
        hints = [_PRECISIONS[placement.dtype], "f32"][: len(models)]
        self._requests = [compiled(core, m, h, placement.cpu_threads)
                          for m, h in zip(models, hints, strict=True)]  # fmt: skip
        # The same memory every time: handing over arrays costs more than copying them.
        self._crops = np.zeros((squares, net.config.input_size, columns, 3), np.uint8)
        values = [ov.Tensor(self._crops, shared_memory=True)]
        for request in self._requests:
            for k, value in enumerate(values):
                request.set_input_tensor(k, value)
            values = list(request.output_tensors)
        self._out = [value.data for value in values]

    def __call__(self, crops: np.ndarray, want_maps: bool) -> list[np.ndarray]:
        self._crops[:] = crops
        for request in self._requests:
            # `infer` would make a dictionary of the outputs, which are at hand.
            request.start_async()
            request.wait()
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


def is_kept(net: PoseNetwork, placement: Placement, middles: bool = False) -> bool:
    """Whether the network, or the graphs for middles, have been exported before."""
    shapes = _middles(net) if middles else _shapes(net, placement)
    return all(_files(net, placement.dtype, *shape)[0].exists() for shape in shapes)


def _files(net: PoseNetwork, dtype: torch.dtype, squares: int, columns: int) -> list[Path]:
    in_parts = dtype in _HALVES
    int8 = "-int8" if cpu_has_vnni() else "-int8-avx2"
    kind = "-parts" if in_parts else int8 if dtype == torch.int8 else ""
    kind += f"-{squares}" if squares > 1 else ""
    kind += f"-middle-{columns}" if columns < net.config.input_size else ""
    folder = kept.folder_of(net, "openvino", ov.__version__, kind)
    return [folder / f"{part}.xml" for part in range(1 + in_parts)]


def graphs(
    core: ov.Core, net: PoseNetwork, dtype: torch.dtype, squares: int = 1,
    columns: int | None = None,
) -> list[ov.Model]:  # fmt: skip
    """The network's graphs for so many squares, of so many columns (None: all).

    Exporting takes seconds, so what it gives is kept on disk.
    """

    def make() -> list[ov.Model]:
        in_parts, int8 = dtype in _HALVES, dtype == torch.int8
        parts = exported(net, in_parts, int8, squares, columns)
        return [_converted(part) for part in parts]

    files = _files(net, dtype, squares, columns or net.config.input_size)
    return read_or_make(core, files, make)


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
