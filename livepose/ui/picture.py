"""The picture with the skeleton on it: exactly the frame that the pose belongs to."""

from __future__ import annotations

from PyQt5.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PyQt5.QtWidgets import QSizePolicy, QWidget

from livepose.frames import Result
from livepose.timing.timeline import now_ns
from livepose.ui import icons, painting
from livepose.ui.theme import DARK, Theme, font

# A result that a hidden window shows later than this (ns) is no news, its times mean nothing.
_NEWS_NS = 250_000_000


class PictureView(QWidget):
    """Paints the newest result, letterboxed; the result is kept as long as it is on screen.

    painted: emitted once for each result that came to the screen, its times marked.
    clicked: x and y in pixels of the frame.
    """

    painted = pyqtSignal(object)
    double_clicked = pyqtSignal()
    clicked = pyqtSignal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setMinimumSize(240, 180)
        self.setAccessibleName("Picture with skeleton")
        self._result: Result | None = None
        self._unpainted = False
        self._repainting = False
        self._shown_ns = 0
        self._theme = DARK
        self._hint = ""
        self.mirror = False
        self.heat_joint: int | None = None

    @property
    def result(self) -> Result | None:
        return self._result

    def sizeHint(self) -> QSize:
        return QSize(720, 520)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def set_hint(self, text: str) -> None:
        """What to say as long as there is no picture."""
        self._hint = text
        self.update()

    def set_mirror(self, on: bool) -> None:
        self.mirror = on
        self.update()

    def set_heat_joint(self, joint: int | None) -> None:
        """The joint whose heat map lies over the picture (`painting.ALL_JOINTS`; None: none)."""
        self.heat_joint = joint
        self.update()

    def show_result(self, result: Result, news: bool = True) -> None:
        """Paints a new result at once and marks its times; one of the past (not news) just so.

        `repaint` returns when the pixels have gone to the window system, so that the stage
        "paint" has all of it, not only the painter's part.
        """
        self._result = result
        self._unpainted, self._shown_ns = news, now_ns()
        if not news:
            self.update()
            return
        self._repainting = True
        try:
            self.repaint()
        finally:
            self._repainting = False
        if not self._unpainted:
            self._mark_painted(result)

    def _mark_painted(self, result: Result) -> None:
        result.frame.timeline.mark("paint")
        self.painted.emit(result)

    def frame_rect(self) -> QRectF:
        """Where the frame lies in the widget: aspect kept, edges on device pixels."""
        room = QRectF(self.rect())
        if self._result is None:
            return room
        return painting.fitted(room, self._result.frame, self.devicePixelRatioF())

    def _frame_size(self) -> tuple[int, int]:
        """Width and height of the frame in its pixels."""
        frame = None if self._result is None else self._result.frame
        return (1, 1) if frame is None else (frame.width, frame.height)

    def to_widget(self, x: float, y: float) -> QPointF:
        """Frame pixel (its centre) -> point of the widget, mirrored or not."""
        rect, (width, height) = self.frame_rect(), self._frame_size()
        u, v = (x + 0.5) / width, (y + 0.5) / height
        u = 1 - u if self.mirror else u
        return QPointF(rect.x() + u * rect.width(), rect.y() + v * rect.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        result = self._result
        first, self._unpainted = self._unpainted, False
        first = first and now_ns() - self._shown_ns < _NEWS_NS
        if first and result is not None:
            result.frame.timeline.mark("handover")
        painter = QPainter(self)
        if result is None:
            painter.fillRect(self.rect(), QColor(self._theme.picture))
            self._paint_hint(painter)
        else:
            self._paint_result(painter, result)
        painter.end()
        # Qt may put a repaint off to its next round if OpenGL has just drawn the window.
        if first and result is not None and not self._repainting:
            self._mark_painted(result)

    def _paint_result(self, painter: QPainter, result: Result) -> None:
        rect = self.frame_rect()
        background = QColor(self._theme.picture)
        for bar in (
            QRectF(0, 0, self.width(), rect.top()),
            QRectF(0, rect.bottom(), self.width(), self.height() - rect.bottom()),
            QRectF(0, rect.top(), rect.left(), rect.height()),
            QRectF(rect.right(), rect.top(), self.width() - rect.right(), rect.height()),
        ):
            painter.fillRect(bar, background)

        painter.setClipRect(rect)
        painting.picture(painter, result.frame.image, rect, self.mirror)
        painter.translate(rect.topLeft())
        if self.mirror:
            painter.translate(rect.width(), 0)
            painter.scale(-1, 1)
        zoom = rect.width() / result.frame.width
        painter.scale(zoom, rect.height() / result.frame.height)
        joint = self.heat_joint
        heated = joint is not None and bool(result.heatmaps)
        if joint is not None:
            for maps, pose in zip(result.heatmaps, result.poses, strict=False):
                painting.heat(painter, maps, joint, pose.confidence, zoom)
        for pose in result.poses:
            painting.skeleton(painter, pose, zoom, strength=0.45 if heated else 1.0)
        for pose in result.poses:
            painting.number(painter, pose, zoom, self.mirror)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        rect = self.frame_rect()
        if event.button() == Qt.LeftButton and rect.contains(event.localPos()):
            u = (event.localPos().x() - rect.x()) / rect.width()
            v = (event.localPos().y() - rect.y()) / rect.height()
            u = 1 - u if self.mirror else u
            width, height = self._frame_size()
            self.clicked.emit(u * width - 0.5, v * height - 0.5)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.double_clicked.emit()

    def _paint_hint(self, painter: QPainter) -> None:
        if not self._hint:
            return
        centre = QPointF(self.rect().center())
        icons.paint(painter, "person", QRectF(centre.x() - 32, centre.y() - 70, 64, 64),
                    self._theme.border, 1.3)  # fmt: skip
        painter.setFont(font(11))
        painter.setPen(QColor(self._theme.muted))
        box = QRectF(24, centre.y() + 8, self.width() - 48, 80)
        painter.drawText(box, Qt.AlignHCenter | Qt.AlignTop | Qt.TextWordWrap, self._hint)
