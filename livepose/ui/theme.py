"""Dark and light: which one the system wants, and what they look like."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from string import Template

from PyQt5.QtCore import QObject, QSettings, pyqtSignal, pyqtSlot
from PyQt5.QtDBus import QDBusConnection, QDBusMessage, QDBusVariant
from PyQt5.QtGui import QColor, QFont, QPalette
from PyQt5.QtWidgets import QApplication

from livepose.palette import RGB

CHOICES = ("system", "light", "dark")


@dataclass(frozen=True)
class Theme:
    """Colours of the window by role; `middle` is that of the body's middle line in 3D."""

    name: str
    window: str
    surface: str
    raised: str
    border: str
    text: str
    muted: str
    accent: str
    on_accent: str
    picture: str
    scene: RGB
    floor: RGB
    grid: RGB
    shadow: RGB
    middle: RGB

    @property
    def dark(self) -> bool:
        return self.name == "dark"


DARK = Theme(
    name="dark", window="#14171c", surface="#1b1f26", raised="#262c35", border="#2c333d",
    text="#e7ebf0", muted="#94a0af", accent="#4aa3ff", on_accent="#08131f", picture="#0d0f13",
    scene=(21, 24, 30), floor=(33, 38, 46), grid=(76, 86, 100), shadow=(17, 19, 24),
    middle=(222, 228, 236),
)  # fmt: skip
LIGHT = Theme(
    name="light", window="#eef1f5", surface="#ffffff", raised="#e6eaf0", border="#d3d9e1",
    text="#1b222c", muted="#5d6978", accent="#1a73d9", on_accent="#ffffff", picture="#dfe4ea",
    scene=(236, 239, 243), floor=(223, 228, 234), grid=(172, 181, 192), shadow=(196, 203, 212),
    middle=(158, 168, 182),
)  # fmt: skip

_STYLE = Template("""
* { outline: none; }
QMainWindow, QWidget#body { background: $window; }
QDialog { background: $surface; }
QWidget { color: $text; }
QToolTip { background: $raised; color: $text; border: 1px solid $border; padding: 4px 6px; }
QFrame#bar { background: $surface; border: none; border-bottom: 1px solid $border; }
QFrame#strip, QFrame#panel { background: $surface; border: none; border-top: 1px solid $border; }
QFrame#side { background: $surface; border: none; border-left: 1px solid $border; }
QTabWidget::pane { border: none; }
QTabBar::tab { padding: 4px 12px; color: $muted; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-color: $accent; }
QSpinBox { background: $raised; border: 1px solid $border; border-radius: 6px; padding: 4px 8px; }
QSpinBox::up-button, QSpinBox::down-button { background: transparent; border: none; width: 18px; }
QSpinBox::up-arrow, QSpinBox::down-arrow { image: none; }
QProgressBar { background: $raised; border: none; border-radius: 3px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QScrollBar:vertical { width: 8px; background: transparent; margin: 2px; }
QScrollBar::handle:vertical { background: $border; border-radius: 3px; min-height: 24px; }
QScrollBar::handle:vertical:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {
    height: 0; background: transparent; }
QSlider { min-height: 20px; }
QSlider::groove:horizontal { height: 4px; border-radius: 2px; background: $raised; }
QSlider::sub-page:horizontal { height: 4px; border-radius: 2px; background: $accent; }
QSlider::sub-page:horizontal:disabled { background: $border; }
QSlider::handle:horizontal { width: 14px; height: 14px; margin: -5px 0; border-radius: 7px;
    background: $text; }
QSlider::handle:horizontal:disabled { background: $muted; }
QSlider::handle:horizontal:focus { background: $accent; }
QCheckBox { spacing: 8px; padding: 3px 0; }
QCheckBox:disabled { color: $muted; }
QFrame#header { background: $surface; border: none; border-bottom: 1px solid $border; }
QFrame#rule { background: $border; border: none; max-width: 1px; min-width: 1px; }
QLabel#title { color: $text; font-weight: 600; }
QLabel#muted { color: $muted; }
QLabel#badge { color: $muted; border: 1px solid $border; border-radius: 4px; padding: 1px 6px; }
QLabel#value { color: $text; }
QSplitter::handle { background: $border; }
QSplitter::handle:hover { background: $accent; }
QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px;
    padding: 5px; }
QToolButton:hover { background: $raised; }
QToolButton:pressed, QToolButton:checked { background: $raised; border-color: $border; }
QToolButton:checked { color: $accent; }
QToolButton:focus { border-color: $accent; }
QToolButton:disabled { color: $muted; }
QToolButton::menu-indicator { image: none; }
QToolButton#segment { padding: 3px 10px; color: $muted; }
QToolButton#segment:checked { color: $text; }
QPushButton { background: $raised; border: 1px solid $border; border-radius: 6px;
    padding: 6px 16px; }
QPushButton:hover, QPushButton:focus { border-color: $accent; }
QComboBox { background: $raised; border: 1px solid $border; border-radius: 6px;
    padding: 5px 8px 5px 10px; }
QComboBox:hover, QComboBox:focus { border-color: $accent; }
QComboBox:disabled { color: $muted; }
QComboBox::drop-down { border: none; width: 22px; }
QComboBox::down-arrow { image: none; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $border; padding: 4px;
    selection-background-color: $raised; selection-color: $text; }
QComboBox QAbstractItemView::item { min-height: 26px; padding: 2px 8px; }
QMenu { background: $surface; border: 1px solid $border; padding: 6px; }
QMenu::item { padding: 6px 28px 6px 30px; border-radius: 4px; }
QMenu::item:selected { background: $raised; }
QMenu::item:disabled { color: $muted; }
QMenu::icon { left: 8px; }
QMenu::indicator { left: 8px; width: 14px; height: 14px; }
QMenu::separator { height: 1px; background: $border; margin: 6px 4px; }
QScrollArea, QScrollArea > QWidget > QWidget { background: transparent; border: none; }
""")


