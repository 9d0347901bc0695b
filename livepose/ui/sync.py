"""Whether the window system waits for the screen, although the app asks it not to."""

from __future__ import annotations

import statistics
import time

from PyQt5.QtGui import QGuiApplication, QOpenGLContext, QSurface, QWindow

_SWAPS = 20
_APPEARS_S, _LONGEST_S = 10.0, 3.0  # for the window to come up, for all swaps


def swap_ms() -> float:
    """Median time to show a picture by OpenGL, in ms: 16 where a screen of 60 Hz is waited for.

    0 where no window comes up. There must be an application (`livepose.ui.app.make_application`).
    """
    window, context = QWindow(), QOpenGLContext()
    window.setSurfaceType(QSurface.OpenGLSurface)
    window.resize(160, 90)
    window.show()
    end = time.monotonic() + _APPEARS_S
    while not window.isExposed() and time.monotonic() < end:
        QGuiApplication.processEvents()
    if not (window.isExposed() and context.create() and context.makeCurrent(window)):
        return 0.0
    times: list[float] = []
    end = time.monotonic() + _LONGEST_S
    while len(times) < _SWAPS and time.monotonic() < end:
        begin = time.perf_counter()
        context.swapBuffers(window)
        times.append(1e3 * (time.perf_counter() - begin))
    context.doneCurrent()
    return statistics.median(times)
