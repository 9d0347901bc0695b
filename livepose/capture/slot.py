"""The hand-over between two threads: one place, the newest item wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds at most one item, so the time an item waits is bounded by the consumer's own pace.

    One producer, any number of consumers. Closing wakes everybody: items put later are refused,
    the one left inside can still be taken. replaced: items that a newer one has replaced so far.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._full = False
        self._closed = False
        self.replaced = 0

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, item: T, wait: bool = False) -> bool:
        """Puts `item`, replacing one that nobody took; True if an item was lost by that.

        With `wait` nothing is replaced: it blocks until the slot is free. A closed slot takes
        nothing, so that `item` itself is lost.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: not self._full or self._closed)
            if self._closed:
                return True
            lost, self._item, self._full = self._full, item, True
            self.replaced += lost
            self._changed.notify_all()
            return lost

    def get(self, timeout_s: float | None = None) -> T | None:
        """Takes the item, waiting up to `timeout_s` for one (None: for ever).

        None when the time is up, or the slot is closed and empty (see `closed`).
        """
        with self._changed:
            self._wait(lambda: self._full or self._closed, timeout_s)
            item, self._item, self._full = self._item, None, False
            self._changed.notify_all()
            return item

    def wait_full(self, timeout_s: float) -> bool:
        """Waits up to `timeout_s` until there is an item to take; True if so, or if closed."""
        with self._changed:
            self._wait(lambda: self._full or self._closed, timeout_s)
            return self._full or self._closed

    def wait_free(self, timeout_s: float) -> bool:
        """Waits up to `timeout_s` until an item can be put without losing one; True if so."""
        with self._changed:
            self._wait(lambda: not self._full or self._closed, timeout_s)
            return not self._full or self._closed

    def clear(self) -> bool:
        """Throws the item away; True if there was one."""
        with self._changed:
            lost, self._item, self._full = self._full, None, False
            self._changed.notify_all()
            return lost

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool], timeout_s: float | None) -> None:
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not ready():
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            self._changed.wait(left)
