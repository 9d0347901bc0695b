"""Pause, resume and single step, as the thread that reads a source sees them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from livepose.timing.timeline import now_ns


@dataclass(frozen=True, slots=True)
class Turn:
    """The moment at which a picture may go; held if a pause kept it back."""

    at_ns: int
    held: bool


class Control:
    """Set by any thread, obeyed by the one that reads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._steps = 0

    @property
    def paused(self) -> bool:
        return self._paused

    def pause(self) -> None:
        with self._changed:
            self._paused = True
            self._changed.notify_all()

    def resume(self) -> None:
        with self._changed:
            self._paused, self._steps = False, 0
            self._changed.notify_all()

    def step(self) -> None:
        """One more picture while paused; nothing otherwise."""
        with self._changed:
            if self._paused:
                self._steps += 1
                self._changed.notify_all()

    def step_once(self) -> None:
        """As `step`, but forgets steps asked for before: those were meant for another source."""
        with self._changed:
            self._steps = int(self._paused)
            self._changed.notify_all()

    def wake(self) -> None:
        """Lets those who wait look again at whether they are cancelled."""
        with self._changed:
            self._changed.notify_all()

    def admit(self, cancelled: Callable[[], bool]) -> bool:
        """Whether a live picture may go on now; uses up a step while paused."""
        with self._changed:
            # Asked within the lock: a cancelled playback must not use up the step of its successor.
            if cancelled():
                return False
            if not self._paused:
                return True
            if not self._steps:
                return False
            self._steps -= 1
            return True

    def wait_turn(self, due_ns: int, cancelled: Callable[[], bool]) -> Turn | None:
        """Waits until `due_ns`, and as long as the pause lasts; None if cancelled meanwhile.

        A picture that a pause has held goes at once when the pause ends, or with a step.
        """
        held = False
        with self._changed:
            while not cancelled():
                now = now_ns()
                if self._paused:
                    if self._steps:
                        self._steps -= 1
                        return Turn(now, held=True)
                    held = True
                    self._changed.wait()
                elif held or now >= due_ns:
                    return Turn(now, held)
                else:
                    self._changed.wait((due_ns - now) / 1e9)
        return None
