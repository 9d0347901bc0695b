"""Live knobs of the network: input size, arithmetic, threads; what they cost and change is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from livepose.engine.comparison import Running, network_ms
from livepose.engine.loading import Choice
from livepose.frames import Result
from livepose.models.networks import PoseNetwork
from livepose.ui.theme import Theme, font
from livepose.ui.ways import WayPickers

_MEMORY = 0.9  # of the running mean of the time


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
        self._best = best
        self._shown = (Choice(""), 0)
        self._changed = False  # by the user, since what runs was shown
        self._apart, self._ms = Running(), float("nan")
        self.ways = WayPickers(backends, sizes, self._picked)
        self.watch = QCheckBox("Compare with the best network")
        self.watch.setToolTip(f"Every picture also goes through {best} in float32: twice the work")
        self.numbers = QLabel(objectName="value", wordWrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        titles = ("Input size", "Arithmetic", "Threads")
        for title, picker in zip(titles, self.ways.all, strict=True):
            row, label = QHBoxLayout(), QLabel(title)
            label.setFont(font(9))
            row.addWidget(label)
            row.addStretch(1)
            row.addWidget(picker)
            column.addLayout(row)
        for widget in (self.watch, self.numbers):
            widget.setFont(font(9))
            column.addWidget(widget)
        self.watch.toggled.connect(self._watch)

    def set_theme(self, theme: Theme) -> None:
        self.ways.set_theme(theme)

    def set_running(
        self, choice: Choice, net: PoseNetwork | None, threads: int, loading: bool = False
    ) -> None:
        """What runs now; the pickers follow, also where what was picked turned out not to run.

        loading: another network is becoming ready, which the pickers show already.
        """
        if net is None or loading or ((choice, threads) == self._shown and not self._changed):
            return
        if (choice, threads) != self._shown:
            self._apart, self._ms = Running(), float("nan")
        self._shown, self._changed = (choice, threads), False
        self.ways.show(net.config, bool(net.ranges), choice, threads)

    def add(self, result: Result) -> None:
        """A new result has come."""
        ms = network_ms(result)
        self._ms = ms if self._ms != self._ms else _MEMORY * self._ms + (1 - _MEMORY) * ms
        text = f"{self._ms:.1f} ms a picture"
        if result.other is not None:
            self._apart.add(result, result.other)
            text += f", {self._apart} from {Path(result.other.model).stem}"
        elif self.watch.isChecked():
            text += ", the other one is loading…"
        self.numbers.setText(text)

    def close_page(self) -> None:
        """Nobody looks any more: pictures cost once again."""
        self.watch.setChecked(False)

    def _picked(self) -> None:
        self._changed = True
        self.chosen.emit(self.ways.chosen(self._shown[0]))

    def _watch(self, on: bool) -> None:
        self._apart = Running()
        self.watched.emit(Choice(self._best, precision="float32") if on else None)
