"""Why it is slow: causes that can be told from figures and machine, with what to do."""

from __future__ import annotations

import os
from dataclasses import dataclass

from livepose.timing.cores import usable_cores
from livepose.timing.stats import Stats

# Of uncompressed pictures USB 2 carries about ten of 1280x720 a second.
UNCOMPRESSED = ("YUYV", "YUY2", "UYVY")
_FEW = 16.0  # pictures a second
_DARK = 0.7  # of the pictures that the camera promised
_KEEPS_UP = 0.95  # share of the pictures; the rates of two seconds are good to a picture
_SYNC_MS = 12.0  # painting takes 2 to 5 ms where nothing waits for the screen


@dataclass(frozen=True, slots=True)
class Machine:
    """cores: that this process may use. threads: that the network uses. load: processes that
    wanted a core in the last minute, on average. software_gl: OpenGL draws on the CPU.
    """

    cores: int
    threads: int
    load: float = 0.0
    software_gl: bool = False

    @classmethod
    def here(cls, threads: int, software_gl: bool = False) -> Machine:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        return cls(usable_cores(), threads, load, software_gl)


def causes(stats: Stats, machine: Machine) -> list[str]:
    """What makes it slower than it could be, the weightiest first; nothing if all is well."""
    found = [part for part in stats.note.split("; ") if part]
    # Drivers promise 30 uncompressed pictures a second that the cable does not carry.
    rate = stats.capture_fps or stats.camera_fps
    if stats.fourcc in UNCOMPRESSED and 0 < rate <= _FEW:
        found.append(
            f"the camera sends uncompressed {stats.fourcc}, {rate:.0f} pictures a second: "
            "ask for --fourcc MJPG or a smaller --size"
        )
    elif 0 < stats.capture_fps < _DARK * stats.camera_fps:
        found.append(
            f"the camera gives {stats.capture_fps:.0f} of {stats.camera_fps:.0f} pictures a "
            "second: more light shortens its exposure"
        )
    if 0 < stats.inference_fps < _KEEPS_UP * stats.capture_fps:
        found.append(
            f"the network takes {stats.inference_fps:.0f} of {stats.capture_fps:.0f} pictures a "
            "second: a smaller model or input size has less lag"
        )
    if machine.threads > machine.cores:
        found.append(
            f"the network uses {machine.threads} threads on {machine.cores} cores: "
            f"try --threads {machine.cores}"
        )
    elif machine.load > machine.cores + machine.threads:
        found.append("other programs keep the processor busy")
    paint = stats.stages.get("paint")
    if paint is not None and paint.median >= _SYNC_MS:
        found.append(
            f"painting takes {paint.median:.0f} ms: the window system waits for the screen"
            + (", and OpenGL draws in software" if machine.software_gl else "")
        )
    elif machine.software_gl and machine.cores <= machine.threads:
        found.append("OpenGL draws the 3D view in software, on the cores of the network")
    return found
