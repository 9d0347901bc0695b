"""The application around the window: start, signals of the terminal, exceptions."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from PyQt5.QtCore import QSocketNotifier, Qt
from PyQt5.QtGui import QGuiApplication, QSurfaceFormat
from PyQt5.QtWidgets import QApplication

from livepose.timing.cores import to_spare, usable_cores
from livepose.ui.display import display_available, display_problem, only_wayland
from livepose.ui.options import AppOptions

__all__ = ["display_available", "make_application", "run_app"]


def run_app(options: AppOptions) -> int:
    """Opens the window and runs until the user ends it; returns the exit code."""
    problem = display_problem()
    if problem:
        print(f"livepose: no window can be opened: {problem}.", file=sys.stderr)
        return 2
    app = make_application()
    from livepose.ui.window import MainWindow

    window = MainWindow(options)
    with reported_exceptions(window.bridge.on_fault), interrupts(window.close):
        window.show()
        window.start()
        code = app.exec_()
    # Widgets go before the application does, in an order of ours and not the collector's.
    window.deleteLater()
    app.sendPostedEvents()
    app.processEvents()
    return int(code)


def make_application() -> QApplication:
    """The one QApplication, set up for HiDPI and for OpenGL that never waits for the screen."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    if only_wayland():
        os.environ["QT_QPA_PLATFORM"] = "wayland"
    if not to_spare(usable_cores()):
        # Mesa's threads, if it draws in software, would wait for those of the network, and the
        # window for them.
        os.environ.setdefault("LP_NUM_THREADS", "0")
    for attribute in (
        Qt.AA_EnableHighDpiScaling, Qt.AA_UseHighDpiPixmaps, Qt.AA_ShareOpenGLContexts,
        # Only the 3D view is to have a window of its own, see `livepose.ui.view3d`.
        Qt.AA_DontCreateNativeWidgetSiblings,
    ):  # fmt: skip
        QApplication.setAttribute(attribute)
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    surface = QSurfaceFormat()
    surface.setSwapInterval(0)
    QSurfaceFormat.setDefaultFormat(surface)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("livepose")
    app.setApplicationDisplayName("livepose")
    app.setOrganizationName("livepose")
    app.setDesktopFileName("livepose")
    return app


@contextmanager
def reported_exceptions(report: Callable[[str], None]) -> Iterator[None]:
    """Exceptions that nobody catches go to stderr and to `report`; the application lives on.

    Without a hook PyQt5 aborts the process on the first exception in a slot.
    """
    before, before_thread = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
            return
        traceback.print_exception(kind, error, trace)
        report(f"Something went wrong inside livepose ({kind.__name__}: {error}). "
               "It goes on; the terminal has the details.")  # fmt: skip

    def thread_hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            hook(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook, threading.excepthook = hook, thread_hook
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = before, before_thread


@contextmanager
def interrupts(close: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C in the terminal (and SIGTERM) closes the window; a second one ends the process.

    Python handles signals between two of its instructions, and Qt's loop has none: the signal's
    byte in a socket wakes it.
    """
    receiving, sending = socket.socketpair()
    for end in (receiving, sending):
        end.setblocking(False)
    notifier = QSocketNotifier(receiving.fileno(), QSocketNotifier.Read)

    def wake() -> None:
        with suppress(BlockingIOError):
            receiving.recv(4096)

    def handle(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        close()

    notifier.activated.connect(wake)
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    before_fd = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        notifier.setEnabled(False)
        receiving.close()
        sending.close()
