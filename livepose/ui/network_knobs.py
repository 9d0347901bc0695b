"""Live knobs of the network: input size, arithmetic, threads; what they cost and change is said."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from livepose.engine.backends import takes_sizes
from livepose.engine.comparison import Running, difference, network_ms
from livepose.engine.loading import Choice
from livepose.frames import Result
from livepose.models.networks import PoseNetwork
from livepose.ui.pickers import Picker
from livepose.ui.theme import Theme, font

_WIDTH = 150
_MEMORY = 0.9  # of the running mean of the time
_NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "cuda-graph": "CUDA graph"}
_SHORT = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class NetworkKnobs(QWidget):
    """What runs the live view, and how.

    chosen: the `Choice` that is wanted from now on. watched: the `Choice` to compare every picture
    with (the best network there is), or None.

    Args:
        best: name of the best model. backends: (backend, precision) that run here.
        sizes: that networks are offered at, beside their own.
    """

    chosen = pyqtSignal(object)
    watched = pyqtSignal(object)

    def __init__(
        self, best: str, backends: Sequence[tuple[str, str]], sizes: Sequence[int],
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._best, self._backends, self._offered = best, tuple(backends), tuple(sizes)
        self._shown = (Choice(""), 0)
        self._apart, self._ms = Running(), float("nan")
        self.size = Picker("fullscreen", "Input size", _WIDTH)
        self.arithmetic = Picker("latency", "Arithmetic", _WIDTH)
        self.threads = Picker("menu", "Threads on the CPU", _WIDTH)
        self.watch = QCheckBox("Compare with the best network")
        self.watch.setToolTip(f"Every picture also goes through {best} in float32: twice the work")
        self.numbers = QLabel(objectName="value", wordWrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for title, picker in (("Input size", self.size), ("Arithmetic", self.arithmetic),
                              ("Threads", self.threads)):  # fmt: skip
            row, label = QHBoxLayout(), QLabel(title)
            label.setFont(font(9))
            row.addWidget(label)
            row.addStretch(1)
            row.addWidget(picker)
            column.addLayout(row)
            picker.activated.connect(self._picked)
        for widget in (self.watch, self.numbers):
            widget.setFont(font(9))
            column.addWidget(widget)
        cores = os.cpu_count() or 1
        for count in sorted({*range(1, min(cores, 8) + 1), *range(8, cores, 8), cores}):
            self.threads.addItem(str(count), count)
        self.watch.toggled.connect(self._watch)

    def set_theme(self, theme: Theme) -> None:
        for picker in (self.size, self.arithmetic, self.threads):
            picker.set_theme(theme)

    def set_running(self, choice: Choice, net: PoseNetwork | None, threads: int) -> None:
        """What runs now; the pickers follow."""
        if net is None or (choice, threads) == self._shown:
            return
        self._shown = (choice, threads)
        own = net.config.input_size
        sizes = {own, *self._offered} if takes_sizes(net.config) else {own}
        self.size.fill([(f"{size} px", size) for size in sorted(sizes)], own)
        pairs = [p for p in self._backends if p[1] != "int8" or net.ranges]
        now = (choice.backend, choice.precision)
        pairs += [now] if now not in pairs else []
        self.arithmetic.fill([(_title(*pair), pair) for pair in pairs], now)
        self.threads.setEnabled(threads > 0)  # on a GPU there is nothing to choose
        self.threads.setCurrentIndex(self.threads.findData(choice.threads or threads))
        self._apart, self._ms = Running(), float("nan")

    def add(self, result: Result) -> None:
        """A new result has come."""
        ms = network_ms(result)
        self._ms = ms if self._ms != self._ms else _MEMORY * self._ms + (1 - _MEMORY) * ms
        text = f"{self._ms:.1f} ms a picture"
        if result.other is not None:
            self._apart.add(difference(result, result.other))
            text += f", {self._apart} from {Path(result.other.model).stem}"
        elif self.watch.isChecked():
            text += ", the other one is loading…"
        self.numbers.setText(text)

    def close_page(self) -> None:
        """Nobody looks any more: pictures cost once again."""
        self.watch.setChecked(False)

    def _picked(self) -> None:
        backend, precision = self.arithmetic.currentData()
        self.chosen.emit(replace(
            self._shown[0], size=self.size.currentData(), backend=backend, precision=precision,
            threads=self.threads.currentData() or 0,
        ))  # fmt: skip

    def _watch(self, on: bool) -> None:
        self._apart = Running()
        self.watched.emit(Choice(self._best, precision="float32") if on else None)


def _title(backend: str, precision: str) -> str:
    return f"{_NAMES.get(backend, backend)} {_SHORT.get(precision, precision)}"
