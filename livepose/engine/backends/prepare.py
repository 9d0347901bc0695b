"""Exports a network for OpenVINO or ONNX Runtime, in a process of its own.

It takes seconds of Python, in which nothing else of a process moves: neither the live picture nor
the window. ``python -m livepose.engine.backends.prepare MODEL``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import torch

from livepose.engine.backends import at_size, make
from livepose.engine.device import PRECISIONS, Placement
from livepose.models.store import WeightsError, find, load_model


def prepare(
    model: str, size: int | None, precision: str, backend: str = "openvino", squares: int = 1,
    middles: bool = False,
) -> bool:  # fmt: skip
    """True if the network is on disk now, ready to be read by the backend; with middles, theirs
    as well.
    """
    try:
        file = find(model).resolve()  # the other process has another current folder
    except WeightsError:
        return False
    command = [sys.executable, "-m", "livepose.engine.backends.prepare", str(file)]
    command += ["--backend", backend, "--precision", precision, "--squares", str(squares)]
    command += ["--size", str(size)] if size else []
    command += ["--middles"] if middles else []
    done = subprocess.run(command, capture_output=True, check=False,
                          cwd=Path(__file__).parents[3])  # fmt: skip
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--size", type=int)
    parser.add_argument("--squares", type=int, default=1)
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--middles", action="store_true")
    parser.add_argument("--precision", choices=sorted(PRECISIONS), required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)  # the live picture goes on beside it
    if args.middles and hasattr(os, "nice"):  # nobody waits for them
        os.nice(10)
    dtype, cpu = PRECISIONS[args.precision], torch.device("cpu")
    placement = Placement(cpu, dtype, asked=True, squares=args.squares)
    net = at_size(load_model(args.model)[0], args.size)
    return 1 if make(net, placement, args.backend, middles=args.middles)[1] else 0


if __name__ == "__main__":
    sys.exit(main())
