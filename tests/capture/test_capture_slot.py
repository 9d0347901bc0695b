from __future__ import annotations

import threading
import time

import pytest

from livepose.capture import Slot

from .fakes import PATIENCE_S, wait_until


def test_newest_item_wins_and_the_lost_one_is_told() -> None:
    slot: Slot[int] = Slot()
    assert slot.put(1) is False
    assert slot.put(2) is True
    assert slot.get(0) == 2
    assert slot.put(3) is False


def test_get_gives_up_after_its_timeout() -> None:
    slot: Slot[int] = Slot()
    begin = time.monotonic()
    assert slot.get(0.05) is None
    assert time.monotonic() - begin >= 0.05
    assert not slot.closed


def test_get_waits_for_an_item() -> None:
    slot: Slot[int] = Slot()
    threading.Timer(0.02, slot.put, [7]).start()
    assert slot.get(PATIENCE_S) == 7


def test_lossless_put_waits_until_the_item_is_taken() -> None:
    slot: Slot[int] = Slot()
    got: list[int | None] = []

    def produce() -> None:
        for i in range(500):
            assert slot.put(i, wait=True) is False

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    while len(got) < 500:
        got.append(slot.get(PATIENCE_S))
    assert got == list(range(500))
    producer.join(PATIENCE_S)
    assert not producer.is_alive()


@pytest.mark.parametrize("full", [False, True])
def test_close_wakes_everybody(full: bool) -> None:
    slot: Slot[int] = Slot()
    results: list[object] = []
    if full:
        slot.put(1)
        thread = threading.Thread(target=lambda: results.append(slot.put(2, wait=True)))
    else:
        thread = threading.Thread(target=lambda: results.append(slot.get()))
    thread.start()
    slot.close()
    thread.join(PATIENCE_S)
    assert results == [True if full else None]
    assert slot.closed
    # What was inside can still be taken, nothing new gets in.
    assert slot.get(0) == (1 if full else None)
    assert slot.put(3) is True
    assert slot.get(0) is None


def test_wait_full_takes_nothing() -> None:
    slot: Slot[int] = Slot()
    assert not slot.wait_full(0)
    threading.Timer(0.02, slot.put, [7]).start()
    assert slot.wait_full(PATIENCE_S)
    assert slot.get(0) == 7
    slot.close()
    assert slot.wait_full(0)


def test_wait_free_and_clear() -> None:
    slot: Slot[int] = Slot()
    assert slot.wait_free(0)
    assert slot.clear() is False
    slot.put(1)
    assert not slot.wait_free(0.01)
    assert slot.clear() is True
    assert slot.wait_free(0)


def test_a_slow_consumer_gets_the_newest() -> None:
    slot: Slot[int] = Slot()
    newest = -1
    stop = threading.Event()

    def produce() -> None:
        nonlocal newest
        while not stop.is_set():
            newest += 1
            slot.put(newest)
            time.sleep(0.001)

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    try:
        for target in (20, 40, 60):
            wait_until(lambda target=target: newest >= target)  # type: ignore[misc]
            item = slot.get(PATIENCE_S)
            assert item is not None
            assert item >= target - 1
    finally:
        stop.set()
        producer.join()
