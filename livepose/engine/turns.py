"""Who may use all cores now: each in turn, in the order in which they asked."""

from __future__ import annotations

import threading


class Turns:
    """A lock that nobody can keep for himself: ``with turns: ...``

    Letting go of a `threading.Lock` and taking it again at once leaves the others waiting; here
    whoever has waited longest is next.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._handed_out = self._now = 0

    def __enter__(self) -> bool:
        """Whether others were first."""
        with self._changed:
            ticket, self._handed_out = self._handed_out, self._handed_out + 1
            waits = self._now != ticket
            self._changed.wait_for(lambda: self._now == ticket)
            return waits

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._now += 1
            self._changed.notify_all()
