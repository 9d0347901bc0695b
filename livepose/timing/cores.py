"""How many cores this process may use: what it is tied to, and what its container is granted."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path


@cache
def usable_cores() -> int:
    """At least 1; hyper-threads counted once where that can be told."""
    granted = quota()
    cores = _physical_cores()
    return cores if math.isinf(granted) else max(1, min(cores, int(granted)))


def to_spare(cores: int) -> int:
    """How many of so many cores the network leaves to painting: one, of four and more."""
    return int(cores >= 4)


def _physical_cores() -> int:
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cores = set()
    for block in _text(Path("/proc/cpuinfo")).split("\n\n"):
        fields = {k.strip(): v.strip() for k, _, v in
                  (line.partition(":") for line in block.splitlines())}  # fmt: skip
        if "core id" in fields and (usable is None or int(fields["processor"]) in usable):
            cores.add((fields.get("physical id"), fields["core id"]))
    return len(cores) or (len(usable) if usable else os.cpu_count() or 1)


def quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """CPU seconds a second that the control groups (v1 or v2) of this process grant, or infinity.

    The tightest one from the process's own group up to the root counts. root, own: for tests.
    """
    least = math.inf
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # v2
            top = root
        elif "cpu" in controllers.split(","):
            top = root / "cpu"
        else:
            continue
        group = top / path.lstrip("/")
        # In a container the path may be the host's, and only the top be there.
        for folder in (group, *group.parents):
            least = min(least, _granted(folder))
            if folder == top:
                break
    return least


def _granted(folder: Path) -> float:
    """By one group: ``cpu.max`` holds "QUOTA PERIOD", v1 has a file for each; max or -1: no end."""
    numbers = _text(folder / "cpu.max").split() or [
        _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")]  # fmt: skip
    try:
        granted, period = (int(n) for n in numbers)
    except ValueError:
        return math.inf
    return granted / period if granted > 0 and period > 0 else math.inf


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
