"""Pictures of the window, taken by the user or by a script."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt5.QtCore import QObject, QStandardPaths, Qt, pyqtSignal
from PyQt5.QtGui import QImage
from PyQt5.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from livepose.frames import Result
    from livepose.ui.options import AppOptions
    from livepose.ui.window import MainWindow


def pictures_folder() -> Path:
    found = QStandardPaths.writableLocation(QStandardPaths.PicturesLocation)
    return Path(found or Path.home())


def new_file(folder: Path) -> Path:
    """An empty file with the time in its name; made here, so that two pictures never share one."""
    stem = f"livepose-{datetime.now():%Y-%m-%d-%H%M%S}"
    for number in itertools.count(1):
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        with suppress(FileExistsError):
            path.touch(exist_ok=False)
            break
    return path


def image_of(window: QWidget) -> QImage:
    """The window as it is, in device pixels, with both views."""
    return window.grab().toImage()


class Saver(QObject):
    """Writes images beside the UI thread: a PNG takes longer than a picture may.

    saved: with the path. failed: with a sentence that says why.
    """

    saved = pyqtSignal(str)
    failed = pyqtSignal(str)

    def save(self, image: QImage, folder: Path | None = None) -> None:
        target = folder or pictures_folder()
        threading.Thread(target=self._write, args=(image, target), name="screenshot").start()

    def _write(self, image: QImage, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = new_file(folder)
            written = image.save(str(path))
            if not written:
                path.unlink()
        except OSError as error:
            self.failed.emit(f"The screenshot could not be saved: {error}.")
            return
        if written:
            self.saved.emit(str(path))
        else:
            self.failed.emit(f"The screenshot could not be written to {folder}.")


def shoot(
    options: AppOptions,
    path: str | Path,
    results: int = 30,
    view: str = "angled",
    media_s: float | None = None,
    timeout_s: float = 30.0,
    prepare: Callable[[MainWindow], object] = lambda window: None,
) -> Path:
    """Runs the app until `results` results are painted, saves a picture of its window, ends it.

    For scripts and the README; `options` chooses size and theme. media_s: then waits for this
    second of the file, give or take a third. prepare: called with the window first. Raises
    TimeoutError if it does not come to that.
    """
    from livepose.ui.app import make_application
    from livepose.ui.window import MainWindow

    app = make_application()
    window = MainWindow(options)
    painted, there = 0, False

    def count(result: Result) -> None:
        nonlocal painted, there
        painted += 1
        at = result.frame.media_s
        there = media_s is None or (at is not None and media_s <= at < media_s + 0.3)

    window.picture.painted.connect(count)
    window.setAttribute(Qt.WA_ShowWithoutActivating)
    window.show()
    window.start()
    window.view3d.look(view)
    prepare(window)
    deadline = time.monotonic() + timeout_s
    try:
        while painted < results or not there:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{painted} of {results} results were painted")
            _spin(app, 0.02)
        window.refresh()
        _spin(app, 0.3)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not image_of(window).save(str(target)):
            raise OSError(f"cannot write {target}")
        return target
    finally:
        window.close()
        _spin(app, 0.05)


def _spin(app: QApplication, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        app.processEvents()
        time.sleep(0.002)