class SystemTheme(QObject):
    """Tells whether the system wants dark, and when that changes."""

    changed = pyqtSignal()

    _SERVICE = "org.freedesktop.portal.Desktop"
    _PATH = "/org/freedesktop/portal/desktop"
    _INTERFACE = "org.freedesktop.portal.Settings"
    _NAMESPACE = "org.freedesktop.appearance"

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # Read before we set a palette of our own.
        palette = QApplication.palette()
        self._palette_dark = palette.color(QPalette.Window).lightness() < 128
        self._portal = self._ask_portal()

    @property
    def dark(self) -> bool:
        if self._portal in (1, 2):
            return self._portal == 1
        if sys.platform == "win32":
            key = QSettings(
                r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Themes\Personalize",
                QSettings.NativeFormat,
            )
            return int(key.value("AppsUseLightTheme", 1)) == 0
        if "dark" in os.environ.get("GTK_THEME", "").lower():
            return True
        # A bare X server has no opinion, Qt's light default palette is none either.
        if sys.platform.startswith("linux") and not os.environ.get("XDG_CURRENT_DESKTOP"):
            return True
        return self._palette_dark

    def _ask_portal(self) -> int:
        """0: no answer or no preference, 1: dark, 2: light."""
        if not sys.platform.startswith("linux"):
            return 0
        if not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            return 0
        bus = QDBusConnection.sessionBus()
        if not bus.isConnected():
            return 0
        bus.connect(
            self._SERVICE, self._PATH, self._INTERFACE, "SettingChanged", self._setting_changed
        )
        message = QDBusMessage.createMethodCall(self._SERVICE, self._PATH, self._INTERFACE, "Read")
        message.setArguments([self._NAMESPACE, "color-scheme"])
        reply = bus.call(message, timeout=300)
        if reply.type() != QDBusMessage.ReplyMessage or not reply.arguments():
            return 0
        return _unwrapped(reply.arguments()[0])

    @pyqtSlot(QDBusMessage)
    def _setting_changed(self, message: QDBusMessage) -> None:
        namespace, key, value = (*message.arguments(), None, None, None)[:3]
        if (namespace, key) == (self._NAMESPACE, "color-scheme"):
            self._portal = _unwrapped(value)
            self.changed.emit()


def _unwrapped(value: object) -> int:
    while isinstance(value, QDBusVariant):
        value = value.variant()
    return value if isinstance(value, int) else 0


def choose(choice: str, system: SystemTheme) -> Theme:
    """The theme for one of `CHOICES`."""
    dark = system.dark if choice == "system" else choice == "dark"
    return DARK if dark else LIGHT


def apply(app: QApplication, theme: Theme) -> None:
    """Sets style, palette and style sheet of the whole application."""
    app.setStyle("Fusion")
    palette = QPalette()
    roles = {
        QPalette.Window: theme.window, QPalette.WindowText: theme.text,
        QPalette.Base: theme.surface, QPalette.AlternateBase: theme.raised,
        QPalette.Text: theme.text, QPalette.Button: theme.raised,
        QPalette.ButtonText: theme.text, QPalette.Highlight: theme.accent,
        QPalette.HighlightedText: theme.on_accent, QPalette.ToolTipBase: theme.raised,
        QPalette.ToolTipText: theme.text, QPalette.Link: theme.accent,
        QPalette.PlaceholderText: theme.muted,
    }  # fmt: skip
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.WindowText, QPalette.Text, QPalette.ButtonText):
        palette.setColor(QPalette.Disabled, role, QColor(theme.muted))
    app.setPalette(palette)
    app.setStyleSheet(_STYLE.substitute(vars(theme)))


def font(points: float, weight: int = QFont.Normal) -> QFont:
    """The system's font in another size, digits of equal width where the font can."""
    result = QFont(QApplication.font())
    result.setPointSizeF(points)
    result.setWeight(weight)
    return result
