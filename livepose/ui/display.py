"""Is there a display to open a window on? Asked without Qt, which aborts the process if not."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import socket
import sys
from pathlib import Path

# What the wheels of Qt and vispy load from the system, by its names in Debian and Ubuntu.
APT_PACKAGES = (
    "libgl1 libegl1 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0 "
    "libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 "
    "libxcb-xfixes0 fonts-dejavu-core"
)
_WITHOUT_DISPLAY = ("offscreen", "minimal", "minimalegl", "vnc", "eglfs", "linuxfb")


def display_available() -> bool:
    """Whether a window can be opened; cheap, never aborts."""
    return not display_problem()


def display_problem() -> str:
    """One sentence that says why no window can be opened, empty if one can."""
    if not sys.platform.startswith("linux"):
        return ""
    platform = os.environ.get("QT_QPA_PLATFORM", "").split(":")[0].split(";")[0]
    if platform in _WITHOUT_DISPLAY:
        return ""
    if platform.startswith("wayland"):
        return "" if _wayland_answers() else "no Wayland compositor answers at $WAYLAND_DISPLAY"
    if _x_answers():
        return _plugin_problem("libqxcb.so")
    if not platform and _wayland_answers():
        return _plugin_problem("libqwayland-generic.so")
    if os.environ.get("DISPLAY"):
        return f"the X server at DISPLAY={os.environ['DISPLAY']} does not answer"
    return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY leads to one)"


def only_wayland() -> bool:
    """A Wayland compositor answers and no X server does: Qt 5 would not think of it by itself."""
    return not os.environ.get("QT_QPA_PLATFORM") and not _x_answers() and _wayland_answers()


# The connection of the last question. An X server of which we are the only client (Xvfb) resets
# itself when that client leaves, and would turn Qt away for as long as that takes.
_held: list[tuple[ctypes.CDLL, int]] = []


def _x_answers() -> bool:
    """Connects as Qt would, authorisation included."""
    if not os.environ.get("DISPLAY"):
        return False
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    if xcb.xcb_connection_has_error(connection):
        xcb.xcb_disconnect(connection)
        return False
    while _held:
        library, old = _held.pop()
        library.xcb_disconnect(old)
    _held.append((xcb, connection))
    return True


def _wayland_answers() -> bool:
    name = os.environ.get("WAYLAND_DISPLAY")
    if not name:
        return False
    path = Path(os.environ.get("XDG_RUNTIME_DIR", "")) / name
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _plugin_problem(library: str) -> str:
    """Loads Qt's platform plugin from the wheel; names the system library that it misses."""
    spec = importlib.util.find_spec("PyQt5")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        plugin = Path(folder) / "Qt5" / "plugins" / "platforms" / library
        if plugin.exists():
            try:
                ctypes.CDLL(str(plugin))
            except OSError as error:
                return (f"a system library that Qt needs is missing ({error}); "
                        f"on Debian and Ubuntu: apt install {APT_PACKAGES}")  # fmt: skip
    return ""
