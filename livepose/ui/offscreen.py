"""An OpenGL widget that is drawn out of sight, and painted as a picture where it should be."""

from __future__ import annotations

from PyQt5.QtCore import QCoreApplication, QEvent, Qt, pyqtSignal
from PyQt5.QtGui import QImage, QPainter, QPaintEvent, QResizeEvent
from PyQt5.QtWidgets import QOpenGLWidget, QWidget

_MOUSE = frozenset({
    QEvent.MouseButtonPress, QEvent.MouseButtonRelease, QEvent.MouseButtonDblClick,
    QEvent.MouseMove, QEvent.Wheel,
})  # fmt: skip


class Offscreen(QWidget):
    """Stands where `native` would be, and hands the mouse on to it.

    For OpenGL in software: what Qt does to bring a visible OpenGL widget onto the screen goes
    through OpenGL once more, and takes nearly as long as the drawing. painted: emitted when a new
    drawing has been painted.
    """

    painted = pyqtSignal()

    def __init__(self, native: QOpenGLWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self._native = native
        self._image: QImage | None = None
        native.setParent(self, Qt.Window)
        native.setAttribute(Qt.WA_DontShowOnScreen)
        native.setUpdatesEnabled(False)  # it is drawn when this is painted, not besides
        native.show()
        # vispy asks its own widget to be drawn anew.
        native.update = self.redraw

    def redraw(self) -> None:
        """Has it drawn anew with the next painting."""
        self._image = None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        new = self._image is None
        if self._image is None:
            self._image = self._native.grabFramebuffer()
        painter = QPainter(self)
        painter.drawImage(self.rect(), self._image)
        painter.end()
        if new:
            self.painted.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._native.resize(event.size())
        self.redraw()

    def event(self, event: QEvent) -> bool:
        if event.type() in _MOUSE:
            QCoreApplication.sendEvent(self._native, event)
            return True
        return super().event(event)
