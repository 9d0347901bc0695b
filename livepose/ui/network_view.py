"""What the network has learned: a unit at work, what it answers to, and what moves together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PyQt5.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPixmap
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from livepose import palette
from livepose.crop import Square, cut
from livepose.engine.probing import Probe
from livepose.frames import Result
from livepose.models.networks import PoseNetwork
from livepose.models.units import by_limb, correlation
from livepose.resources import WEIGHTS
from livepose.ui.painting import image_of, joint_title
from livepose.ui.pickers import Picker
from livepose.ui.theme import DARK, Theme, font

_TILE, _COLUMNS = 48, 16  # of the sheets that `livepose units` writes
_SIDE = 256


class UnitView(QWidget):
    """The part of the picture that the network sees, with a unit's answer as a heat map on it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(160, 160)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setAccessibleName("Activation of a unit")
        self._under, self._heat = QImage(), QImage()
        self._theme = DARK

    def sizeHint(self) -> QSize:
        return QSize(260, 260)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def show_result(self, result: Result) -> None:
        of = result.activation
        if of is None:
            return
        part = cut(result.frame.image, Square.of(of.region), _SIDE)
        self._under = image_of(part)
        strength = np.maximum(of.map, 0) / max(float(np.abs(of.map).max()), 1e-9)
        self._heat = image_of(palette.heat(strength))
        self.update()

    def square(self) -> QRectF:
        side = min(self.width(), self.height())
        return QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.SmoothPixmapTransform)
        painter.fillRect(self.square(), QColor(self._theme.picture))
        painter.setOpacity(0.5)
        painter.drawImage(self.square(), self._under)
        painter.setOpacity(1.0)
        painter.drawImage(self.square(), self._heat)
        painter.end()


class CorrelationView(QWidget):
    """Correlations of the last layer's weights, joints grouped by limb; red is 1, blue is -1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(220, 220)
        self.setMouseTracking(True)
        self.setAccessibleName("Correlation of the last layer's weights")
        self.order = [j for _, joints in by_limb() for j in joints]
        self.values: np.ndarray | None = None
        self._image = QImage()
        self._theme = DARK

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def show_network(self, net: PoseNetwork | None) -> None:
        if net is None:
            return
        full = correlation(net).numpy()
        self.values = np.nan_to_num(full[np.ix_(self.order, self.order)])
        v = self.values[..., None]
        red, blue, grey = (
            np.array(c, float) for c in ((222, 70, 60), (58, 120, 222), (40, 44, 52))
        )
        rgb = np.where(v > 0, grey + (red - grey) * v, grey + (blue - grey) * -v)
        n = len(v)
        self._image = QImage(rgb.clip(0, 255).astype("u1").tobytes(), n, n, 3 * n,
                             QImage.Format_RGB888).copy()  # fmt: skip
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self.values is None:
            painter.end()
            return
        room = 86.0
        side = max(60.0, min(self.width() - room, self.height() - 24.0))
        rect = QRectF(room, 20, side, side)
        painter.drawImage(rect, self._image)
        cell = side / len(self.order)
        painter.setFont(font(6.5))
        painter.setPen(QColor(self._theme.muted))
        for i, joint in enumerate(self.order):
            box = QRectF(0, rect.top() + i * cell, room - 6, cell)
            painter.drawText(box, Qt.AlignRight | Qt.AlignVCenter, joint_title(joint))
        painter.setFont(font(7.5))
        at = 0
        for name, joints in by_limb():
            painter.setPen(QColor(self._theme.muted))
            width = len(joints) * cell
            painter.drawText(QRectF(rect.left() + at * cell, 2, max(width, 40), 16), 0, name)
            painter.setPen(QPen(QColor(self._theme.text), 1))
            painter.drawRect(QRectF(rect.left() + at * cell, rect.top() + at * cell, width, width))
            at += len(joints)
        painter.end()


class SheetView(QLabel):
    """Average pictures of what each unit answers to; the chosen one is framed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, alignment=Qt.AlignCenter, wordWrap=True)
        self.setMinimumSize(160, 100)
        self._sheet = QPixmap()
        self.unit = 0

    def show_sheet(self, model: str, layer: str, unit: int) -> None:
        file = sheet_file(model, layer)
        self._sheet = QPixmap(str(file)) if file.exists() else QPixmap()
        self.unit = unit
        if self._sheet.isNull():
            self.setText(f"No sheet of these units. `livepose units {Path(model).stem}` makes one: "
                         f"{file.name} in {file.parent.name}.")  # fmt: skip
            return
        marked = QPixmap(self._sheet)
        painter = QPainter(marked)
        painter.setPen(QPen(QColor(255, 220, 90), 3))
        painter.drawRect(QRectF(unit % _COLUMNS * _TILE, unit // _COLUMNS * _TILE, _TILE, _TILE))
        painter.end()
        self.setPixmap(marked.scaled(self.size(), Qt.KeepAspectRatio, Qt.SmoothTransformation))


def sheet_file(model: str, layer: str) -> Path:
    """Where the sheet of a shipped model's layer lies."""
    return WEIGHTS / "units" / f"{Path(model).stem}-{layer}.png"


class NetworkView(QWidget):
    """probed: the `Probe` that is wanted with every result, or None."""

    probed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer, self.unit = Picker("model", "Layer", 150), QSpinBox()
        self.layer.addItems(["middle", "high"])
        self.unit.setAccessibleName("Unit")
        self.unit.setRange(0, 0)
        self.live, self.sheet, self.matrix = UnitView(), SheetView(), CorrelationView()
        self._model = ""
        row = QHBoxLayout()
        for widget in (QLabel("layer"), self.layer, QLabel("unit"), self.unit):
            row.addWidget(widget)
        row.addStretch(1)
        units = QWidget()
        column = QVBoxLayout(units)
        column.addLayout(row)
        column.addWidget(self.live, 3)
        column.addWidget(self.sheet, 2)
        self.tabs = QTabWidget()
        self.tabs.addTab(units, "Units")
        self.tabs.addTab(self.matrix, "Last layer")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addWidget(self.tabs)
        self.layer.activated.connect(lambda _: self._ask())
        self.unit.valueChanged.connect(lambda _: self._ask())

    def set_theme(self, theme: Theme) -> None:
        for part in (self.live, self.matrix, self.layer):
            part.set_theme(theme)

    def open(self, model: str, net: PoseNetwork | None) -> None:
        """The page is looked at, or the network has changed."""
        self._model = model
        self.matrix.show_network(net)
        self._ask()

    def close_page(self) -> None:
        """Nobody looks any more: the network runs once again."""
        self.probed.emit(None)

    def add(self, result: Result) -> None:
        """A new result has come."""
        of = result.activation
        if of is not None:
            self.unit.setMaximum(of.units - 1)
            self.live.show_result(result)

    def _ask(self) -> None:
        layer = self.layer.currentText()
        self.sheet.show_sheet(self._model, layer, self.unit.value())
        self.probed.emit(Probe(layer, self.unit.value()))
