"""How far apart two networks are, joint by joint: bars for lately, lines for this frame."""

from __future__ import annotations

import numpy as np
from PyQt5.QtCore import QEvent, QRectF, QSize, Qt
from PyQt5.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QSizePolicy, QToolTip, QWidget

from livepose import palette
from livepose.engine.comparison import Difference, Running
from livepose.models.units import by_limb
from livepose.ui.painting import joint_title
from livepose.ui.theme import DARK, Theme, font

_ROW, _COLUMNS, _HEAD = 14, 3, 16
_NAME, _VALUE = 78, 30  # pixels of a column beside the bar
_LEAST = 0.1  # torsos that a whole bar stands for, at least


class JointBars(QWidget):
    """All joints, limb by limb, in percent of a torso."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self.setAccessibleName("Difference of each joint")
        self.order = [j for _, joints in by_limb() for j in joints]
        self._rows = -(-len(self.order) // _COLUMNS)
        self._lately = np.full(len(self.order), np.nan)
        self._now: Difference | None = None
        self._title = ""
        self._theme = DARK

    def sizeHint(self) -> QSize:
        return QSize(420, _HEAD + self._rows * _ROW)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def show_apart(self, apart: Running, frame: int) -> None:
        """frame: id of the last one."""
        self._lately, self._now = apart.torsos.copy(), apart.last
        self._title = f"{apart} lately (bars); frame {frame} (lines)"
        self.update()

    def text(self, joint: int) -> str:
        """What is told of a joint where the mouse stands on it."""
        if np.isnan(self._lately[joint]):
            return f"{joint_title(joint)}: never seen by both"
        text = f"{joint_title(joint)}: {100 * self._lately[joint]:.1f} % of a torso lately, "
        if self._now is None or np.isnan(self._now.torsos[joint]):
            return text + "not seen by both in this frame"
        torsos, pixels = self._now.torsos[joint], self._now.pixels[joint]
        return text + f"{100 * torsos:.1f} % ({pixels:.1f} pixels) in this frame"

    def row(self, joint: int) -> QRectF:
        """Where a joint's row is."""
        column, row = divmod(self.order.index(joint), self._rows)
        width = self.width() / _COLUMNS
        return QRectF(column * width, _HEAD + row * _ROW, width - 8, _ROW)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.ToolTip:
            joint = next((j for j in self.order if self.row(j).contains(event.pos())), None)
            if joint is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self.text(joint), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        muted, text = QColor(self._theme.muted), QColor(self._theme.text)
        painter.setFont(font(7.5))
        painter.setPen(muted)
        head = QRectF(0, 0, self.width(), _HEAD)
        painter.drawText(head, Qt.AlignLeft | Qt.AlignVCenter, self._title)
        known = self._lately[~np.isnan(self._lately)]
        longest = max(_LEAST, float(known.max(initial=0.0)))
        colours = palette.joint_colours(middle=(150, 158, 170))
        for joint in self.order:
            row, lately = self.row(joint), self._lately[joint]
            painter.setPen(muted)
            name = QRectF(row.left(), row.top(), _NAME - 4, _ROW)
            painter.drawText(name, Qt.AlignLeft | Qt.AlignVCenter, joint_title(joint))
            bar = row.adjusted(_NAME, 3, -_VALUE, -3)
            painter.fillRect(bar, QColor(self._theme.raised))
            seen = not np.isnan(lately)
            if seen:
                part = QRectF(bar.topLeft(), bar.bottomRight())
                part.setWidth(bar.width() * lately / longest)
                painter.fillRect(part, QColor(*map(int, colours[joint])))
            now = np.nan if self._now is None else self._now.torsos[joint]
            if not np.isnan(now):
                x = bar.left() + bar.width() * min(1.0, now / longest)
                painter.setPen(QPen(text, 1.5))
                painter.drawLine(round(x), round(row.top() + 1), round(x), round(row.bottom() - 1))
            painter.setPen(text if seen else muted)
            value = QRectF(row.right() - _VALUE, row.top(), _VALUE, _ROW)
            painter.drawText(value, Qt.AlignRight | Qt.AlignVCenter,
                             f"{100 * lately:.1f}" if seen else "–")  # fmt: skip
        painter.end()
