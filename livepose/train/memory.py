"""Memory that training has used stays with the process."""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h
_LARGE = 2**31 - 1


def keep_memory() -> None:
    """Tells glibc to keep what is freed; elsewhere it does nothing.

    Every large tensor is otherwise given back to the system and mapped anew, page by page, which
    takes a good part of a training step on a CPU.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE)
        libc.mallopt(_M_TOP_PAD, 256 * 2**20)
