"""Real widgets on the display that the tests run on (an Xvfb of their own, usually)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livepose.ui.display import display_problem

# One logical pixel is one device pixel, whatever the display says about its size.
os.environ["QT_FONT_DPI"] = "96"
os.environ.setdefault("XDG_CURRENT_DESKTOP", "")


def _wait_for_display(timeout_s: float = 10.0) -> str:
    """A virtual display on a busy machine may come up after the tests."""
    end = time.monotonic() + timeout_s
    while (problem := display_problem()) and os.environ.get("DISPLAY"):
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    return problem


_PROBLEM = _wait_for_display()


@pytest.fixture(scope="session")
def app():
    if _PROBLEM:
        pytest.skip(_PROBLEM)
    from livepose.ui.app import make_application

    application = make_application()
    application.setQuitOnLastWindowClosed(False)
    return application


@pytest.fixture
def until(app) -> Callable[..., None]:
    """Runs Qt's events until a condition holds; fails after a time that no machine needs."""

    def wait(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "the condition never came true"
            app.processEvents()
            time.sleep(0.001)

    return wait


@pytest.fixture
def spin(app) -> Callable[[float], None]:
    """Runs Qt's events for so many seconds."""

    def run(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            app.processEvents()
            time.sleep(0.001)

    return run


@pytest.fixture
def make_window(app, until, tmp_path: Path) -> Iterator[Callable]:
    """Makes a shown window with a `FakeSession`; it is closed after the test."""
    from livepose.ui.options import AppOptions
    from livepose.ui.window import MainWindow

    from .fakes import FakeSession

    made = []

    def make(start: bool = True, session=FakeSession, **options):
        options.setdefault("settings", str(tmp_path / "settings.ini"))
        options.setdefault("theme", "dark")
        options.setdefault("size", (1000, 640))
        window = MainWindow(AppOptions(session, **options))
        made.append(window)
        window.show()
        until(lambda: window.windowHandle() is not None and window.windowHandle().isExposed())
        if start:
            window.start()
        app.processEvents()
        return window

    yield make
    for window in made:
        window.close()
        window.deleteLater()
    app.sendPostedEvents()
    app.processEvents()


@pytest.fixture
def window(make_window):
    return make_window()
