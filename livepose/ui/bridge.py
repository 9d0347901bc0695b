"""From the session's worker threads to the UI thread: newest result wins."""

from __future__ import annotations

import threading

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from livepose.frames import Event, Result


class Bridge(QObject):
    """A one-slot box for results and a queue for the rare events.

    At most one `ready` is on its way at any time, however fast results come: the event queue
    cannot pile up. The receiver calls `take`, paints, and calls `done`.
    """

    ready = pyqtSignal()
    happened = pyqtSignal(object)
    fault = pyqtSignal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._box: Result | None = None
        self._pending = False
        self._closed = False

    def on_result(self, result: Result) -> None:
        """Callable from any thread; replaces a result that nobody took yet."""
        with self._lock:
            if self._closed:
                return
            self._box = result
            if self._pending:
                return
            self._pending = True
            self.ready.emit()

    def on_event(self, event: Event) -> None:
        """Callable from any thread."""
        with self._lock:
            if not self._closed:
                self.happened.emit(event)

    def on_fault(self, message: str) -> None:
        """Callable from any thread: an exception that nobody caught."""
        with self._lock:
            if not self._closed:
                self.fault.emit(message)

    def take(self) -> Result | None:
        with self._lock:
            result, self._box = self._box, None
            return result

    def done(self) -> None:
        """The UI has dealt with what it took; announces a result that came meanwhile."""
        with self._lock:
            self._pending = self._box is not None
            again = self._pending and not self._closed
        if again:
            # By way of a timer: a posted event would go before the user's clicks and starve them.
            QTimer.singleShot(0, self.ready.emit)

    def close(self) -> None:
        """Nothing is emitted from here on (the receiver is about to go)."""
        with self._lock:
            self._closed = True
            self._box = None
