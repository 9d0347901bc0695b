"""What the network has learned: a unit at work, what it answers to, and what moves together."""

from __future__ import annotations

import numpy as np
from PyQt5.QtCore import QEvent, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import (
    QColor,
    QHelpEvent,
    QImage,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QTabWidget,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from livepose import palette
from livepose.crop import Square, cut
from livepose.engine.probing import Probe
from livepose.frames import Activation, Result
from livepose.models.networks import PoseNetwork
from livepose.models.units import (
    COLUMNS,
    TILE,
    by_limb,
    correlation,
    layers,
    read_tops,
    sheet_file,
)
from livepose.ui.painting import image_of, joint_title
from livepose.ui.pickers import Picker, Stepper
from livepose.ui.theme import DARK, Theme, font

_SIDE = 256
_NAMES, _LIMBS = 86.0, 20.0  # pixels left of and above the matrix


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

    def show_activation(self, of: Activation, result: Result, strongest: float) -> None:
        """strongest: the answer that is painted in full."""
        part = cut(result.frame.image, Square.of(of.region), _SIDE)
        self._under = image_of(part)
        self._heat = image_of(palette.heat(of.map / max(strongest, 1e-9)))
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

    def square(self) -> QRectF:
        """Where the matrix is."""
        side = max(60.0, min(self.width() - _NAMES, self.height() - _LIMBS - 4))
        return QRectF(_NAMES, _LIMBS, side, side)

    def text(self, x: float, y: float) -> str:
        """What is told of the two joints at a point."""
        rect, n = self.square(), len(self.order)
        if self.values is None or not rect.contains(x, y):
            return ""
        row = min(n - 1, int((y - rect.top()) / rect.height() * n))
        column = min(n - 1, int((x - rect.left()) / rect.width() * n))
        names = (joint_title(self.order[k]) for k in (row, column))
        return f"{' and '.join(names)}: {self.values[row, column]:+.2f}"

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.ToolTip:
            text = self.text(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), text, self)  # nothing hides it
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self.values is None:
            painter.end()
            return
        rect = self.square()
        painter.drawImage(rect, self._image)
        cell = rect.width() / len(self.order)
        painter.setFont(font(6.5))
        painter.setPen(QColor(self._theme.muted))
        for i, joint in enumerate(self.order):
            box = QRectF(0, rect.top() + i * cell, _NAMES - 6, cell)
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
    """Average pictures of what each unit answers to; the chosen one is framed.

    tops: strongest answer of each unit to the data set, if it is known.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, alignment=Qt.AlignCenter, wordWrap=True)
        self.setMinimumSize(160, 100)
        # As large as the layout says, not as the picture that was fitted to it.
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Ignored)
        self.setTextInteractionFlags(Qt.TextSelectableByMouse)
        self._sheet = QPixmap()
        self.tops: list[float] = []

    def show_sheet(self, model: str, layer: str, unit: int) -> None:
        file = sheet_file(model, layer)
        sheet = QPixmap(str(file)) if file.exists() else QPixmap()
        self.tops = [] if sheet.isNull() else read_tops(file)
        self._sheet = sheet
        if sheet.isNull():
            self.setText("No pictures of what these units answer to. To make them from a folder "
                         f"with COCO:\n\nlivepose units {model} --layer {layer} "
                         "--dataset coco --root FOLDER")  # fmt: skip
            return
        painter = QPainter(sheet)
        painter.setPen(QPen(QColor(255, 220, 90), 3))
        painter.drawRect(QRectF(unit % COLUMNS * TILE, unit // COLUMNS * TILE, TILE, TILE))
        painter.end()
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if not self._sheet.isNull():
            size = self.contentsRect().size()
            self.setPixmap(self._sheet.scaled(size, Qt.KeepAspectRatio, Qt.SmoothTransformation))


class NetworkView(QWidget):
    """probed: the `Probe` that is wanted with every result, or None."""

    probed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer, self.unit = Picker("model", "Layer", 150), Stepper()
        self.unit.setAccessibleName("Unit")
        self.unit.setRange(0, 0)
        self.live, self.sheet, self.matrix = UnitView(), SheetView(), CorrelationView()
        self.answer = QLabel(objectName="value", wordWrap=True)
        self.answer.setFont(font(9))
        self._model = ""
        self._of: tuple[object, ...] = ()  # whose strongest answer so far this is
        self._strongest = 0.0
        row = QHBoxLayout()
        for widget in (QLabel("layer"), self.layer, QLabel("unit"), self.unit):
            row.addWidget(widget)
        row.addWidget(self.answer, 1)
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
        names = [] if net is None else list(layers(net))
        if names != [self.layer.itemText(i) for i in range(self.layer.count())]:
            chosen = self.layer.currentText()
            self.layer.clear()
            self.layer.addItems(names)
            self.layer.setCurrentIndex(max(0, names.index(chosen) if chosen in names else 0))
        self._ask()

    def close_page(self) -> None:
        """Nobody looks any more: the network runs once again."""
        self.probed.emit(None)

    def add(self, result: Result) -> None:
        """A new result has come."""
        of = result.activation
        if of is None:
            return
        self.unit.setMaximum(of.units - 1)
        now, tops = float(of.map.max()), self.sheet.tops
        if (result.way, of.layer, of.unit) != self._of:
            self._of, self._strongest = (result.way, of.layer, of.unit), 0.0
        self._strongest = max(self._strongest, now)
        known = of.unit < len(tops) and of.layer == self.layer.currentText()
        strongest = tops[of.unit] if known else self._strongest
        share = 100 * max(0.0, now) / max(strongest, 1e-9)
        self.answer.setText(f"answers {now:.2f}, {share:.0f} % of its strongest "
                            + ("in the data set" if known else "so far"))  # fmt: skip
        self.live.show_activation(of, result, strongest)

    def _ask(self) -> None:
        layer = self.layer.currentText()
        if not layer:
            return
        self.sheet.show_sheet(self._model, layer, self.unit.value())
        self.probed.emit(Probe(layer, self.unit.value()))
