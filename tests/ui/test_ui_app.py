"""The application as a process of its own: nothing but the user ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livepose.ui.display import display_available, display_problem

_TESTS = str(Path(__file__).parents[1])
_APP = f"""
import sys
sys.path.insert(0, {_TESTS!r})
from PyQt5.QtCore import QTimer
from livepose.ui.app import run_app
from livepose.ui.options import AppOptions
from ui.fakes import FakeSession, person, result

def when(holds, then):
    if holds():
        then()
    else:
        QTimer.singleShot(20, lambda: when(holds, then))

class Session(FakeSession):
    def start(self):
        QTimer.singleShot(0, lambda: self.deliver(result(poses=(person(),))))
        SETUP

    def stop(self, timeout_s=3.0):
        print("stopped", flush=True)
        return True

def window():
    from PyQt5.QtWidgets import QApplication
    from livepose.ui.window import MainWindow
    return next(w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow))

sys.exit(run_app(AppOptions(Session, settings=sys.argv[1], theme="dark")))
"""


def start(setup: str, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _APP.replace("SETUP", setup), str(tmp_path / "settings.ini")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_exceptions_in_slots_go_to_the_banner(app, tmp_path: Path) -> None:
    process = start(
        "QTimer.singleShot(50, lambda: 1 / 0); QTimer.singleShot(50, lambda: "
        "when(lambda: window().banner.text, lambda: "
        "(print(window().banner.text, flush=True), window().close())))",
        tmp_path,
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "ZeroDivisionError" in out
    assert "stopped" in out
    assert "Traceback" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_closes_the_window(app, tmp_path: Path, number: int) -> None:
    process = start("QTimer.singleShot(50, lambda: print('ready', flush=True))", tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    begin = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopped" in out
    assert time.monotonic() - begin < 10


def test_without_opengl_the_picture_goes_on(app, tmp_path: Path) -> None:
    process = start(
        "QTimer.singleShot(50, lambda: when(lambda: self.painted_results, lambda: "
        "(print(window().view3d.problem, '|', len(self.painted_results), flush=True), "
        "window().close())))",
        tmp_path,
        QT_XCB_GL_INTEGRATION="none",
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "no OpenGL context" in out
    assert "| 1" in out


def test_no_display_is_told_and_never_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert not display_available()
    assert "no display" in display_problem()
    monkeypatch.setenv("DISPLAY", ":12345")
    assert ":12345" in display_problem()
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert display_available()
    from livepose.ui.app import run_app
    from livepose.ui.options import AppOptions

    monkeypatch.delenv("QT_QPA_PLATFORM")
    assert run_app(AppOptions(lambda *_: pytest.fail("no session without a window"))) == 2


@pytest.mark.parametrize(
    ("cores", "by_user", "expected"),
    [(2, {}, "0"), (8, {}, "None"), (2, {"LP_NUM_THREADS": "3"}, "3")],
)
def test_mesas_threads_do_not_wait_for_the_networks(
    cores: int, by_user: dict[str, str], expected: str
) -> None:
    code = (
        "import os\nfrom livepose.ui import app\n"
        f"app.usable_cores = lambda: {cores}\nof_qt = app.make_application()\n"
        "print(os.environ.get('LP_NUM_THREADS'))"
    )
    bare = {k: v for k, v in os.environ.items() if k != "LP_NUM_THREADS"}
    run = subprocess.run([sys.executable, "-c", code], env=bare | by_user, check=True,
                         capture_output=True, text=True)  # fmt: skip
    assert run.stdout.strip() == expected


def test_importing_the_package_loads_no_qt() -> None:
    code = (
        "import sys, livepose.ui\n"
        "sys.exit(any(m.startswith(('PyQt', 'vispy')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_scripted_screenshot(app, tmp_path: Path) -> None:
    from PyQt5.QtGui import QImage

    from livepose.ui.options import AppOptions
    from livepose.ui.screenshot import shoot

    from .fakes import FakeSession, person, result

    class OneResult(FakeSession):
        def start(self) -> None:
            self.deliver(result(poses=(person(),)))

    options = AppOptions(
        OneResult, size=(960, 600), theme="light", settings=str(tmp_path / "s.ini")
    )
    path = shoot(options, tmp_path / "shots" / "a.png", results=1)
    image = QImage(str(path))
    assert image.width() >= 960
    with pytest.raises(TimeoutError):
        shoot(options, tmp_path / "b.png", results=2, timeout_s=0.2)


def test_showing_a_picture_by_opengl_is_timed(app: object) -> None:
    from livepose.ui.sync import swap_ms

    assert 0 < swap_ms() < 1000
