"""What every backend takes and gives."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch

from livepose.crop import Square, cut, middle
from livepose.frames import Stage
from livepose.models.networks import NetworkConfig
from livepose.timing.timeline import Timeline

USUAL_SHAPE = (720, 1280, 3)  # of pictures, until one has come


class BackendError(ValueError):
    """A backend that does not exist was asked for; the message says which do."""


class Raw(NamedTuple):
    """What the network says of B squares.

    xyz: (B, J, 3) normalised coordinates. confidence: (B, J). maps: xy (B, J, H, W),
    zy (B, J, H', D) and xz (B, J, D, W') probability maps, or nothing. stages: those before them,
    each with B in front, where maps are wanted and the backend can give them.
    """

    xyz: np.ndarray
    confidence: np.ndarray
    maps: tuple[np.ndarray, ...]
    stages: tuple[Stage, ...] = ()


class Backend(Protocol):
    """name: of the backend. config: of the network. size: pixels of a square's side.
    precision: of the arithmetic.
    """

    name: str
    config: NetworkConfig
    size: int
    precision: str

    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        """Looks at squares of a BGR picture; marks the stages from preprocess to download."""
        ...


def cut_all(
    image: np.ndarray, squares: Sequence[Square], size: int, timeline: Timeline | None
) -> np.ndarray:
    """The squares (B, size, size, 3) as BGR bytes, cut out on the CPU; marks preprocess."""
    crops = np.empty((len(squares), size, size, 3), np.uint8)
    for square, crop in zip(squares, crops, strict=True):
        cut(image, square, size, into=crop)
    if timeline is not None:
        timeline.mark("preprocess")
    return crops


class OneByOne:
    """A backend whose graphs take one square, and perhaps another number of them at once.

    columns: {part of the width: pixels} of the middle that one square is looked at in where that is
    enough, and maps of all of it are not wanted.
    """

    size: int
    columns: Mapping[float, int] = {}
    at_once: int = 1

    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        crops = cut_all(image, squares, self.size, timeline)
        whole = len(crops) // self.at_once * self.at_once
        ends = [*range(0, whole, self.at_once), *range(whole, len(crops)), len(crops)]
        outs = []
        for a, b in itertools.pairwise(ends):
            part = crops[a:b]
            if b - a == 1 and not want_maps:
                part = middle(part, self.columns.get(squares[a].width, self.size))
            outs.append(self._run(part, want_maps))
        if timeline is not None:
            timeline.mark("forward")
        flat, *maps = outs[0] if len(outs) == 1 else map(np.concatenate, zip(*outs, strict=True))
        return Raw(flat[..., :3], np.ascontiguousarray(flat[..., 3]), tuple(maps))

    def _run(self, crops: np.ndarray, want_maps: bool) -> list[np.ndarray]:
        """(B, S, W, 3) -> (B, J, 4), and if they are wanted the three maps.

        B is 1 or `at_once`, W is S or, of one square, one of `columns`.
        """
        raise NotImplementedError


class Clock:
    """Laps of the device: events on CUDA, where calls return before their work is done."""

    def __init__(self, timeline: Timeline | None, device: torch.device) -> None:
        self._timeline, self._device = timeline, device
        self._events = [self._event()] if device.type == "cuda" and timeline else None
        self._names: list[str] = []

    def _event(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))  # not that of the current device
        return event

    def lap(self, stage: str) -> None:
        if self._events is not None:
            self._events.append(self._event())
            self._names.append(stage)
        elif self._timeline is not None:
            self._timeline.mark(stage)

    def done(self) -> None:
        """After the device has been waited for."""
        if self._timeline is None:
            return
        if self._events is None:
            self._timeline.mark("download")
            return
        pairs = zip(self._events, self._events[1:], strict=False)
        laps = [(n, a.elapsed_time(b)) for n, (a, b) in zip(self._names, pairs, strict=True)]
        self._timeline.mark_parts([*laps, ("download", 0.0)])
