"""The pickers of source, model and heat map, and what pickers of other things are made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from PyQt5.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QComboBox, QSpinBox, QWidget

from livepose.skeleton import JOINTS
from livepose.ui import icons
from livepose.ui.painting import ALL_JOINTS, joint_title
from livepose.ui.theme import DARK, Theme


class Picker(QComboBox):
    """A combo box with an icon, an arrow of our own and a width that suits a tool bar."""

    def __init__(self, icon: str, name: str, width: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = icon
        self._theme = DARK
        self._width = width
        self.setAccessibleName(name)
        self.setToolTip(name)
        self.setMinimumContentsLength(6)
        self.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.setMaxVisibleItems(24)
        self.setStyleSheet("QComboBox { padding-left: 32px; }")

    def sizeHint(self) -> QSize:
        return QSize(self._width, super().sizeHint().height())

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def fill(self, entries: Sequence[tuple[str, object]], current: object) -> None:
        """(text, data) of all entries; the current one, by its data, is chosen without a signal."""
        self.blockSignals(True)
        if [self.itemText(i) for i in range(self.count())] != [text for text, _ in entries]:
            self.clear()
            for text, data in entries:
                self.addItem(text, data)
        there = [data for _, data in entries]
        self.setCurrentIndex(there.index(current) if current in there else -1)
        self.blockSignals(False)

    def showPopup(self) -> None:
        longest = max((self.fontMetrics().horizontalAdvance(self.itemText(i))
                       for i in range(self.count())), default=0)  # fmt: skip
        self.view().setMinimumWidth(max(self.width(), min(520, longest + 56)))
        super().showPopup()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        middle = self.height() / 2
        icons.paint(painter, self._icon, QRectF(9, middle - 9, 18, 18), self._theme.muted)
        _arrow(painter, self, self.width() - 15.5, middle, 4)
        painter.end()


class Stepper(QSpinBox):
    """A number to type or to step through, with arrows of our own."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        for half in (-3.5, 3.5):
            _arrow(painter, self, self.width() - 11.5, self.height() / 2 + 1.4 * half, half)
        painter.end()


def _arrow(painter: QPainter, of: QWidget, x: float, y: float, half: float) -> None:
    """Down, or up for a negative half of its width."""
    painter.setPen(QPen(of.palette().text(), 1.5, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
    painter.drawPolyline(QPointF(x - half, y - half / 2), QPointF(x, y + half / 2),
                         QPointF(x + half, y - half / 2))  # fmt: skip


class SourcePicker(Picker):
    """Cameras, clip and files. Looking for cameras takes a while and goes on beside the UI.

    chosen: a source was picked. file_wanted: the user wants to pick a file.
    """

    chosen = pyqtSignal(str)
    file_wanted = pyqtSignal()
    _found = pyqtSignal(list)

    _FILE, _REFRESH = "\0file", "\0refresh"

    def __init__(self, look: Callable[[], list[tuple[str, str]]]) -> None:
        super().__init__("source", "Source of the pictures", 250)
        self._look = look
        self._looking = False
        self._sources: list[tuple[str, str]] = []
        self._current = ""
        self._found.connect(self._take, Qt.QueuedConnection)
        self.activated.connect(self._activated)
        self._fill()

    def look(self) -> None:
        """Lists the sources anew, in the background."""
        if self._looking:
            return
        self._looking = True
        threading.Thread(target=self._search, name="sources", daemon=True).start()

    def set_current(self, source: str) -> None:
        if source != self._current or source != self.currentData():
            self._current = source
            self._fill()

    def _search(self) -> None:
        sources: list[tuple[str, str]] | None = None
        try:
            sources = self._look()
        finally:
            with suppress(RuntimeError):  # the window may have gone in the meantime
                self._found.emit(self._sources if sources is None else sources)

    def _take(self, sources: Sequence[tuple[str, str]]) -> None:
        self._looking = False
        self._sources = list(sources)
        self._fill()

    def _fill(self) -> None:
        self.blockSignals(True)
        self.clear()
        entries = list(self._sources)
        if self._current and self._current not in [spec for spec, _ in entries]:
            entries.insert(0, (self._current, _short(self._current)))
        for spec, name in entries:
            self.addItem(name, spec)
            self.setItemData(self.count() - 1, spec, Qt.ToolTipRole)
        if entries:
            self.insertSeparator(self.count())
        self.addItem("Open a file…", self._FILE)
        self.addItem("Look for cameras again", self._REFRESH)
        index = self.findData(self._current)
        self.setCurrentIndex(index if self._current else -1)
        self.blockSignals(False)

    def _activated(self, index: int) -> None:
        data = self.itemData(index)
        if data in (self._FILE, self._REFRESH):
            self.setCurrentIndex(self.findData(self._current) if self._current else -1)
            if data == self._FILE:
                self.file_wanted.emit()
            else:
                self.look()
        elif data is not None:
            self._current = data
            self.chosen.emit(data)


class ModelPicker(Picker):
    """chosen: a model was picked."""

    chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__("model", "Model", 190)
        self.activated.connect(lambda index: self.chosen.emit(self.itemText(index)))

    def set_models(self, models: Sequence[str], current: str) -> None:
        names = list(models) if current in models or not current else [current, *models]
        if names != [self.itemText(i) for i in range(self.count())]:
            self.clear()
            self.addItems(names)
        self.setCurrentIndex(names.index(current) if current in names else -1)


class HeatPicker(Picker):
    """Which joint's heat map lies over the picture. chosen: joint index, `ALL_JOINTS` or None."""

    chosen = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__("heat", "Heat map over the picture", 170)
        self.addItem("No heat map", None)
        self.insertSeparator(1)
        for joint in (ALL_JOINTS, *range(len(JOINTS))):
            self.addItem(joint_title(joint), joint)
        self._last: int = ALL_JOINTS
        self.currentIndexChanged.connect(self._changed)

    @property
    def joint(self) -> int | None:
        return self.currentData()

    def choose(self, joint: int | None) -> None:
        self.setCurrentIndex(0 if joint is None else self.findData(joint))

    def toggle(self) -> None:
        """Off, or back to the joint that was shown last."""
        self.choose(self._last if self.joint is None else None)

    def step(self, by: int) -> None:
        """The next or the previous joint."""
        if self.joint is None:
            self.toggle()
            return
        joints = [ALL_JOINTS, *range(len(JOINTS))]
        self.choose(joints[(joints.index(self.joint) + by) % len(joints)])

    def _changed(self, index: int) -> None:
        if self.joint is not None:
            self._last = self.joint
        self.chosen.emit(self.joint)


def _short(source: str) -> str:
    """The file's name of a path, anything else as it is."""
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source
