"""Messages over the picture: the banner for faults, the toast for what has just been done."""

from __future__ import annotations

from PyQt5.QtCore import QEvent, QObject, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QPainter, QPaintEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from livepose import palette
from livepose.ui import icons
from livepose.ui.notices import Notice
from livepose.ui.theme import font

_MARGIN = 12


class _Overlay(QWidget):
    """A box of rounded corners that stays in place over its parent."""

    def __init__(self, parent: QWidget, max_width: int) -> None:
        super().__init__(parent)
        self._max_width = max_width
        self._fill = QColor(0, 0, 0)
        self._edge = QColor(0, 0, 0)
        self._icon = QLabel()
        self._text = QLabel(wordWrap=True, textFormat=Qt.PlainText)
        self._text.setFont(font(10))
        self._text.setStyleSheet("color: white; background: transparent;")
        self._text.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Preferred)
        self._icon.setStyleSheet("background: transparent;")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(14, 10, 10, 10)
        self._row.setSpacing(10)
        self._row.addWidget(self._icon, 0, Qt.AlignTop)
        self._row.addWidget(self._text, 1)
        self._timer = QTimer(self, singleShot=True)
        parent.installEventFilter(self)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text() if not self.isHidden() else ""

    def _set(self, icon: str, text: str, colour: QColor) -> None:
        self._fill, self._edge = colour.darker(230), colour
        self._fill.setAlpha(242)
        self._icon.setPixmap(icons.pixmap(icon, colour.lighter(135), 20, self.devicePixelRatioF()))
        self._text.setText(text)
        self._place()
        self.show()
        self.raise_()
        self.update()

    def _place(self) -> None:
        raise NotImplementedError

    def _fitted(self) -> QSize:
        """As wide as the text needs, at most what there is; as high as that makes it."""
        margins = self._row.contentsMargins()
        others = sum(
            item.sizeHint().width() + self._row.spacing()
            for item in map(self._row.itemAt, range(self._row.count()))
            if item.widget() is not self._text
        )
        others += margins.left() + margins.right()
        available = max(160, min(self._max_width, self.parentWidget().width() - 2 * _MARGIN))
        wanted = self._text.fontMetrics().horizontalAdvance(self._text.text()) + others + 4
        width = min(wanted, available)
        height = max(20, self._text.heightForWidth(width - others))
        return QSize(width, height + margins.top() + margins.bottom())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Resize and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(self._edge)
        painter.setBrush(self._fill)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        painter.end()


class Banner(_Overlay):
    """Along the upper edge; not in the way of anything, and gone when the trouble is.

    dismissed: the user closed it, or its time was up.
    """

    dismissed = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, max_width=760)
        self.setAccessibleName("Message")
        self.notice: Notice | None = None
        close = QToolButton(icon=icons.icon("close", "#ffffff", size=14), toolTip="Dismiss")
        close.setIconSize(QSize(14, 14))
        close.setStyleSheet(
            "QToolButton { background: transparent; border: none; padding: 3px; }"
            "QToolButton:hover { background: rgba(255, 255, 255, 40); }"
        )
        close.setCursor(Qt.ArrowCursor)
        close.setFocusPolicy(Qt.NoFocus)
        close.clicked.connect(self.dismissed)
        self.close_button = close
        self._row.addWidget(close, 0, Qt.AlignTop)
        self._timer.timeout.connect(self.dismissed)

    def show_notice(self, notice: Notice | None) -> None:
        """Shows the notice, or nothing for None."""
        if notice is self.notice:
            return
        self.notice = notice
        self._timer.stop()
        if notice is None:
            self.hide()
            return
        level = notice.event.level
        self._set(level, notice.event.message, QColor(*palette.LEVELS[level]))
        if notice.lasts_s is not None:
            self._timer.start(round(notice.lasts_s * 1000))

    def _place(self) -> None:
        size = self._fitted()
        self.setGeometry((self.parentWidget().width() - size.width()) // 2, _MARGIN,
                         size.width(), size.height())  # fmt: skip


class Toast(_Overlay):
    """Along the lower edge, for a few seconds."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, max_width=640)
        self.setAttribute(Qt.WA_TransparentForMouseEvents)
        self._timer.timeout.connect(self.hide)

    def show_text(self, text: str, icon: str = "check", seconds: float = 4.0) -> None:
        self._set(icon, text, QColor(96, 108, 124))
        self._timer.start(round(seconds * 1000))

    def _place(self) -> None:
        size = self._fitted()
        parent = self.parentWidget()
        self.setGeometry((parent.width() - size.width()) // 2,
                         parent.height() - size.height() - _MARGIN,
                         size.width(), size.height())  # fmt: skip
