"""Measures points of the explorer, one after the other, and says each result as a line of JSON.

The process of `livepose.bench.measurer.Measurer`. The first line of stdin says what to measure;
where the live view goes on meanwhile, every further one gives a turn.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from livepose.frames import first_line

if TYPE_CHECKING:
    from livepose.data.samples import Samples
    from livepose.engine.device import Placement

RUNS, WARM, LEAST, LONGEST_MS = 40, 5, 3, 2000.0
TURN_MS = 50.0  # one pass at least
PICTURES = 20  # at once, where there are no turns

Say = Callable[..., None]
Turn = Callable[[], AbstractContextManager[None]]


def main() -> None:
    # Runtimes print to stdout, too: our rows keep it for themselves.
    rows = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**row: Any) -> None:
        print(json.dumps(row), file=rows, flush=True)

    @contextmanager
    def turn() -> Iterator[None]:
        if request["turns"]:
            say(turn=True)
            if not sys.stdin.readline():
                sys.exit("nobody gives turns any more")
        yield
        if request["turns"]:
            say(over=True)

    from livepose.cli import spin_less

    spin_less()
    request = json.loads(sys.stdin.readline())
    samples = _samples(**request["data"]) if request["data"] else None
    for wanted in request["points"]:
        say(begins=True)
        try:
            if samples is None:
                say(result={"ms": time_of(wanted, turn)})
            else:
                at_once = 1 if request["turns"] else PICTURES
                pck = accuracy_of(wanted, samples, at_once, turn, say)
                say(result={"pck": pck, "pictures": len(samples)})
        except Exception as error:  # whatever a runtime trips over, the other points are measured
            say(result={"problem": first_line(error)})


def time_of(wanted: Mapping[str, Any], turn: Turn) -> float:
    """Median time in ms from a picture of 1280x720 to joints."""
    import torch

    from livepose.crop import Square
    from livepose.engine import backends
    from livepose.models.store import load_model

    torch.set_num_threads(1)  # exporting takes no turns; backends have their own number
    net = backends.at_size(load_model(wanted["model"])[0], wanted["size"])
    backend, note = backends.make(net, _placement(wanted), wanted["backend"])
    if note:
        raise RuntimeError(note)
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    square = Square(640, 360, 700)
    times: list[float] = []
    while len(times) < WARM + LEAST or (len(times) < WARM + RUNS and sum(times) < LONGEST_MS):
        with turn():
            left_ms = TURN_MS
            while left_ms > 0 and len(times) < WARM + RUNS:
                begin = time.perf_counter()
                backend(image, [square])
                times.append(1e3 * (time.perf_counter() - begin))
                left_ms -= times[-1]
    return statistics.median(times[WARM:])


def accuracy_of(
    wanted: Mapping[str, Any], samples: Samples, at_once: int, turn: Turn, say: Say
) -> float:
    """PCK@0.2 of a network by the whole-picture protocol; tells what part is done."""
    import torch

    from livepose.engine.device import cpu_has_vnni
    from livepose.evaluate.metrics import pck
    from livepose.evaluate.protocol import placed, predict
    from livepose.models.store import load_model

    placement = _placement(wanted)
    torch.set_num_threads(placement.cpu_threads)
    net = placed(load_model(wanted["model"])[0], placement, cpu_has_vnni())
    points = []
    for start in range(0, len(samples), at_once):
        some = samples.take(np.arange(start, min(start + at_once, len(samples))))
        with turn():
            points.append(predict(net, some, wanted["size"])[0])
        say(part=(start + len(some)) / len(samples))
    return pck(np.concatenate(points)[..., :2], samples).pck


def _placement(wanted: Mapping[str, Any]) -> Placement:
    from livepose.engine.device import choose

    placement = choose(wanted["device"], wanted["precision"])
    if placement.note:
        raise RuntimeError(placement.note)
    return replace(placement, threads=wanted["threads"])


def _samples(reader: str, root: str, split: str, limit: int) -> Samples:
    """So many samples of a data set, evenly spread; ends the process where there are none."""
    from pathlib import Path

    from livepose.data.readers import read
    from livepose.data.samples import DataError

    try:
        return read(reader, Path(root), split).spread(limit)
    except DataError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
