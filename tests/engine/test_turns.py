"""Turns are taken one after the other, in the order of asking."""

from __future__ import annotations

import threading

import pytest

from livepose.engine.turns import Turns
from tests.engine.fakes import wait_for


def test_whoever_has_waited_longest_is_next() -> None:
    turns, order = Turns(), []

    def wait(k: int) -> None:
        with turns:
            order.append(k)

    threads = []
    with turns:
        for k in range(5):
            threads.append(threading.Thread(target=wait, args=(k,)))
            threads[-1].start()
            wait_for(lambda k=k: turns._handed_out == k + 2)  # it has asked
        assert order == []
    with turns:  # asked for last, so that all others have been
        assert order == [0, 1, 2, 3, 4]
    for thread in threads:
        thread.join()


def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="inside"), turns:
        raise ValueError("inside")
    with turns:
        pass
