"""A against B on the same frame: a wipe, a flicker key, and how far their joints are apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PyQt5.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QFont, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from livepose.engine.comparison import Running, difference, network_ms
from livepose.engine.loading import Choice
from livepose.frames import Result
from livepose.ui import painting
from livepose.ui.painting import joint_title
from livepose.ui.pickers import Picker
from livepose.ui.theme import DARK, Theme, font

_GRIP = 12.0  # pixels beside the wipe's line that still take hold of it
_WORST = 4  # joints that are named


class WipeView(QWidget):
    """The frame once, A's skeletons left of the line and B's right of it.

    wipe: 0..1, where the line is. shown: "" for both, "a" or "b" for one (flicker).
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setMinimumSize(220, 160)
        self.setAccessibleName("Two networks on one picture")
        self.setCursor(Qt.SplitHCursor)
        self.result: Result | None = None
        self.wipe, self.shown, self.mirror = 0.5, "", False
        self._image = QImage()
        self._pixels: np.ndarray | None = None
        self._theme = DARK

    def sizeHint(self) -> QSize:
        return QSize(420, 300)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def show_result(self, result: Result) -> None:
        self.result = result
        # QImage aliases the buffer: both are kept, and replaced together.
        self._pixels = np.ascontiguousarray(result.frame.image)
        h, w = self._pixels.shape[:2]
        self._image = QImage(self._pixels.data, w, h, self._pixels.strides[0],
                             QImage.Format_BGR888)  # fmt: skip
        self.update()

    def set_wipe(self, share: float) -> None:
        self.wipe = min(max(share, 0.0), 1.0)
        self.update()

    def flicker(self) -> None:
        """A alone, B alone, both again."""
        self.shown = {"": "a", "a": "b", "b": ""}[self.shown]
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._drag(event)

    def _drag(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.LeftButton:
            rect = self.frame_rect()
            self.set_wipe((event.localPos().x() - rect.left()) / max(1.0, rect.width()))

    def frame_rect(self) -> QRectF:
        """Where the frame lies: aspect kept."""
        if self._image.isNull():
            return QRectF(self.rect())
        zoom = min(self.width() / self._image.width(), self.height() / self._image.height())
        w, h = self._image.width() * zoom, self._image.height() * zoom
        return QRectF((self.width() - w) / 2, (self.height() - h) / 2, w, h)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.picture))
        result = self.result
        if result is not None:
            rect = self.frame_rect()
            painter.setRenderHint(QPainter.SmoothPixmapTransform)
            painter.save()
            if self.mirror:
                painter.translate(2 * rect.left() + rect.width(), 0)
                painter.scale(-1, 1)
            painter.drawImage(rect, self._image)
            painter.restore()
            at = rect.left() + self.wipe * rect.width()
            line = {"a": rect.right() + 1, "b": rect.left() - 1}.get(self.shown, at)
            left = QRectF(rect.left(), rect.top(), line - rect.left(), rect.height())
            right = QRectF(line, rect.top(), rect.right() + 1 - line, rect.height())
            self._skeletons(painter, rect, left, result)
            if result.other is not None:
                self._skeletons(painter, rect, right, result.other)
            self._names(painter, rect, at)
        painter.end()

    def _skeletons(self, painter: QPainter, rect: QRectF, clip: QRectF, result: Result) -> None:
        if clip.width() <= 0:
            return
        zoom = rect.width() / self._image.width()
        painter.save()
        painter.setClipRect(clip)
        painter.translate(rect.topLeft())
        if self.mirror:
            painter.translate(rect.width(), 0)
            painter.scale(-1, 1)
        painter.scale(zoom, zoom)
        for pose in result.poses:
            painting.skeleton(painter, pose, zoom)
        painter.restore()

    def _names(self, painter: QPainter, rect: QRectF, at: float) -> None:
        painter.setFont(font(9, QFont.Bold))
        painter.setPen(QColor(255, 255, 255))
        for name, flags in (("A", Qt.AlignLeft), ("B", Qt.AlignRight)):
            if self.shown in ("", name.lower()):
                painter.drawText(rect.adjusted(8, 6, -8, -6), flags | Qt.AlignTop, name)
        if not self.shown:
            painter.setPen(QPen(QColor(255, 255, 255, 220), 1.5))
            painter.drawLine(QPointF(at, rect.top()), QPointF(at, rect.bottom()))
            painter.setBrush(QColor(255, 255, 255, 220))
            painter.drawEllipse(QPointF(at, rect.center().y()), _GRIP / 2, _GRIP / 2)


class Comparison(QWidget):
    """wanted: the `Choice` that every picture shall be compared with, or None."""

    wanted = pyqtSignal(object)

    def __init__(self, models: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = WipeView()
        self.other = Picker("model", "B: the network to compare with", 220)
        self.other.addItems(list(models))
        self.numbers, self.joints = QLabel(objectName="value"), QLabel(objectName="muted")
        for label in (self.numbers, self.joints):
            label.setFont(font(9))
            label.setWordWrap(True)
        self._apart = Running()
        row = QHBoxLayout()
        row.addWidget(QLabel("compare with"))
        row.addWidget(self.other, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addLayout(row)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.numbers)
        layout.addWidget(self.joints)
        self.other.activated.connect(lambda _: self.open())

    def set_theme(self, theme: Theme) -> None:
        self.view.set_theme(theme)
        self.other.set_theme(theme)

    def open(self) -> None:
        """The page is looked at: the rival is wanted."""
        self._apart = Running()
        self.numbers.setText("B is loading…")
        self.joints.setText("")
        if self.other.currentText():
            self.wanted.emit(Choice(self.other.currentText()))

    def close_page(self) -> None:
        """Nobody looks any more: every picture costs once again."""
        self.wanted.emit(None)

    def choose(self, model: str) -> None:
        """Compares with this model."""
        self.other.setCurrentText(model)
        self.open()

    def add(self, result: Result) -> None:
        """A new result has come."""
        self.view.show_result(result)
        other = result.other
        if other is None:
            return
        of = difference(result, other)
        self._apart.add(of)
        a, b = network_ms(result), result.frame.timeline.ms().get("compare", 0.0)
        self.numbers.setText(
            f"A {Path(result.model).stem}: {a:.1f} ms    B {Path(other.model).stem}: {b:.1f} ms"
            f"    frame {result.frame.id}: {self._apart}"
        )
        means = self._apart.torsos
        order = np.argsort(-np.nan_to_num(means))
        worst = [int(j) for j in order if not np.isnan(means[j])][:_WORST]
        named = [f"{joint_title(j)} {100 * means[j]:.0f} %" for j in worst]
        self.joints.setText("   ".join(named))
