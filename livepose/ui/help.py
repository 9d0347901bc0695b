"""The sheet of keyboard shortcuts, made from the actions themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QFont, QKeySequence
from PyQt5.QtWidgets import QAction, QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from livepose.ui.theme import Theme, font

_MOUSE = (
    ("Drag in 3D", "Turn the view"),
    ("Wheel in 3D", "Nearer and farther"),
    ("Shift + drag in 3D", "Move the view"),
    ("Double click the picture", "Full screen"),
)


class HelpSheet(QDialog):
    """Lists what keys and mouse do, in groups; Esc, F1 and ? close it."""

    def __init__(
        self, groups: Mapping[str, Sequence[QAction]], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard and mouse")
        self.setAttribute(Qt.WA_DeleteOnClose)
        self._theme = theme
        columns = QHBoxLayout(self)
        columns.setContentsMargins(28, 24, 28, 26)
        columns.setSpacing(44)
        rows = {
            title: [
                (" or ".join(k.toString(QKeySequence.NativeText) for k in action.shortcuts()),
                 action.text().replace("&", "").rstrip("…"))
                for action in actions if action.shortcuts()
            ]
            for title, actions in groups.items()
        }  # fmt: skip
        rows["Mouse"] = list(_MOUSE)
        # Two columns of about the same height.
        halves: tuple[QVBoxLayout, QVBoxLayout] = (QVBoxLayout(), QVBoxLayout())
        heights = [0, 0]
        for title, entries in rows.items():
            side = 0 if heights[0] <= heights[1] else 1
            heights[side] += len(entries) + 2
            halves[side].addLayout(self._group(title, entries))
            halves[side].addSpacing(14)
        for half in halves:
            half.addStretch(1)
            columns.addLayout(half)

    def _group(self, title: str, entries: Sequence[tuple[str, str]]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(7)
        head = QLabel(title, objectName="title")
        head.setFont(font(11, QFont.DemiBold))
        grid.addWidget(head, 0, 0, 1, 2)
        for row, (keys, what) in enumerate(entries, start=1):
            cap = QLabel(keys, alignment=Qt.AlignCenter)
            cap.setFont(font(9))
            cap.setStyleSheet(
                f"background: {self._theme.raised}; border: 1px solid {self._theme.border};"
                "border-radius: 4px; padding: 2px 8px;"
            )
            text = QLabel(what)
            text.setFont(font(10))
            grid.addWidget(cap, row, 0, Qt.AlignLeft)
            grid.addWidget(text, row, 1)
        grid.setColumnMinimumWidth(0, 120)
        grid.setColumnStretch(1, 1)
        return grid

    def keyPressEvent(self, event) -> None:
        if event.key() in (Qt.Key_F1, Qt.Key_Question):
            self.close()
        else:
            super().keyPressEvent(event)
