"""Pictures and clocks that everything measured shares. Needs numpy and OpenCV only.

So that other programs can be measured from their own environments, which may not have torch.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from livepose.cv import cv2

WIDTH, HEIGHT = 1280, 720
WARM_UP = 20  # pictures that do not count


class Seen(NamedTuple):
    """people: so many were found. device_ms: that the forward pass took on a GPU, by its clock."""

    people: int
    device_ms: float | None = None


# Looks at a picture; the true time of the source in seconds.
Step = Callable[[np.ndarray, float], Seen]


def pictures(source: str, number: int, people: int = 1) -> Iterator[tuple[np.ndarray, float]]:
    """The first pictures of a video at 1280x720 with their times in seconds.

    If it is short, its last ones are repeated backwards. They wait on disk, so that the memory of
    the process is that of who looks at them.

    people: so many copies of the video side by side, each begun a little later, fill the picture.

    Raises:
        ValueError: it cannot be read.
    """
    columns = int(np.ceil(np.sqrt(people)))
    rows = int(np.ceil(people / columns))
    w, h = WIDTH // columns, HEIGHT // rows
    with tempfile.TemporaryFile() as file:
        count, fps = _stored(source, number, (w, h), file)
        there_and_back = [*range(count), *range(count - 2, 0, -1)]
        for k in range(number):
            canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            for p in range(people):
                x, y = p % columns * w, p // columns * h
                file.seek(there_and_back[(k + 17 * p) % len(there_and_back)] * w * h * 3)
                tile = np.frombuffer(file.read(w * h * 3), np.uint8)
                canvas[y : y + h, x : x + w] = tile.reshape(h, w, 3)
            yield canvas, k / fps


def _stored(source: str, number: int, size: tuple[int, int], file: IO[bytes]) -> tuple[int, float]:
    """Writes the first pictures as bytes, letterboxed; how many there are, at what rate."""
    capture = cv2.VideoCapture(source)
    fps, (w, h), count = capture.get(cv2.CAP_PROP_FPS) or 30.0, size, 0
    while count < number:
        ok, image = capture.read()
        if not ok:
            break
        scale = min(w / image.shape[1], h / image.shape[0])
        width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        left, top = (w - width) // 2, (h - height) // 2
        tile = np.zeros((h, w, 3), np.uint8)
        tile[top : top + height, left : left + width] = cv2.resize(
            image, (width, height), interpolation=how
        )
        file.write(tile.tobytes())
        count += 1
    capture.release()
    if not count:
        raise ValueError(f"{source} is not a video that can be read")
    return count, fps


def timed(step: Step, images: Iterable[tuple[np.ndarray, float]]) -> dict[str, Any]:
    """Wall, CPU and device time of each picture in ms (after `WARM_UP`), people found, and the
    most memory in MB."""
    wall, cpu, on_device, found = [], [], [], []
    memory = 0.0
    for k, (image, time_s) in enumerate(images):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        seen = step(image, time_s)
        end, end_cpu = time.perf_counter(), time.process_time()
        memory = max(memory, memory_mb())
        if k >= WARM_UP:
            wall.append(1e3 * (end - begin))
            cpu.append(1e3 * (end_cpu - begin_cpu))
            found.append(seen.people)
            if seen.device_ms is not None:
                on_device.append(seen.device_ms)
    return {"wall": wall, "cpu": cpu, "on_device": on_device, "found": found, "memory_mb": memory}


def memory_mb() -> float:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / 1e6


def report(result: dict[str, Any]) -> None:
    """Hands the result to the process that asked for it."""
    print("\n" + json.dumps(result))
    sys.stdout.flush()


def table(entries: Sequence[dict[str, Any]]) -> str:
    """Entries of ``livepose bench`` as a table for people; ratios to the first MediaPipe, or to
    the first entry."""
    lines = []
    wide = 2 + max(len(e["name"]) for e in entries)
    for people in sorted({e["people"] for e in entries}):
        rows = [e for e in entries if e["people"] == people]
        measured = [e for e in rows if not e.get("problem")]
        base = next((e for e in measured if e["name"].startswith("mediapipe")),
                    measured[0] if measured else None)  # fmt: skip
        than = f"times faster than {base['name']}" if base else ""
        lines.append(
            f"{f'people: {people}':<{wide}}{'median':>9}{'95 %':>9}{'a second':>10}"
            f"{'CPU ms':>9}{'GPU ms':>9}{'MB':>7}{'found':>7}  {than}".rstrip()
        )
        for e in rows:
            if base is None or e.get("problem"):
                lines.append(f"{e['name']:<{wide}}  {e['problem']}")
                continue
            on_device = "" if e.get("device_ms") is None else f"{e['device_ms']:.2f}"
            lines.append(
                f"{e['name']:<{wide}}{e['median_ms']:>9.2f}{e['p95_ms']:>9.2f}{e['fps']:>10.1f}"
                f"{e['cpu_ms']:>9.2f}{on_device:>9}{e['memory_mb']:>7.0f}{e['found']:>7.2f}"
                f"{base['median_ms'] / e['median_ms']:>{2 + len(than)}.2f}"
            )
    return "\n".join(lines)
