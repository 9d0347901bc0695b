"""Icons as strokes on a 24 x 24 grid: sharp at every scale, no files and no icon fonts."""

from __future__ import annotations

from collections.abc import Callable

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

Point = tuple[float, float]


class _Strokes:
    """A path under construction and the parts of it that are filled."""

    def __init__(self) -> None:
        self.path = QPainterPath()
        self.solid = QPainterPath()

    def line(self, *points: Point, close: bool = False) -> _Strokes:
        self.path.addPolygon(QPolygonF([QPointF(*p) for p in points]))
        if close:
            self.path.closeSubpath()
        return self

    def fill(self, *points: Point) -> _Strokes:
        self.solid.addPolygon(QPolygonF([QPointF(*p) for p in points]))
        self.solid.closeSubpath()
        return self

    def circle(self, x: float, y: float, r: float) -> _Strokes:
        self.path.addEllipse(QPointF(x, y), r, r)
        return self

    def dot(self, x: float, y: float, r: float = 1.3) -> _Strokes:
        self.solid.addEllipse(QPointF(x, y), r, r)
        return self

    def box(self, x: float, y: float, w: float, h: float, r: float = 2) -> _Strokes:
        self.path.addRoundedRect(QRectF(x, y, w, h), r, r)
        return self

    def arc(self, x: float, y: float, r: float, start: float, length: float) -> _Strokes:
        rect = QRectF(x - r, y - r, 2 * r, 2 * r)
        self.path.arcMoveTo(rect, start)
        self.path.arcTo(rect, start, length)
        return self


_ICONS: dict[str, Callable[[_Strokes], object]] = {
    "pause": lambda s: s.fill((7, 5), (10, 5), (10, 19), (7, 19)).fill(
        (14, 5), (17, 5), (17, 19), (14, 19)
    ),
    "play": lambda s: s.fill((7, 4.5), (19, 12), (7, 19.5)),
    "step": lambda s: s.fill((6, 5), (15, 12), (6, 19)).fill(
        (16.5, 5), (19, 5), (19, 19), (16.5, 19)
    ),
    "mirror": lambda s: (
        s.line((12, 3), (12, 6)).line((12, 9), (12, 15)).line((12, 18), (12, 21))
        .line((9, 7), (3, 17), (9, 17), close=True).fill((15, 7), (21, 17), (15, 17))
    ),
    "screenshot": lambda s: (
        s.line((8, 7), (9.5, 4.5), (14.5, 4.5), (16, 7)).box(3, 7, 18, 12.5, 2.5)
        .circle(12, 13, 3.4)
    ),
    "latency": lambda s: (
        s.line((4, 4), (4, 20), (20, 20)).line((8, 16), (8, 13)).line((12, 16), (12, 7))
        .line((16, 16), (16, 10))
    ),
    "help": lambda s: s.circle(12, 12, 9).arc(12, 9.8, 2.7, 165, -215).line(
        (12.2, 12.4), (12, 14)
    ).dot(12, 17),
    "menu": lambda s: s.line((4, 7), (20, 7)).line((4, 12), (20, 12)).line((4, 17), (20, 17)),
    "open": lambda s: s.line(
        (3, 19), (3, 5.5), (9, 5.5), (11, 8), (21, 8), (21, 19), close=True
    ),
    "refresh": lambda s: s.arc(12, 12, 7.5, 60, 290).line((20.5, 4.5), (19, 10), (13.8, 7.6)),
    "source": lambda s: s.box(2.5, 6, 13, 12, 2.5).line(
        (15.5, 11), (21.5, 7.5), (21.5, 16.5), (15.5, 13)
    ),
    "model": lambda s: (
        s.circle(6, 6.5, 2.4).circle(6, 17.5, 2.4).circle(18, 12, 2.4)
        .line((8.2, 7.6), (15.8, 11)).line((8.2, 16.4), (15.8, 13))
    ),
    "heat": lambda s: s.circle(12, 12, 8.5).circle(12, 12, 4.6).dot(12, 12, 1.8),
    "close": lambda s: s.line((6, 6), (18, 18)).line((18, 6), (6, 18)),
    "info": lambda s: s.circle(12, 12, 9).dot(12, 7.8).line((12, 11.5), (12, 16.5)),
    "warning": lambda s: s.line((12, 3.5), (22, 20), (2, 20), close=True)
    .line((12, 9.5), (12, 14)).dot(12, 17),
    "error": lambda s: s.circle(12, 12, 9).line((12, 7), (12, 12.8)).dot(12, 16.4),
    "check": lambda s: s.line((4.5, 12.5), (10, 18), (19.5, 7)),
    "tune": lambda s: (
        s.line((4, 7), (12, 7)).line((17, 7), (20, 7)).circle(14.5, 7, 2.2)
        .line((4, 16.5), (6.5, 16.5)).line((11.5, 16.5), (20, 16.5)).circle(9, 16.5, 2.2)
    ),
    "fullscreen": lambda s: (
        s.line((4, 9), (4, 4), (9, 4)).line((15, 4), (20, 4), (20, 9))
        .line((20, 15), (20, 20), (15, 20)).line((9, 20), (4, 20), (4, 15))
    ),
    "quit": lambda s: s.arc(12, 13, 7.5, 125, 290).line((12, 3.5), (12, 12)),
    "theme": lambda s: s.circle(12, 12, 8.5).fill(
        (12, 3.5), (16.5, 4.8), (19.6, 8.2), (20.5, 12), (19.6, 15.8), (16.5, 19.2), (12, 20.5)
    ),
    "view": lambda s: (
        s.line((12, 2.8), (20, 7.2), (20, 16.8), (12, 21.2), (4, 16.8), (4, 7.2), close=True)
        .line((4, 7.2), (12, 11.8), (20, 7.2)).line((12, 11.8), (12, 21.2))
    ),
    "person": lambda s: (
        s.circle(12, 5, 2.5).line((5, 10.5), (12, 9.2), (19, 10.5)).line((12, 9.2), (12, 14.5))
        .line((7.5, 21.5), (12, 14.5), (16.5, 21.5))
    ),
}  # fmt: skip
NAMES = tuple(_ICONS)


