"""The status strip: how old the picture on screen is, and what it is made with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PyQt5.QtCore import QSize, Qt
from PyQt5.QtGui import QFont, QPainter, QPaintEvent
from PyQt5.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from livepose.ui.theme import font

if TYPE_CHECKING:
    from livepose.timing.stats import Stats

# A picture that nothing followed for so long has an age that grows before one's eyes.
STALE_MS = 1000.0


def device_line(device: str, precision: str) -> str:
    """("CPU (2 threads)", "bfloat16") -> "CPU · bfloat16 · 2 threads"."""
    match = re.fullmatch(r"(.+?) \((.+)\)", device)
    parts = (match[1], precision, match[2]) if match else (device, precision)
    return " · ".join(part for part in parts if part)


def headline(median_ms: float, on_screen_ms: float | None, paused: bool) -> tuple[str, str]:
    """The headline number and what it means.

    median_ms: of the pictures' ages when they were painted. on_screen_ms: age of the picture on
    screen at this moment, None if there is none.
    """
    if on_screen_ms is None:
        return "–", "no picture yet"
    if paused:
        return "Paused", "the picture stands still"
    if on_screen_ms > max(STALE_MS, 4 * median_ms):
        return f"{on_screen_ms / 1000:.0f} s old", "no new picture since"
    number = f"{median_ms:.0f}" if median_ms >= 9.5 else f"{median_ms:.1f}"
    return f"{number} ms old", "when it is on screen, median"


class ElidedLabel(QLabel):
    """One line that ends in an ellipsis where room is short; the tool tip has all of it."""

    def __init__(self, objectName: str = "value", parent: QWidget | None = None) -> None:
        super().__init__(parent, objectName=objectName)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)
        self.elides = True

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.sizeHint().height()) if self.elides else self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().windowText().color())
        text = self.fontMetrics().elidedText(self.text(), Qt.ElideRight, self.width())
        painter.drawText(self.rect(), Qt.AlignLeft | Qt.AlignVCenter, text)
        painter.end()


class _Field(QWidget):
    """A caption and the value below it."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        label = QLabel(caption, objectName="muted")
        label.setFont(font(8))
        self.value = ElidedLabel()
        self.value.setFont(font(10))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addStretch(1)
        layout.addWidget(label)
        layout.addWidget(self.value)
        layout.addStretch(1)


class StatusStrip(QFrame):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, objectName="strip")
        self.setFixedHeight(56)
        self._age = QLabel("–", objectName="value")
        self._age.setFont(font(17, QFont.Bold))
        self._meaning = QLabel("no picture yet", objectName="muted")
        self._meaning.setFont(font(8))
        age = QVBoxLayout()
        age.setSpacing(0)
        age.addStretch(1)
        age.addWidget(self._age)
        age.addWidget(self._meaning)
        age.addStretch(1)
        self._fields = {
            name: _Field(caption)
            for name, caption in (
                ("rate", "Pictures per second"),
                ("device", "Device"),
                ("model", "Model"),
                ("source", "Source"),
                ("note", "Why it is slow"),
            )
        }
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(16)
        layout.addLayout(age)
        self._rules: dict[str, QFrame] = {}
        for name, field in self._fields.items():
            rule = QFrame(objectName="rule")
            rule.setFixedHeight(30)
            self._rules[name] = rule
            layout.addWidget(rule)
            layout.addWidget(field, 3 if name == "note" else 0)
        layout.addStretch(1)
        # The headline must not push the rest about when its number changes.
        widest = self._age.fontMetrics().horizontalAdvance("888 ms old")
        self._age.setMinimumWidth(widest)
        self._meaning.setMinimumWidth(widest)
        # Where the network runs is never cut off.
        device = self._fields["device"].value
        device.elides = False
        self._set("note", "")

    def set_stats(
        self, stats: Stats, model: str, on_screen_ms: float | None, paused: bool, why: str = ""
    ) -> None:
        """why: what makes it slow, if that is known."""
        number, meaning = headline(stats.end_to_end.median, on_screen_ms, paused)
        self._age.setText(number)
        self._meaning.setText(meaning)
        self._set("rate", f"{stats.paint_fps:.1f}")
        self._set("device", device_line(stats.device, stats.precision))
        self._set("model", model)
        self._set("source", stats.source)
        self._set("note", why or stats.note)

    def text(self, field: str) -> str:
        """What a field says: "age", "rate", "device", "model", "source" or "note"."""
        return self._age.text() if field == "age" else self._fields[field].value.text()

    def _set(self, name: str, text: str) -> None:
        field = self._fields[name]
        if field.value.text() != text:
            field.value.setText(text)
        if name == "note":
            field.setVisible(bool(text))
            self._rules[name].setVisible(bool(text))
