"""Everything the user can do, in one table: text, keys and icon."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt5.QtGui import QKeySequence
from PyQt5.QtWidgets import QAction, QWidget

from livepose.ui import icons
from livepose.ui.theme import Theme


@dataclass(frozen=True)
class Spec:
    text: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    checkable: bool = False


GROUPS: dict[str, dict[str, Spec]] = {
    "Playback": {
        "open": Spec("Open a file…", ("Ctrl+O",), "open"),
        "pause": Spec("Pause", ("Space",), "pause", checkable=True),
        "step": Spec("One picture on", (".",), "step"),
        "cameras": Spec("Look for cameras", ("F5",), "refresh"),
    },
    "Picture": {
        "mirror": Spec("Mirror", ("M",), "mirror", checkable=True),
        "heat": Spec("Heat map on and off", ("H",), "heat"),
        "heat_next": Spec("Heat map of the next joint", ("]",)),
        "heat_back": Spec("Heat map of the joint before", ("[",)),
        "flicker": Spec("Compare: A, B, both", ("B",)),
        "beside": Spec("Compare: side by side", ("V",)),
        "wipe_back": Spec("Compare: line to the left", ("<",)),
        "wipe_on": Spec("Compare: line to the right", (">",)),
        "screenshot": Spec("Screenshot", ("S", "Ctrl+S"), "screenshot"),
    },
    "3D view": {
        "view_front": Spec("Front", ("1",), "view", checkable=True),
        "view_side": Spec("Side", ("2",), "view", checkable=True),
        "view_top": Spec("Top", ("3",), "view", checkable=True),
        "view_angled": Spec("Angled", ("4",), "view", checkable=True),
        "view_room": Spec("Room", ("5",), "view", checkable=True),
        "trails": Spec("Trails on the floor", ("T",), checkable=True),
    },
    "Window": {
        "tuning": Spec("Settings", ("G",), "tune", checkable=True),
        "latency": Spec("Latency panel", ("L",), "latency", checkable=True),
        "fullscreen": Spec("Full screen", ("F11", "F"), "fullscreen", checkable=True),
        "help": Spec("Keyboard and mouse", ("F1", "?"), "help"),
        "quit": Spec("Quit", ("Ctrl+Q",), "quit"),
    },
}


class Actions(dict[str, QAction]):
    """The actions by name, added to the window so that their keys work everywhere in it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__()
        for group in GROUPS.values():
            for name, spec in group.items():
                action = QAction(spec.text, window, checkable=spec.checkable)
                action.setShortcuts([QKeySequence(key) for key in spec.keys])
                keys = f" ({spec.keys[0]})" if spec.keys else ""
                action.setToolTip(spec.text.rstrip("…") + keys)
                window.addAction(action)
                self[name] = action

    def groups(self) -> dict[str, list[QAction]]:
        return {title: [self[name] for name in group] for title, group in GROUPS.items()}

    def set_theme(self, theme: Theme) -> None:
        for group in GROUPS.values():
            for name, spec in group.items():
                if spec.icon:
                    self[name].setIcon(icons.icon(spec.icon, theme.text, theme.accent, theme.muted))
