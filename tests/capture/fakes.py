"""Scripted devices and sources, and what the tests of the capture share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from livepose.capture import Applied, CaptureOptions, CaptureThread, Reading, SourceError
from livepose.cv import cv2
from livepose.frames import Event, Frame
from livepose.timing.timeline import now_ns

PATIENCE_S = 20.0  # far more than anything here takes, for loaded machines


def wait_until(condition: Callable[[], Any], what: str = "condition") -> Any:
    """Waits until `condition` is true and returns what it returned."""
    end = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not become true in {PATIENCE_S} s"
        time.sleep(0.002)


def picture(value: int = 100, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


class FakeDevice:
    """A ``cv2.VideoCapture`` that plays a script: arrays, None (retrieve fails), callables.

    After the script, grab fails, as it does when a camera is unplugged.
    """

    def __init__(
        self,
        script: Sequence[Any] = (),
        opened: bool = True,
        gives: dict[int, float] | None = None,
        period_s: float = 0.002,
    ) -> None:
        self.script = list(script)
        self.opened = opened
        self.values: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: 64,
            cv2.CAP_PROP_FRAME_HEIGHT: 48,
            cv2.CAP_PROP_FPS: 30,
        }
        self.gives = gives or {}
        self.sets: list[tuple[int, float]] = []
        self.stamp: Callable[[], float] = lambda: 0.0
        self.released = 0
        self.period_s = period_s
        self._at = -1

    def isOpened(self) -> bool:
        return self.opened

    def set(self, prop: int, value: float) -> bool:
        self.sets.append((prop, value))
        self.values[prop] = self.gives.get(prop, value)
        return True

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamp()
        return self.gives.get(prop, self.values.get(prop, 0.0))

    def grab(self) -> bool:
        time.sleep(self.period_s)
        self._at += 1
        return self._at < len(self.script)

    def retrieve(self) -> tuple[bool, Any]:
        item = self.script[self._at]
        if callable(item):
            item = item()
        return item is not None, item

    def release(self) -> None:
        self.released += 1


class FakeDevices:
    """A factory that hands out scripted devices one after the other, then none that opens."""

    def __init__(self, *devices: FakeDevice) -> None:
        self.waiting = list(devices)
        self.calls: list[tuple[int | str, int, tuple[int, ...]]] = []

    def __call__(self, target: int | str, api: int, params: Sequence[int] = ()) -> FakeDevice:
        self.calls.append((target, api, tuple(params)))
        return self.waiting.pop(0) if self.waiting else FakeDevice(opened=False)


class LiveSource:
    """A live source at a fixed rate; its pictures are stamped when they are made."""

    live = True

    def __init__(self, name: str = "live", period_s: float = 0.002, value: int = 100) -> None:
        self.name = name
        self.applied: Applied | None = Applied(64, 48, 1 / period_s)
        self.period_s = period_s
        self.value = value
        self.reads = 0
        self.closed = 0

    def open(self) -> None:
        pass

    def read(self) -> Reading | None:
        time.sleep(self.period_s)
        self.reads += 1
        return Reading(picture(self.value), now_ns())

    def close(self) -> None:
        self.closed += 1


class StuckSource(LiveSource):
    """Blocks in `read` (or `open`) after some pictures until it is let go."""

    made: ClassVar[list[StuckSource]] = []

    def __init__(self, name: str = "stuck", good: int = 0, in_open: bool = False) -> None:
        super().__init__(name)
        self.good = good
        self.in_open = in_open
        self.let_go = threading.Event()
        self.stuck = threading.Event()
        self.made.append(self)

    def open(self) -> None:
        if self.in_open:
            self._block()

    def read(self) -> Reading | None:
        if self.reads == self.good:
            self._block()
        return super().read()

    def _block(self) -> None:
        self.stuck.set()
        self.let_go.wait(PATIENCE_S)


class ListSource:
    """A file-like source out of a list: arrays, None for a broken picture, SourceErrors."""

    live = False

    def __init__(self, items: Sequence[Any], name: str = "list", fps: float = 100.0) -> None:
        self.name = name
        self.applied: Applied | None = Applied(64, 48, fps)
        self.items = list(items)
        self.fps = fps
        self.at = 0
        self.closed = 0

    def open(self) -> None:
        self.at = 0

    def read(self) -> Reading | None:
        if self.at == len(self.items):
            return None
        item, media_s = self.items[self.at], self.at / self.fps
        self.at += 1
        if isinstance(item, SourceError):
            raise item
        return Reading(item, now_ns(), media_s)

    def close(self) -> None:
        self.closed += 1


class Run:
    """A capture thread under test with the events that it has sent."""

    def __init__(self, source: Any, options: CaptureOptions, lossless: bool) -> None:
        self.events: list[Event] = []
        self.thread = CaptureThread(source, options, on_event=self.events.append, lossless=lossless)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def wait_event(self, kind: str, count: int = 1) -> Event:
        def found() -> list[Event]:
            same = [event for event in list(self.events) if event.kind == kind]
            return same if len(same) >= count else []

        events: list[Event] = wait_until(found, f"event {kind} x{count}, got {self.kinds()}")
        return events[count - 1]

    def frame(self) -> Frame:
        frame = self.thread.slot.get(PATIENCE_S)
        assert frame is not None, f"no frame; events: {self.events}"
        return frame

    def drain(self) -> list[Frame]:
        """All frames until the source has ended or failed."""
        frames = []
        while True:
            frame = self.thread.slot.get(0.02)
            if frame is not None:
                frames.append(frame)
            elif self.thread.state in ("ended", "failed") and self.thread.slot.wait_free(0):
                return frames


FAST = CaptureOptions(
    stall_s=0.15, open_timeout_s=0.3, retry_s=0.01, retry_max_s=0.04, width=64, height=48
)


def write_video(
    path: Path, frames: int = 20, fps: float = 25, size: tuple[int, int] = (64, 48)
) -> Path:
    """A Motion JPEG AVI whose picture k is grey of value 10 k (OpenCV's own writer keeps odd
    sizes, which FFmpeg's rounds down)."""
    code = cv2.VideoWriter.fourcc(*"MJPG")
    made = path.with_name("writer.avi")
    writer = cv2.VideoWriter(str(made), cv2.CAP_OPENCV_MJPEG, code, fps, size)
    assert writer.isOpened()
    for k in range(frames):
        writer.write(picture(10 * k % 256, *size))
    writer.release()
    made.rename(path)
    return path
