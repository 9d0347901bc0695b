"""The latency panel: where the time goes, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt5.QtCore import QEvent, QRectF, QSize, Qt
from PyQt5.QtGui import QColor, QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent
from PyQt5.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from livepose import palette
from livepose.timing.timeline import STAGES
from livepose.ui.theme import DARK, Theme, font

if TYPE_CHECKING:
    from livepose.timing.stats import StageStats, Stats

MEANING = {
    "capture": "The picture exists until it is in memory: exposure, transfer, decoding",
    "wait": "In the one-slot hand-over, until inference takes it",
    "detect": "Looking for people who are not followed yet",
    "preprocess": "Cutting out and scaling the part that the network looks at",
    "upload": "To the device that computes",
    "forward": "The network itself",
    "decode": "From heat maps to joints",
    "download": "Back from the device",
    "track": "Who is who, smoothing, metres",
    "compare": "The other network of a comparison",
    "probe": "The network once more, for the answer of the unit that is looked at",
    "handover": "From the engine until the window begins to paint",
    "paint": "Painting, until the pixels have gone to the screen",
    "total": "Age of the picture at the moment it is on the screen",
}
_ROWS = (("last", "last"), ("median", "median"), ("p95", "95 %"), ("max", "max"))


def milliseconds(ms: float) -> str:
    """Three digits that matter: "0.04", "4.2", "52", "1234"."""
    if ms < 0.995:
        return f"{ms:.2f}"
    return f"{ms:.1f}" if ms < 99.95 else f"{ms:.0f}"


class _StagePaint(QWidget):
    """What the bar and the table have in common: the stats, the theme, a font."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self._stats: Stats | None = None
        self._theme = DARK

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def set_stats(self, stats: Stats) -> None:
        self._stats = stats
        self.update()

    def stage_at(self, x: float) -> str | None:
        raise NotImplementedError

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.ToolTip:
            stage = self.stage_at(event.pos().x())
            if stage is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), f"{stage}: {MEANING.get(stage, stage)}", self)
            return True
        return super().event(event)


class StageBar(_StagePaint):
    """One bar for the median picture, its stages stacked in the order of time."""

    def sizeHint(self) -> QSize:
        return QSize(400, 20)

    def segments(self) -> list[tuple[str, float, float, float]]:
        """(stage, left, width, median ms) in pixels, the whole bar for the sum of the medians."""
        if self._stats is None or not self._stats.stages:
            return []
        medians = [(name, s.median) for name, s in self._stats.stages.items()]
        total = sum(ms for _, ms in medians) or 1.0
        result, left = [], 0.0
        for name, ms in medians:
            width = self.width() * ms / total
            result.append((name, left, width, ms))
            left += width
        return result

    def stage_at(self, x: float) -> str | None:
        return next((name for name, left, w, _ in self.segments() if left <= x < left + w), None)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QColor(self._theme.raised))
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        text_font = font(8, QFont.DemiBold)
        metrics = QFontMetricsF(text_font)
        painter.setFont(text_font)
        for name, left, width, ms in self.segments():
            rect = QRectF(left, 0, max(width - 1, 0.5), self.height())
            painter.fillRect(rect, QColor(*palette.STAGES.get(name, (128, 128, 128))))
            for label in (f"{name} {milliseconds(ms)}", milliseconds(ms)):
                if metrics.horizontalAdvance(label) + 10 <= width:
                    painter.setPen(QColor("#0b0e12"))
                    painter.drawText(rect, Qt.AlignCenter, label)
                    painter.setPen(Qt.NoPen)
                    break
        painter.end()


class StageTable(_StagePaint):
    """Last value, median, 95th percentile and maximum of each stage and of the whole, in ms."""

    _LABELS = 58
    _ROW = 19

    def sizeHint(self) -> QSize:
        return QSize(700, self._ROW * (len(_ROWS) + 1) + 2)

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*STAGES, "total")

    @property
    def _column_width(self) -> float:
        return (self.width() - self._LABELS) / len(self._columns)

    def stage_at(self, x: float) -> str | None:
        column = int((x - self._LABELS) // self._column_width)
        return self._columns[column] if 0 <= column < len(self._columns) else None

    def text(self, row: str, stage: str) -> str:
        """What stands in a cell, e.g. ``text("p95", "forward")``."""
        if self._stats is None:
            return "–"
        found: StageStats | None = (
            self._stats.end_to_end if stage == "total" else self._stats.stages.get(stage)
        )
        return milliseconds(getattr(found, row)) if found is not None and found.max else "–"

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        small, normal, strong = font(8), font(9), font(9, QFont.DemiBold)
        muted, text = QColor(self._theme.muted), QColor(self._theme.text)
        for i, (row, label) in enumerate(_ROWS, start=1):
            rect = QRectF(0, i * self._ROW, self._LABELS, self._ROW)
            painter.setFont(small)
            painter.setPen(muted)
            painter.drawText(rect, Qt.AlignLeft | Qt.AlignVCenter, label)
            for c, stage in enumerate(self._columns):
                painter.setFont(strong if row == "median" or stage == "total" else normal)
                painter.setPen(text if row in ("last", "median") else muted)
                painter.drawText(self._cell(c, i), Qt.AlignRight | Qt.AlignVCenter,
                                 self.text(row, stage))  # fmt: skip
        metrics = QFontMetricsF(small)
        painter.setFont(small)
        for c, stage in enumerate(self._columns):
            cell = self._cell(c, 0)
            title = "total ms" if stage == "total" else stage
            title = metrics.elidedText(title, Qt.ElideRight, cell.width() - 11)
            width = metrics.horizontalAdvance(title)
            painter.setPen(text if stage == "total" else muted)
            painter.drawText(cell, Qt.AlignRight | Qt.AlignVCenter, title)
            if stage != "total":
                painter.setPen(Qt.NoPen)
                painter.setBrush(QColor(*palette.STAGES[stage]))
                painter.drawRoundedRect(
                    QRectF(cell.right() - width - 11, cell.center().y() - 3, 7, 7), 2, 2
                )
        painter.end()

    def _cell(self, column: int, row: int) -> QRectF:
        width = self._column_width
        return QRectF(self._LABELS + column * width, row * self._ROW, width, self._ROW)


class LatencyPanel(QFrame):
    """Title and rates, the bar, the table. Fed a few times a second, never per frame."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, objectName="panel")
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self.setAccessibleName("Latency")
        title = QLabel("Where the time goes", objectName="title")
        title.setFont(font(9.5, QFont.DemiBold))
        self._rates = QLabel(objectName="muted", textFormat=Qt.RichText)
        self._rates.setFont(font(9))
        self.bar, self.table = StageBar(), StageTable()
        head = QHBoxLayout()
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(self._rates)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self.bar)
        layout.addWidget(self.table)
        self._theme = DARK

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.bar.set_theme(theme)
        self.table.set_theme(theme)

    def set_stats(self, stats: Stats) -> None:
        self.bar.set_stats(stats)
        self.table.set_stats(stats)
        share = 100 * stats.dropped / stats.captured if stats.captured else 0.0
        values = (
            ("captured", f"{stats.capture_fps:.1f}/s"),
            ("inferred", f"{stats.inference_fps:.1f}/s"),
            ("painted", f"{stats.paint_fps:.1f}/s"),
            ("dropped", f"{stats.dropped} of {stats.captured} ({share:.0f} %)"),
        )
        gap = "&nbsp;" * 5
        self._rates.setText(gap.join(
            f"{name}&nbsp; <span style='color:{self._theme.text}'>{value}</span>"
            for name, value in values
        ))  # fmt: skip
