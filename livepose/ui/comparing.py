"""A against B on the same frame: how B runs, both pictures, and how far their joints are apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from livepose.engine.comparison import Running, network_ms
from livepose.engine.loading import Choice
from livepose.frames import Result
from livepose.models.store import WeightsError, find, read_card
from livepose.ui.joint_bars import JointBars
from livepose.ui.pair import PairView
from livepose.ui.panes import segment
from livepose.ui.pickers import Picker
from livepose.ui.theme import Theme, font
from livepose.ui.ways import WayPickers

_ROOM = 340  # pixels of height from which the bars are shown


class Comparison(QWidget):
    """wanted: the `Choice` that every picture shall be compared with, or None.

    Args:
        models: names or files that B can be. backends, sizes: see `WayPickers`.
    """

    wanted = pyqtSignal(object)

    def __init__(
        self, models: Sequence[str], backends: Sequence[tuple[str, str]], sizes: Sequence[int],
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.view, self.bars = PairView(), JointBars()
        self.model = Picker("model", "B: the network to compare with", 150)
        self.ways = WayPickers(backends, sizes, self._wish)
        # The plainest arithmetic, which others take short cuts of.
        self._backend, self._precision = backends[-1]
        self.side_by_side = segment("Side by side")
        self.side_by_side.setCheckable(True)
        self.numbers = QLabel(objectName="value", wordWrap=True)
        self.numbers.setFont(font(9))
        self.numbers.setMinimumHeight(2 * self.numbers.fontMetrics().lineSpacing())
        self._apart = Running()
        self._threads = 0
        for model in models:
            self._add_model(model)
        self.model.setCurrentIndex(-1)
        top, below = QHBoxLayout(), QHBoxLayout()
        top.addWidget(QLabel("B"))
        for picker in (self.model, *self.ways.all):
            top.addWidget(picker, 1)
        below.addWidget(self.numbers, 1)
        below.addWidget(self.side_by_side, 0, Qt.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addLayout(below)
        layout.addWidget(self.bars)
        self.model.activated.connect(lambda _: self._model_picked())
        self.side_by_side.toggled.connect(self.view.set_beside)

    def set_theme(self, theme: Theme) -> None:
        for part in (self.view, self.bars, self.model, self.ways):
            part.set_theme(theme)

    def open(self, model: str, threads: int) -> None:
        """The page is looked at: B is wanted, at first the model that runs as A.

        threads: that A uses on the CPU, 0 on a GPU.
        """
        self._threads = threads
        self._add_model(model)
        if self.model.currentIndex() < 0:
            self.choose(model)
        else:
            self._wish()

    def close_page(self) -> None:
        """Nobody looks any more: every picture costs once again."""
        self.wanted.emit(None)

    def choose(self, model: str) -> None:
        """Compares with this model."""
        self._add_model(model)
        self.model.setCurrentIndex(self.model.findData(model))
        self._model_picked()

    def failed(self, message: str) -> None:
        """Why there is no B, or none of this picture."""
        self.numbers.setText(message)

    def add(self, result: Result) -> None:
        """A new result has come."""
        self.view.show_result(result)
        other = result.other
        if other is None:
            return
        self._apart.add(result, other)
        self.bars.show_apart(self._apart, result.frame.id)
        sides = (f"{side}  {of.title}: {network_ms(of):.1f} ms"
                 for side, of in (("A", result), ("B", other)))  # fmt: skip
        self.numbers.setText("\n".join(sides))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is no room for both, the picture goes before the bars."""
        self.bars.setVisible(event.size().height() >= _ROOM)

    def _add_model(self, model: str) -> None:
        if self.model.findData(model) < 0:
            self.model.addItem(Path(model).stem, model)

    def _model_picked(self) -> None:
        """Another model: at its own size, in the arithmetic and threads of the one before."""
        model = self.model.currentData()
        try:
            card = read_card(find(model))
        except (OSError, WeightsError) as error:
            for picker in self.ways.all:
                picker.setEnabled(False)
            self.failed(f"{error}")
            self.wanted.emit(None)
            return
        backend, precision = self.ways.arithmetic.currentData() or (self._backend, self._precision)
        if precision == "int8" and not card.ranges:
            backend, precision = self._backend, self._precision
        for picker in self.ways.all:
            picker.setEnabled(True)
        threads = self.ways.threads.currentData() if self._threads else 0
        wish = Choice(model, backend, precision, threads=threads or self._threads)
        self.ways.show(card.config, bool(card.ranges), wish, self._threads)
        self._wish()

    def _wish(self) -> None:
        if not self.ways.size.isEnabled():
            return
        self.numbers.setText("B is loading…")
        self.wanted.emit(self.ways.chosen(Choice(self.model.currentData())))