def paint(
    painter: QPainter, name: str, rect: QRectF, colour: QColor | str, width: float = 1.8
) -> None:
    """Draws the icon into `rect`; `width` is that of its strokes on the grid of 24."""
    strokes = _Strokes()
    _ICONS[name](strokes)
    painter.save()
    painter.setRenderHint(QPainter.Antialiasing)
    painter.translate(rect.topLeft())
    painter.scale(rect.width() / 24, rect.height() / 24)
    painter.setPen(QPen(QColor(colour), width, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
    painter.setBrush(Qt.NoBrush)
    painter.drawPath(strokes.path)
    painter.fillPath(strokes.solid, QColor(colour))
    painter.restore()


def pixmap(name: str, colour: QColor | str, size: int, ratio: float = 1.0) -> QPixmap:
    result = QPixmap(round(size * ratio), round(size * ratio))
    result.setDevicePixelRatio(ratio)
    result.fill(Qt.transparent)
    painter = QPainter(result)
    paint(painter, name, QRectF(0, 0, size, size), colour)
    painter.end()
    return result


def icon(name: str, colour: str, checked: str = "", disabled: str = "", size: int = 20) -> QIcon:
    """The icon in its states, for screens of 1 to 3 device pixels a pixel."""
    result = QIcon()
    for ratio in (1.0, 2.0, 3.0):
        result.addPixmap(pixmap(name, colour, size, ratio), QIcon.Normal, QIcon.Off)
        result.addPixmap(pixmap(name, checked or colour, size, ratio), QIcon.Normal, QIcon.On)
        result.addPixmap(pixmap(name, disabled or colour, size, ratio), QIcon.Disabled)
    return result
