"""Pictures and clocks that everything measured shares. Needs numpy and OpenCV only.

So that other programs can be measured from their own environments, which may not have torch.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from livepose.cv import cv2

WIDTH, HEIGHT = 1280, 720
WARM_UP = 20  # pictures that do not count

# Looks at a picture and says how many people it found; true times of the source in seconds.
Step = Callable[[np.ndarray, float], int]


def pictures(source: str, number: int, people: int = 1) -> list[np.ndarray]:
    """The first pictures of a video at 1280x720, the last ones repeated backwards if it is short.

    people: so many copies of the video side by side, each begun a little later, fill the picture.

    Raises:
        ValueError: it cannot be read.
    """
    capture = cv2.VideoCapture(source)
    read: list[np.ndarray] = []
    while len(read) < number:
        ok, image = capture.read()
        if not ok:
            break
        read.append(image)
    if not read:
        raise ValueError(f"{source} is not a video that can be read")
    there_and_back = [*read, *read[-2:0:-1]]
    columns = int(np.ceil(np.sqrt(people)))
    rows = int(np.ceil(people / columns))
    out = []
    for k in range(number):
        canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for p in range(people):
            image = there_and_back[(k + 17 * p) % len(there_and_back)]
            w, h = WIDTH // columns, HEIGHT // rows
            x, y = p % columns * w, p // columns * h
            scale = min(w / image.shape[1], h / image.shape[0])
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            left, top = x + (w - size[0]) // 2, y + (h - size[1]) // 2
            small = cv2.resize(image, size, interpolation=how)
            canvas[top : top + size[1], left : left + size[0]] = small
        out.append(canvas)
    return out


def timed(step: Step, images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Wall and CPU time of each picture in ms (after `WARM_UP`), people found, memory in MB."""
    wall, cpu, found = [], [], []
    for k, image in enumerate(images):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        people = step(image, k / 30)
        if k >= WARM_UP:
            wall.append(1e3 * (time.perf_counter() - begin))
            cpu.append(1e3 * (time.process_time() - begin_cpu))
            found.append(people)
    # At its highest, without the pictures that all have to hold.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory -= sum(image.nbytes for image in images)
    return {"wall": wall, "cpu": cpu, "found": found, "memory_mb": memory / 1e6}


def report(result: dict[str, Any]) -> None:
    """Hands the result to the process that asked for it."""
    print("\n" + json.dumps(result))
    sys.stdout.flush()


def table(entries: Sequence[dict[str, Any]]) -> str:
    """Entries of ``livepose bench`` as a table for people; ratios to the first MediaPipe, or to
    the first entry."""
    lines = []
    for people in sorted({e["people"] for e in entries}):
        rows = [e for e in entries if e["people"] == people]
        base = next((e for e in rows if e["name"].startswith("mediapipe")), rows[0])
        lines.append(
            f"{'people: ' + str(people):<34}{'median':>9}{'95 %':>9}{'a second':>10}"
            f"{'CPU ms':>9}{'MB':>7}{'found':>7}{'times faster than ' + base['name']:>36}"
        )
        for e in rows:
            lines.append(
                f"{e['name']:<34}{e['median_ms']:>9.2f}{e['p95_ms']:>9.2f}{e['fps']:>10.1f}"
                f"{e['cpu_ms']:>9.2f}{e['memory_mb']:>7.0f}{e['found']:>7.2f}"
                f"{base['median_ms'] / e['median_ms']:>36.2f}"
            )
    return "\n".join(lines)
