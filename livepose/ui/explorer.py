"""The explorer: every way to run every model, as a point of speed and accuracy.

Measuring goes on in a process of its own, by turns with the live view. A click loads a point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
import torch
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
from livepose.bench.explore import Point
from livepose.bench.explore_plot import (
    ACROSS,
    BACKENDS,
    FRONT,
    OUTPUTS,
    RAIL,
    UP,
    Mark,
    legend,
    mark,
    place,
    rail,
)
from livepose.bench.measurer import DataSet, Measurer
from livepose.engine.loading import Choice
from livepose.engine.turns import Turns
from livepose.models.store import WeightsError, available
from livepose.ui.data_dialog import DataDialog
from livepose.ui.theme import DARK, Theme, font

# By matplotlib's names: pyqtgraph's symbols, and letters for the legend.
_SYMBOLS = {"o": "o", "s": "s", "^": "t1", "D": "d"}
_LETTERS = {"o": "●", "s": "■", "^": "▲", "D": "◆"}
_ALL_ALONE = "All times were measured alone; beside the live view they would be less certain."
_NEAR = 14.0  # pixels that a click or the mouse may be off


def describe(point: Point) -> str:
    """One line about a point."""
    accuracy = "accuracy not known"
    if point.pck is not None:
        how = f"on {point.pictures} pictures of {point.data}" if point.pictures else "quoted"
        accuracy = f"{100 * point.pck:.1f} % PCK ({how})"
    time = point.problem or "not measured yet"
    if point.ms is not None:
        how = "beside the live view" if point.beside else "alone"
        time = f"{point.ms:.2f} ms ({how}, {point.date})"
    title, backend = (names.get(name, (name,))[0] for names, name in
                      ((OUTPUTS, point.output), (BACKENDS, point.backend)))  # fmt: skip
    threads = f", {point.threads} thread{'s' * (point.threads > 1)}" if point.threads else ""
    return (
        f"{Path(point.model).stem}: {title}, {point.size} px, maps of {point.heatmap}, "
        f"{backend} in {point.precision}{threads}: {time}, {accuracy}"
    )


def legend_html(found: Sequence[Point]) -> str:
    """What the marks mean, as a line for each way to tell them apart."""

    def entry(one: Mark) -> str:
        letter = _LETTERS[one.shape] if one.filled else "○"
        return (f"<span style='color:rgb{one.colour};font-size:{one.diameter}px'>{letter}</span>"
                f"&nbsp;{one.label.replace(' ', '&nbsp;')}")  # fmt: skip

    lines = [f"{name}: &nbsp;" + "&nbsp; ".join(map(entry, group))
             for name, group in legend(found).items()]  # fmt: skip
    return "<br>".join([*lines, f"Line: {FRONT}"])


class _Milliseconds(pg.AxisItem):
    """A logarithmic axis with plain numbers: 1, 2, 5, 10, 20, ..."""

    def logTickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        texts = [f"{10**value:.3g}" for value in values]
        return [text if text.strip("0.") in ("1", "2", "5") else "" for text in texts]


class Explorer(QWidget):
    """chosen: the `Choice` of a point that was clicked.

    Args:
        device: of the live view. turns: of its session, which measuring takes turns with.
        start: makes what measures points (`livepose.bench.measurer.Measurer`).
    """

    chosen = pyqtSignal(object)
    _measured = pyqtSignal(object)
    _advanced = pyqtSignal(float)
    _ended = pyqtSignal(str)

    def __init__(
        self, device: str, turns: Turns, start: Callable[..., Measurer] = Measurer,
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._device, self._turns, self._start = device, turns, start
        self._measurer: Measurer | None = None
        self._theme = DARK
        self.points: list[Point] = []
        self.current = ""  # key of what runs
        self.notice = ""
        self._hovered = ""  # key of the point below the mouse
        self._below = 0.0  # height of the rail for what has no accuracy
        # Torch's own number, before networks with another one run.
        self._usual = self._threads = torch.get_num_threads()
        self._knob = 0
        self.plot = pg.PlotWidget(axisItems={"bottom": _Milliseconds("bottom")})
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(False, False)
        self.plot.setLogMode(x=True, y=False)
        self.plot.setLabel("bottom", ACROSS)
        self.plot.setLabel("left", UP)
        self.plot.setAccessibleName("Speed against accuracy")
        self._front = self.plot.plot([], [])
        self._rail = pg.InfiniteLine(angle=0, label=RAIL, labelOpts={
            "position": 0.99, "anchors": [(1, 0), (1, 0)]})  # fmt: skip
        self.plot.addItem(self._rail, ignoreBounds=True)
        self._dots = pg.ScatterPlotItem(pxMode=True)
        self.plot.addItem(self._dots)
        self.plot.scene().sigMouseMoved.connect(self._hover)
        self.plot.scene().sigMouseClicked.connect(lambda event: self._clicked(event.scenePos()))
        self.legend, self.about = (QLabel(objectName="muted", wordWrap=True) for _ in range(2))
        for label in (self.legend, self.about):
            label.setFont(font(9))
        self.about.setMinimumHeight(34)
        self.measure, self.cancel = QPushButton("Measure this machine"), QPushButton("Cancel")
        self.judge, self.export = QPushButton("Measure accuracy on…"), QPushButton("Export…")
        self.progress = QProgressBar(textVisible=False, maximum=1000)
        self.progress.setFixedHeight(6)
        row = QHBoxLayout()
        for widget in (self.measure, self.judge, self.cancel, self.export):
            row.addWidget(widget)
        row.addWidget(self.progress, 1)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.legend)
        layout.addWidget(self.about)
        layout.addLayout(row)
        self.measure.clicked.connect(lambda: self.start())
        self.judge.clicked.connect(self._ask_data)
        self.cancel.clicked.connect(self.stop)
        self.export.clicked.connect(self._export)
        self._measured.connect(self._take, Qt.QueuedConnection)
        self._advanced.connect(lambda done: self.progress.setValue(round(1000 * done)),
                               Qt.QueuedConnection)  # fmt: skip
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
        self._rail.setPen(theme.border)
        self._rail.label.setColor(theme.muted)
        self._draw()

    def open(self) -> None:
        """The page is looked at: points are listed, with what is known of them."""
        if not self.points:
            self._list()

    def start(self, data: DataSet | None = None) -> None:
        """Measures the times that are not known yet, or were measured beside the live view; with
        `data`, the accuracy on it.
        """
        if self._measurer is not None or not self.points:
            return
        if data is None:
            wanted = [p for p in self.points if p.ms is None]
            wanted = wanted or [p for p in self.points if p.beside]
        else:
            known = (data.name, data.limit)
            wanted = [p for p in self.points if (p.data, p.pictures) != known] or self.points
        self.notice = "" if wanted else _ALL_ALONE
        if wanted:
            self.progress.setValue(0)
            self._measurer = self._start(
                wanted, self._measured.emit, self._ended.emit, data=data, turns=self._turns,
                on_progress=self._advanced.emit,
            )  # fmt: skip
            self._busy(True)
        self._tell()

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
        """Marks what runs in the live view. Points are those with as many threads."""
        self._knob = choice.threads
        threads = choice.threads or self._usual
        if threads != self._threads and self._measurer is None:
            self._threads = threads
            if self.points:
                self._list()
        device, model = choice.device or self._device, explore.named(choice.model)
        key = explore.key(model, choice.size or size, device, choice.backend, choice.precision)
        if key != self.current:
            self.current = key
            self._draw()

    def at(self, point: Point) -> QPointF | None:
        """Where a point is on the plot widget, if it is on it."""
        there = place(point, self._below)
        if there is None:
            return None
        view = self.plot.plotItem.vb
        scene = view.mapViewToScene(QPointF(np.log10(there[0]), there[1]))
        return QPointF(self.plot.mapFromScene(scene))

    # Inside

    def _list(self) -> None:
        try:
            found = explore.points(available(everywhere=True), self._device, self._threads)
            self.points = explore.load(found, explore.results_file())
        except (OSError, WeightsError) as error:
            self.notice = f"{error}"
        self._draw()

    def _take(self, point: Point) -> None:
        self.points = explore.updated(self.points, point)
        try:
            explore.save(self.points, explore.results_file())
        except OSError as error:
            self.notice = f"what was measured cannot be kept: {error}"
        self._draw()

    def _end(self, problem: str) -> None:
        self._measurer = None
        self.notice = problem or self.notice
        self._busy(False)
        self._tell()

    def _busy(self, on: bool) -> None:
        for widget in (self.measure, self.judge):
            widget.setVisible(not on)
        for widget in (self.cancel, self.progress):
            widget.setVisible(on)

    def _draw(self) -> None:
        below = self._below = rail(self.points)
        shown = [(p, there) for p in self.points if (there := place(p, below))]
        front = [place(p, below) for p in explore.pareto(self.points)]
        self._front.setData(*zip(*front, strict=True) if front else ([], []),
                            pen=pg.mkPen(self._theme.accent, width=1.5))  # fmt: skip
        self._rail.setPos(below)
        self._rail.setVisible(any(p.pck is None for p, _ in shown))
        # Small ones are not to be hidden by large ones.
        self._dots.setData(sorted((self._dot(p, *there) for p, there in shown),
                                  key=lambda dot: -dot["size"]))  # fmt: skip
        self.legend.setText(legend_html([p for p, _ in shown]) if shown else "")
        self._tell()

    def _dot(self, point: Point, ms: float, pck: float) -> dict[str, Any]:
        one, runs = mark(point), point.key == self.current
        colour = pg.mkColor(*one.colour)
        return {
            "pos": (np.log10(ms), pck), "size": one.diameter + 5 * runs,
            "symbol": _SYMBOLS[one.shape], "data": point.key,
            "brush": pg.mkBrush(colour if one.filled else None),
            "pen": pg.mkPen(self._theme.text if runs else colour, width=3 if runs else 2),
        }  # fmt: skip

    def _nearest(self, scene: QPointF) -> Point | None:
        spot = QPointF(self.plot.mapFromScene(scene))
        near: list[tuple[float, Point]] = []
        for point in self.points:
            there = self.at(point)
            if there is not None:
                away = there - spot
                near.append((float(np.hypot(away.x(), away.y())), point))
        best = min(near, key=lambda pair: pair[0], default=None)
        return best[1] if best is not None and best[0] <= _NEAR else None

    def _hover(self, scene: QPointF) -> None:
        point = self._nearest(scene)
        self._hovered = point.key if point else ""
        self._tell()

    def _clicked(self, scene: QPointF) -> None:
        point = self._nearest(scene)
        if point is not None:
            self.chosen.emit(Choice(
                point.model, point.backend, point.precision, point.size, self._knob,
                "" if point.device == self._device else point.device,
            ))  # fmt: skip

    def _tell(self) -> None:
        """The point below the mouse, or what there is to say."""
        hovered = next((p for p in self.points if p.key == self._hovered), None)
        missing = [p for p in self.points if p.ms is None]
        failed = [p for p in missing if p.problem]
        hint = f"{len(missing)} of {len(self.points)} points have no time yet. " if missing else ""
        hint += "Click a point to run it."
        if failed:
            hint += f" {len(failed)} failed, such as {failed[-1].key}: {failed[-1].problem}"
        self.about.setText(describe(hovered) if hovered else self.notice or hint)

    def _ask_data(self) -> None:
        dialog = DataDialog(self._theme, self)
        dialog.setAttribute(Qt.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: self.start(dialog.data))
        dialog.open()

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
            self.notice = f"wrote {file}"
        except (OSError, ValueError) as error:
            self.notice = f"{error}"
        self._tell()
