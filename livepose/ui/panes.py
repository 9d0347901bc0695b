"""The two halves of the window: a header above a view, and a header with several pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QAction,
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from livepose import palette
from livepose.ui import theme

_HEIGHT = 34


def pane(title: str, view: QWidget, extras: Sequence[QWidget]) -> QWidget:
    """A view below a narrow header with a title and what belongs to it."""
    label = QLabel(title, objectName="title")
    label.setFont(theme.font(9.5))
    return _below(_header([label], extras), view)


def segment(text: str = "") -> QToolButton:
    """A button of a row of which one is chosen."""
    button = QToolButton(objectName="segment", text=text)
    button.setToolButtonStyle(Qt.ToolButtonTextOnly)
    button.setFont(theme.font(9))
    return button


class MenuButton(QToolButton):
    """A button that says what is chosen of a menu."""

    def __init__(self, actions: Sequence[QAction]) -> None:
        super().__init__(objectName="segment")
        menu = QMenu(self)
        menu.addActions(list(actions))
        self.setMenu(menu)
        self.setPopupMode(QToolButton.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonTextOnly)
        self.setFont(theme.font(9))
        # As wide as its longest text: the header shall not move with it.
        longest = max((self._text(action.text()) for action in actions), key=len)
        self.setFixedWidth(self.fontMetrics().horizontalAdvance(longest) + 24)

    def choose(self, text: str) -> None:
        self.setText(self._text(text))

    @staticmethod
    def _text(text: str) -> str:
        return f"{text} \u25be"


class Pages(QWidget):
    """Views of which one is shown, chosen by the titles in the header.

    changed: the title of the page that is shown now.
    """

    changed = pyqtSignal(str)

    def __init__(self, pages: Mapping[str, tuple[QWidget, Sequence[QWidget]]]) -> None:
        """pages: by title, the view and what of the header belongs to it."""
        super().__init__()
        self._pages = dict(pages)
        self._stack = QStackedWidget()
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QToolButton] = {}
        for title, (view, _) in pages.items():
            self._stack.addWidget(view)
            button = segment(title)
            button.setCheckable(True)
            self._group.addButton(button)
            button.clicked.connect(lambda _, title=title: self.show_page(title))
            self.buttons[title] = button
        extras = [extra for _, own in pages.values() for extra in own]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(_header(list(self.buttons.values()), extras))
        layout.addWidget(self._stack, 1)
        self.page = ""
        self.show_page(next(iter(pages)))

    def show_page(self, title: str) -> None:
        if title == self.page:
            self.buttons[title].setChecked(True)
            return
        self.page = title
        self.buttons[title].setChecked(True)
        self._stack.setCurrentWidget(self._pages[title][0])
        for name, (_, own) in self._pages.items():
            for extra in own:
                extra.setVisible(name == title)
        self.changed.emit(title)


def _header(left: Sequence[QWidget], right: Sequence[QWidget]) -> QFrame:
    header = QFrame(objectName="header")
    header.setFixedHeight(_HEIGHT)
    row = QHBoxLayout(header)
    row.setContentsMargins(16, 0, 8, 0)
    row.setSpacing(2)
    for widget in left:
        row.addWidget(widget, 0, Qt.AlignVCenter)
    row.addStretch(1)
    for widget in right:
        row.addWidget(widget, 0, Qt.AlignVCenter)
    return header


def _below(header: QWidget, view: QWidget) -> QWidget:
    whole = QWidget()
    whole.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    layout.addWidget(header)
    layout.addWidget(view, 1)
    return whole


def legend(colours: theme.Theme) -> str:
    """Which colour is which side, the person's own."""
    parts = [
        f"<span style='color:rgb{palette.SIDES[side]}'>&#9632;</span>&nbsp;"
        f"<span style='color:{colours.muted}'>{side}</span>"
        for side in ("left", "right")
    ]
    own = f"<span style='color:{colours.muted}'>the person's own</span>"
    return "&nbsp;&nbsp;&nbsp;".join(["", own, *parts]) + "&nbsp;&nbsp;"
