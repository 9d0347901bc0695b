"""How a network runs: pickers of its input size, arithmetic and threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from livepose.engine.backends import takes_sizes
from livepose.engine.loading import Choice
from livepose.models.networks import NetworkConfig
from livepose.timing.cores import usable_cores
from livepose.ui.pickers import Picker
from livepose.ui.theme import Theme

_WIDTH = 172
_NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "cuda-graph": "CUDA graph"}
_SHORT = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class WayPickers:
    """Three pickers for a layout to place.

    Args:
        backends: (backend, precision) that run here. sizes: that networks are offered at, beside
            their own. picked: called when the user has picked something.
    """

    def __init__(
        self, backends: Sequence[tuple[str, str]], sizes: Sequence[int], picked: Callable[[], None]
    ) -> None:
        self._backends, self._offered = tuple(backends), tuple(sizes)
        self.size = Picker("fullscreen", "Input size", _WIDTH)
        self.arithmetic = Picker("latency", "Arithmetic", _WIDTH)
        self.threads = Picker("menu", "Threads on the CPU", _WIDTH)
        self.all = (self.size, self.arithmetic, self.threads)
        cores = usable_cores()
        for count in sorted({*range(1, min(cores, 8) + 1), *range(8, cores, 8), cores}):
            self.threads.addItem(str(count), count)
        self.threads.setCurrentIndex(-1)
        for picker in self.all:
            picker.activated.connect(lambda _: picked())

    def set_theme(self, theme: Theme) -> None:
        for picker in self.all:
            picker.set_theme(theme)

    def show(self, config: NetworkConfig, int8: bool, choice: Choice, threads: int) -> None:
        """What a network can do, and what is chosen of it.

        int8: whether it can. threads: where `choice` says none; 0 where there is none to choose.
        """
        size = choice.size or config.input_size
        sizes = {size, config.input_size, *self._offered} if takes_sizes(config) else {size}
        self.size.fill([(f"{size} px", size) for size in sorted(sizes)], size)
        pairs = [pair for pair in self._backends if pair[1] != "int8" or int8]
        now = (choice.backend, choice.precision)
        pairs += [now] if now not in pairs else []
        self.arithmetic.fill([(_title(*pair), pair) for pair in pairs], now)
        self.threads.setEnabled(threads > 0)
        self.threads.setCurrentIndex(self.threads.findData(choice.threads or threads))

    def chosen(self, of: Choice) -> Choice:
        """The same model as the pickers say."""
        backend, precision = self.arithmetic.currentData()
        return replace(
            of, size=self.size.currentData(), backend=backend, precision=precision,
            threads=self.threads.currentData() or 0,
        )  # fmt: skip


def _title(backend: str, precision: str) -> str:
    return f"{_NAMES.get(backend, backend)} {_SHORT.get(precision, precision)}"
