"""``livepose doctor``: what livepose finds on this machine, and what holds it up."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from livepose import __version__
from livepose.capture import list_cameras, pixel_formats
from livepose.engine.device import (
    choose,
    cpu_has_bfloat16,
    cpu_has_int8,
    nvidia_hardware,
    set_cpu_threads,
)
from livepose.models import store
from livepose.timing.causes import UNCOMPRESSED, Machine, causes
from livepose.timing.cores import usable_cores
from livepose.timing.stats import StageStats, Stats
from livepose.ui.display import display_problem

# ok: all is well. note: works, but could be better. bad: does not work.
Line = tuple[str, str]
_PATIENCE_S = 60
# In a process of its own: a broken driver may take it down.
_DRAWING = (
    "from livepose.ui.app import make_application; app = make_application();"
    "from livepose.ui.scene3d import opengl_renderer; print(opengl_renderer());"
    "from livepose.ui.sync import swap_ms; print(swap_ms())"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def main(args: argparse.Namespace) -> int:
    """2 if something keeps livepose from working, else 0."""
    print(f"livepose {__version__}, Python {platform.python_version()}, {platform.platform()}")
    set_cpu_threads()  # as `livepose run` does
    worst = 0
    for check in (_processor, _gpu, _runtimes, _models, _window, _cameras):
        for mark, text in _asked(check):
            print(f"{mark:<5}{text}", flush=True)
            worst = max(worst, 2 if mark == "bad" else 0)
    return worst


def _asked(check: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    try:
        yield from check()
    except Exception as error:  # whatever a driver or a library trips over, the rest is told
        yield "note", f"{check.__name__[1:]}: {error}"


def _processor() -> Iterator[Line]:
    machine = Machine.here(torch.get_num_threads())
    extras = [name for name, has in (("bfloat16", cpu_has_bfloat16()), ("int8", cpu_has_int8()))
              if has]  # fmt: skip
    kinds = f"computes in {' and '.join(extras)}" if extras else "computes in float32 only"
    yield "ok", (f"processor: {machine.cores} cores, {machine.threads} threads for the network, "
                 f"{kinds}; load {machine.load:.1f}")  # fmt: skip
    for text in causes(Stats(), machine):
        yield "note", text


def _gpu() -> Iterator[Line]:
    placement = choose("cuda")
    if placement.device.type == "cuda":
        yield "ok", f"GPU: {placement.device_name}"
    elif nvidia_hardware():
        yield "note", f"GPU: there is one, but {placement.note}"
    else:
        yield "ok", "GPU: no NVIDIA GPU here; the processor does the work"


def _runtimes() -> Iterator[Line]:
    yield "ok", f"torch {torch.__version__}"
    try:
        import openvino  # noqa: F401

        yield "ok", f"openvino {importlib.metadata.version('openvino')} runs networks on the CPU"
    except ImportError as error:
        yield "note", f"openvino cannot be used ({error}); torch is slower: pip install openvino"


def _models() -> Iterator[Line]:
    names = store.available()
    for name in names:
        try:
            store.load_model(name)
        except store.WeightsError as error:
            yield "bad", f"model {name}: {error}"
    yield ("ok", f"models: {', '.join(names)}") if names else ("bad", "no models: reinstall")
    try:
        store.load_detector()
        yield "ok", "detector of people"
    except store.WeightsError as error:
        yield "note", f"only one person can be followed: {error}"


def _window() -> Iterator[Line]:
    problem = display_problem()
    if problem:
        yield "note", f"window: {problem}; livepose runs headless"
        return
    yield "ok", "window: a display answers"
    try:
        asked = subprocess.run([sys.executable, "-c", _DRAWING], capture_output=True, text=True,
                               timeout=_PATIENCE_S, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        yield "note", f"OpenGL has not drawn anything within {_PATIENCE_S} s: check its driver"
        return
    lines = asked.stdout.strip().splitlines()
    if asked.returncode or len(lines) < 2:
        last = (asked.stderr.strip() or "no reason given").splitlines()[-1]
        yield "note", f"OpenGL does not work, so there is no 3D view: {last}"
        return
    name, swap_ms = lines[-2], float(lines[-1])
    if "llvmpipe" in name.lower() or "software" in name.lower():
        yield "note", f"OpenGL draws in software ({name}): the 3D view costs processor time"
    else:
        yield "ok", f"OpenGL: {name}"
    idle = Machine(usable_cores(), threads=1)  # `_processor` has told the rest
    for text in causes(Stats(stages={"paint": StageStats(median=swap_ms)}), idle):
        yield "note", text


def _cameras() -> Iterator[Line]:
    cameras = list_cameras()
    for spec, name in cameras:
        formats = pixel_formats(Path(f"/dev/video{spec}"))
        listed = f" ({', '.join(formats)})" if formats else ""
        yield "ok", f"camera {spec}: {name}{listed}"
        if formats and all(f in UNCOMPRESSED for f in formats):
            yield "note", (f"camera {spec} sends uncompressed pictures only: USB 2 carries about "
                           "ten of 1280x720 a second, more of a smaller --size")  # fmt: skip
    if not cameras:
        yield "note", "no camera found: the bundled clip plays instead"
