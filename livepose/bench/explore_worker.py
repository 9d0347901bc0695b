"""Measures points of the explorer, one after the other, and says each time as a line of JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np

RUNS, LONGEST_S = 40, 2.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    from livepose.cli import spin_less

    spin_less()
    for index, wanted in enumerate(json.loads(sys.stdin.readline())):
        try:
            row: dict[str, object] = {"index": index, "ms": _time(wanted, args.device)}
        except Exception as error:  # whatever a runtime trips over, the other points are measured
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            row = {"index": index, "problem": text}
        print(json.dumps(row), flush=True)


def _time(wanted: dict[str, object], device: str) -> float:
    """Median time in ms from a picture of 1280x720 to joints."""
    from livepose.crop import Square
    from livepose.engine import backends
    from livepose.engine.device import choose
    from livepose.models.store import load_model

    net, _ = load_model(str(wanted["model"]))
    placement = choose(device, str(wanted["precision"]))
    size = int(str(wanted["size"]))
    backend, note = backends.make(backends.at_size(net, size), placement, str(wanted["backend"]))
    if note:
        raise RuntimeError(note)
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    square = Square(640, 360, 700)
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < RUNS + 5 and (len(times) < 8 or time.perf_counter() - begin < LONGEST_S):
        start = time.perf_counter()
        backend(image, [square])
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[5:])


if __name__ == "__main__":
    main()
