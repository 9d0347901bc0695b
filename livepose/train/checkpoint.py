"""States of a training run on disk, and the moments at which it may be left."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import torch

SAVE_EVERY = 120  # seconds


def write(file: Path, state: dict[str, Any]) -> None:
    """Saves a state; a cut while writing leaves the last one whole."""
    fresh = file.with_suffix(".tmp")
    torch.save(state, fresh)
    fresh.replace(file)


def same_settings(own: Any, stored: Any) -> bool:
    """Do the settings agree? Those that came into being later, or are gone, are not compared."""
    if isinstance(stored, dict) and isinstance(own, dict):
        return all(same_settings(own[name], stored[name]) for name in stored.keys() & own.keys())
    if isinstance(stored, list | tuple) and isinstance(own, list | tuple):
        return len(own) == len(stored) and all(map(same_settings, own, stored))
    return bool(own == stored)


class Stop:
    """``with Stop() as stop``: Ctrl-C or SIGTERM sets `asked`, to be read between two steps.

    In the midst of a step the state is not whole. A second one raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def leave_stopping_to_parent(worker: int = 0) -> None:
    """For a process that loads data: what is sent to the whole group reaches it, too.

    But the last step wants its batch; the loader ends its processes by itself, and so do they when
    their parent is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
