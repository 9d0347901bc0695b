"""The explorer: every way to run every model, as a point of speed and accuracy.

Measuring goes on in a process of its own; the live view goes on meanwhile. A click loads a point.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QPointF, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from livepose.bench import explore
from livepose.bench.explore import Measurer, Point
from livepose.engine.loading import Choice
from livepose.models.store import WeightsError, available
from livepose.palette import RGB
from livepose.ui.theme import DARK, Theme, font

# Output strategies by shape, backends by colour (Okabe & Ito).
SHAPES = {"dsnt": "o", "heatmap": "s", "fc": "t", "multitask": "d"}
TITLES = {"dsnt": "DSNT", "heatmap": "heatmap matching", "fc": "fully connected",
          "multitask": "multi-task"}  # fmt: skip
COLOURS: dict[str, RGB] = {"openvino": (86, 180, 233), "torch": (230, 159, 0),
                           "onnxruntime": (0, 178, 130), "cuda-graph": (224, 130, 184)}  # fmt: skip
_SIZE = 12
_NEAR = 14.0  # pixels that a click or the mouse may be off


def describe(point: Point) -> str:
    """One line about a point."""
    accuracy = "accuracy not known"
    if point.pck is not None:
        how = "measured" if point.pck_measured else "quoted"
        accuracy = f"{100 * point.pck:.1f} % PCK ({how})"
    time = point.problem or ("not measured yet" if point.ms is None else f"{point.ms:.2f} ms")
    return (
        f"{Path(point.model).stem}: {TITLES.get(point.output, point.output)}, {point.size} px, "
        f"maps of {point.heatmap}, {point.backend} in {point.precision}: {time}, {accuracy}"
    )


class Explorer(QWidget):
    """chosen: the `Choice` of a point that was clicked.

    start: makes what measures points (`livepose.bench.explore.Measurer`).
    """

    chosen = pyqtSignal(object)
    _measured = pyqtSignal(object)
    _ended = pyqtSignal(str)

    def __init__(
        self, device: str = "cpu", start: Callable[..., Measurer] = Measurer,
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._device = device
        self._start = start
        self._measurer: Measurer | None = None
        self._theme = DARK
        self.points: list[Point] = []
        self.current: str = ""
        self.problem = ""
        self.plot = pg.PlotWidget()
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(False, False)
        self.plot.setLogMode(x=True, y=False)
        self.plot.setLabel("bottom", "time of a picture, ms")
        self.plot.setLabel("left", "PCK@0.2 on LSP, %")
        self.plot.setAccessibleName("Speed against accuracy")
        self._front = self.plot.plot([], [])
        self._dots = pg.ScatterPlotItem(pxMode=True)
        self.plot.addItem(self._dots)
        self.plot.scene().sigMouseMoved.connect(self._hovered)
        self.plot.scene().sigMouseClicked.connect(lambda event: self._clicked(event.scenePos()))
        self.about = QLabel(objectName="muted", wordWrap=True)
        self.about.setFont(font(9))
        self.about.setMinimumHeight(34)
        self.measure, self.cancel = QPushButton("Measure this machine"), QPushButton("Cancel")
        self.export = QPushButton("Export…")
        self.progress = QProgressBar(textVisible=False)
        self.progress.setFixedHeight(6)
        row = QHBoxLayout()
        for widget in (self.measure, self.cancel, self.export):
            row.addWidget(widget)
        row.addWidget(self.progress, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.about)
        layout.addLayout(row)
        self.measure.clicked.connect(self.start)
        self.cancel.clicked.connect(self.stop)
        self.export.clicked.connect(self._export)
        self._measured.connect(self._take, Qt.QueuedConnection)
        self._ended.connect(self._end, Qt.QueuedConnection)
        self._busy(False)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.plot.setBackground(theme.surface)
        for side in ("bottom", "left"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.border)
            axis.setTextPen(theme.muted)
        self.plot.showGrid(x=True, y=True, alpha=0.15)
        self._draw()

    def open(self) -> None:
        """The page is looked at: points are listed, with the times that are known."""
        if self.points:
            return
        try:
            found = explore.points(available(everywhere=True), self._device)
            self.points = explore.load(found, explore.results_file())
        except (OSError, WeightsError) as error:
            self.problem = f"{error}"
        self._draw()

    def start(self) -> None:
        """Measures what is not known yet; again from the start if all is."""
        missing = [p for p in self.points if p.ms is None and not p.problem]
        missing = missing or self.points
        if not missing or self._measurer is not None:
            return
        self.progress.setRange(0, len(missing))
        self.progress.setValue(0)
        self.problem = ""
        try:
            self._measurer = self._start(
                missing, self._device, self._measured.emit, self._ended.emit
            )
        except OSError as error:
            self.problem = f"measuring did not start: {error}"
        self._busy(self._measurer is not None)

    def stop(self) -> None:
        """Ends measuring; what was measured is kept."""
        if self._measurer is not None:
            self._measurer.cancel()

    def close_down(self) -> None:
        """The window closes: nothing may go on behind it."""
        measurer, self._measurer = self._measurer, None
        if measurer is not None:
            measurer.cancel()
            measurer.wait(2)

    def set_current(self, choice: Choice, size: int | None = None) -> None:
        """Marks what runs in the live view."""
        key = f"{choice.model}@{choice.size or size}/{choice.backend}/{choice.precision}"
        if key != self.current:
            self.current = key
            self._draw()

    def at(self, point: Point) -> QPointF | None:
        """Where a point is on the plot widget, if it is on it."""
        if point.ms is None or point.pck is None:
            return None
        view = self.plot.plotItem.vb
        scene = view.mapViewToScene(QPointF(np.log10(point.ms), 100 * point.pck))
        return QPointF(self.plot.mapFromScene(scene))

    # Inside

    def _take(self, point: Point) -> None:
        self.points = [point if p.key == point.key else p for p in self.points]
        self.progress.setValue(self.progress.value() + 1)
        self._draw()

    def _end(self, problem: str) -> None:
        self._measurer = None
        self.problem = problem
        try:
            explore.save(self.points, explore.results_file())
        except OSError as error:
            self.problem = self.problem or f"the times cannot be kept: {error}"
        self._busy(False)
        self._say("")

    def _busy(self, on: bool) -> None:
        self.measure.setVisible(not on)
        self.cancel.setVisible(on)
        self.progress.setVisible(on)

    def _draw(self) -> None:
        known = [p for p in self.points if p.ms is not None and p.pck is not None]
        front = explore.pareto(known)
        self._front.setData([p.ms for p in front], [100 * (p.pck or 0) for p in front],
                            pen=pg.mkPen(self._theme.accent, width=1.5))  # fmt: skip
        self._dots.setData([self._dot(p) for p in known])
        self._say("")

    def _dot(self, point: Point) -> dict[str, Any]:
        assert point.ms is not None and point.pck is not None  # noqa: PT018
        colour = pg.mkColor(*COLOURS.get(point.backend, (150, 150, 150)))
        filled = pg.mkBrush(colour) if point.pck_measured else pg.mkBrush(None)
        shown = point.key == self.current
        return {
            "pos": (np.log10(point.ms), 100 * point.pck), "size": _SIZE + 5 * shown,
            "symbol": SHAPES.get(point.output, "o"), "brush": filled, "data": point.key,
            "pen": pg.mkPen(self._theme.text if shown else colour, width=3 if shown else 2),
        }  # fmt: skip

    def _nearest(self, scene: QPointF) -> Point | None:
        spot = QPointF(self.plot.mapFromScene(scene))
        near: list[tuple[float, Point]] = []
        for point in self.points:
            place = self.at(point)
            if place is not None:
                away = place - spot
                near.append((float(np.hypot(away.x(), away.y())), point))
        best = min(near, key=lambda pair: pair[0], default=None)
        return best[1] if best is not None and best[0] <= _NEAR else None

    def _hovered(self, scene: QPointF) -> None:
        point = self._nearest(scene)
        self._say(describe(point) if point else "")

    def _clicked(self, scene: QPointF) -> None:
        point = self._nearest(scene)
        if point is not None:
            size = None if point.native else point.size
            self.chosen.emit(Choice(point.model, point.backend, point.precision, size))

    def _say(self, text: str) -> None:
        missing = sum(p.ms is None and not p.problem for p in self.points)
        hint = f"{missing} of {len(self.points)} points are not measured yet." if missing else (
            "Click a point to run it. Hollow: accuracy quoted from the model's card.")  # fmt: skip
        self.about.setText(text or self.problem or hint)

    def _export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Export", "explorer.csv", "Tables (*.csv);;JSON (*.json);;Pictures (*.png)"
        )
        if name:
            self.write(Path(name))

    def write(self, file: Path) -> None:
        """All points as .csv or .json, or the plot as .png."""
        try:
            if file.suffix == ".png":
                if not self.plot.grab().save(str(file)):
                    raise OSError(f"{file} cannot be written")
            else:
                explore.export(self.points, file)
            self._say(f"wrote {file}")
        except (OSError, ValueError) as error:
            self._say(f"{error}")
