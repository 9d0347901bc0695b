"""Other programs to measure beside livepose: where they are."""

from __future__ import annotations

import argparse
import importlib.util
import sys


def add_mediapipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mediapipe",
        metavar="PYTHON",
        help="interpreter of an environment with mediapipe, numpy and OpenCV (default: this one, "
        "if it has mediapipe)",
    )


def mediapipe_python(wanted: str | None) -> str | None:
    """The interpreter that runs MediaPipe, None if there is none."""
    here = importlib.util.find_spec("mediapipe") is not None
    return wanted or (sys.executable if here else None)
