"""Signals after AMX: OpenVINO gives its thread a stack for signal handlers that is too small."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def own_signal_stack() -> Iterator[None]:
    """This thread's stack for signal handlers is afterwards as it was.

    Compiling for the CPU, OpenVINO sets one of 12 kB. What the kernel saves there for a handler is
    larger once the thread has used AMX: the next Ctrl-C would end the process with a segmentation
    fault. Does nothing where there is no sigaltstack.
    """
    try:
        change = ctypes.CDLL(None).sigaltstack
    except (AttributeError, OSError, TypeError):
        yield
        return
    before = _Stack()
    change(None, ctypes.byref(before))
    try:
        yield
    finally:
        change(ctypes.byref(before), None)
