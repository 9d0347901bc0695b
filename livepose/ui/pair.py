"""One frame as two networks see it: with a line to wipe over it, or side by side."""

from __future__ import annotations

from PyQt5.QtCore import QPointF, QRectF, QSize, Qt
from PyQt5.QtGui import QColor, QFont, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QSizePolicy, QWidget

from livepose.frames import Result
from livepose.ui import painting
from livepose.ui.theme import DARK, Theme, font

_GRIP = 12.0  # pixels across the handle of the wipe's line
_GAP = 4.0  # between the frames side by side


class PairView(QWidget):
    """A's skeletons left of the line and B's right of it, or a frame for each.

    wipe: 0..1, where the line is. beside: side by side. shown: "" for both, "a" or "b" for one
    (flicker).
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setMinimumSize(220, 100)
        self.setAccessibleName("Two networks on one picture")
        self.setCursor(Qt.SplitHCursor)
        self.result: Result | None = None
        self.wipe, self.beside, self.shown, self.mirror = 0.5, False, "", False
        self._theme = DARK

    def sizeHint(self) -> QSize:
        return QSize(420, 300)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def set_mirror(self, on: bool) -> None:
        self.mirror = on
        self.update()

    def show_result(self, result: Result) -> None:
        self.result = result
        self.update()

    def set_wipe(self, share: float) -> None:
        self.wipe = min(max(share, 0.0), 1.0)
        self.update()

    def set_beside(self, on: bool) -> None:
        self.beside = on
        self.setCursor(Qt.ArrowCursor if on else Qt.SplitHCursor)
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
        if event.buttons() & Qt.LeftButton and not self.beside:
            rect = self._fitted(QRectF(self.rect()))
            self.set_wipe((event.localPos().x() - rect.left()) / max(1.0, rect.width()))

    def parts(self) -> list[tuple[str, QRectF, QRectF]]:
        """("a" or "b", where the frame lies, the part of that which is seen), left to right."""
        room = QRectF(self.rect())
        rect = self._fitted(room)
        if self.shown:
            return [(self.shown, rect, rect)]
        if self.beside:
            width = (room.width() - _GAP) / 2
            left = self._fitted(QRectF(0, 0, width, room.height()))
            right = left.translated(width + _GAP, 0)
            return [("a", left, left), ("b", right, right)]
        line = rect.left() + self.wipe * rect.width()
        before = QRectF(rect.topLeft(), QPointF(line, rect.bottom()))
        behind = QRectF(QPointF(line, rect.top()), rect.bottomRight())
        return [("a", rect, before), ("b", rect, behind)]

    def _fitted(self, room: QRectF) -> QRectF:
        """Where a frame lies in a room."""
        if self.result is None:
            return room
        return painting.fitted(room, self.result.frame, self.devicePixelRatioF())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.picture))
        if self.result is not None:
            parts = self.parts()
            for name, rect, seen in parts:
                self._part(painter, rect, seen, self.result if name == "a" else self.result.other)
                self._name(painter, name, rect)
            if not self.shown and not self.beside:
                self._line(painter, parts[1][2])
        painter.end()

    def _part(self, painter: QPainter, rect: QRectF, seen: QRectF, of: Result | None) -> None:
        """The frame, and the skeletons of one of the two if there are any."""
        assert self.result is not None
        frame = self.result.frame
        painter.save()
        painter.setClipRect(seen)
        painting.picture(painter, frame.image, rect, self.mirror)
        painter.translate(rect.topLeft())
        if self.mirror:
            painter.translate(rect.width(), 0)
            painter.scale(-1, 1)
        zoom = rect.width() / frame.width
        painter.scale(zoom, rect.height() / frame.height)
        for pose in of.poses if of is not None else ():
            painting.skeleton(painter, pose, zoom)
        painter.restore()

    def _name(self, painter: QPainter, name: str, rect: QRectF) -> None:
        assert self.result is not None
        of = self.result if name == "a" else self.result.other
        text = name.upper()
        if self.beside:
            text += f"   frame {of.frame.id}" if of is not None else "   nothing"
        right = name == "b" and not self.beside
        painter.setFont(font(9, QFont.Bold))
        for shade, shift in ((QColor(0, 0, 0, 170), 1), (QColor(255, 255, 255), 0)):
            painter.setPen(shade)
            box = rect.adjusted(8, 6, -8, -6).translated(shift, shift)
            painter.drawText(box, (Qt.AlignRight if right else Qt.AlignLeft) | Qt.AlignTop, text)

    def _line(self, painter: QPainter, behind: QRectF) -> None:
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(QPen(QColor(255, 255, 255, 220), 1.5))
        painter.drawLine(behind.topLeft(), behind.bottomLeft())
        painter.setBrush(QColor(255, 255, 255, 220))
        middle = QPointF(behind.left(), behind.center().y())
        painter.drawEllipse(middle, _GRIP / 2, _GRIP / 2)
