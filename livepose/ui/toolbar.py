"""The bar above everything: pickers, buttons and the menu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtWidgets import QAction, QActionGroup, QFrame, QHBoxLayout, QMenu, QToolButton, QWidget

from livepose.ui import icons
from livepose.ui.camera import VIEWS
from livepose.ui.theme import Theme

_ICON = QSize(20, 20)


class ToolBar(QFrame):
    """theme_chosen: one of `livepose.ui.theme.CHOICES`."""

    theme_chosen = pyqtSignal(str)

    def __init__(
        self, actions: Mapping[str, QAction], pickers: Sequence[QWidget], theme_choice: str
    ) -> None:
        super().__init__(objectName="bar")
        self._actions = actions
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(6)
        for picker in pickers:
            row.addWidget(picker)
            row.addSpacing(4)
        row.addSpacing(6)
        for name in ("pause", "step", "mirror", "screenshot"):
            row.addWidget(self._button(name))
        row.addStretch(1)
        for name in ("tuning", "latency", "fullscreen", "help"):
            row.addWidget(self._button(name))
        self._menu = QToolButton(toolTip="Menu", popupMode=QToolButton.InstantPopup)
        self._menu.setIconSize(_ICON)
        self._menu.setAccessibleName("Menu")
        self._menu.setMenu(self._entries(theme_choice))
        row.addWidget(self._menu)

    def set_theme(self, theme: Theme) -> None:
        self._menu.setIcon(icons.icon("menu", theme.text))

    def _button(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(self._actions[name])
        button.setIconSize(_ICON)
        button.setFocusPolicy(Qt.TabFocus)
        return button

    def _entries(self, theme_choice: str) -> QMenu:
        menu, actions = QMenu(self), self._actions
        for name in ("open", "cameras", "screenshot"):
            menu.addAction(actions[name])
        menu.addSeparator()
        for name in ("mirror", "trails", "tuning", "latency", "fullscreen"):
            menu.addAction(actions[name])
        views = menu.addMenu("3D view")
        for view in VIEWS:
            views.addAction(actions[f"view_{view}"])
        themes = menu.addMenu("Theme")
        group = QActionGroup(self)
        for choice, text in (("system", "As the system"), ("light", "Light"), ("dark", "Dark")):
            action = themes.addAction(text)
            action.setCheckable(True)
            action.setChecked(choice == theme_choice)
            action.setData(choice)
            group.addAction(action)
        group.triggered.connect(lambda action: self.theme_chosen.emit(action.data()))
        menu.addSeparator()
        menu.addAction(actions["help"])
        menu.addAction(actions["quit"])
        return menu
