"""``livepose bench``: models, backends and other programs in one run, whole picture to poses.

Every candidate runs in a process of its own, on the same pictures of 1280x720, several times in
turn, so that none has the quiet minute of the machine for itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from livepose import resources
from livepose.bench.measure import WARM_UP, table
from livepose.models import store

_PACKAGE = Path(__file__).parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=str(resources.CLIP), help="video (default: bundled)")
    parser.add_argument("--models", nargs="+", default=store.available(), help="names or files")
    parser.add_argument("--backends", nargs="+", default=["openvino", "torch"],
                        help="openvino, onnxruntime, torch, cuda-graph")  # fmt: skip
    parser.add_argument("--people", type=int, nargs="+", default=[1],
                        help="copies of the video side by side, each a person")  # fmt: skip
    parser.add_argument(
        "--mediapipe",
        metavar="PYTHON",
        help="interpreter of an environment with mediapipe, numpy and OpenCV",
    )
    parser.add_argument(
        "--movenet",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="movenet-lightning.safetensors, movenet-thunder.safetensors",
    )
    parser.add_argument("--device", default="auto", help="of livepose's models")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads of livepose's networks")
    parser.add_argument("--pictures", type=int, default=200, help="in each round, warm-up apart")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")


def main(args: argparse.Namespace) -> int:
    if args.pictures < 1 or args.rounds < 1 or min(args.people) < 1:
        print("livepose bench: pictures, rounds and people must be at least 1", file=sys.stderr)
        return 2
    runs = [(people, command) for people in args.people for command in _candidates(args, people)]
    collected: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for turn in range(args.rounds):
        for people, command in runs:
            result = _run(command)
            if result is None:
                return 2
            print(f"round {turn + 1}: {result['name']}, people: {people}: "
                  f"{np.median(result['wall']):.2f} ms", file=sys.stderr)  # fmt: skip
            collected.setdefault((people, result["name"]), []).append(result)
    entries = [_entry(name, people, rounds) for (people, name), rounds in collected.items()]
    print(table(entries))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(entries, indent=2) + "\n")
    return 0


def _candidates(args: argparse.Namespace, people: int) -> list[list[str]]:
    """Command lines, one for each candidate."""
    shared = ["--source", str(args.source), "--pictures", str(args.pictures + WARM_UP),
              "--people", str(people)]  # fmt: skip
    base = [sys.executable, "-m", "livepose.bench.run_one"]
    own = ["--device", args.device, "--precision", args.precision]
    own += ["--threads", str(args.threads)] if args.threads else []
    commands = [[*base, "livepose", *shared, *own, "--model", model, "--backend", backend]
                for model in args.models for backend in args.backends]  # fmt: skip
    if people == 1:  # the others follow one person
        for file in args.movenet:
            variant = file.stem.removeprefix("movenet-")
            commands.append([*base, "movenet", *shared, "--model", variant, "--weights", str(file)])
        if args.mediapipe:
            commands.append([args.mediapipe, *base[1:], "mediapipe", *shared])
    return commands


def _run(command: Sequence[str]) -> dict[str, Any] | None:
    environment = {**os.environ, "PYTHONPATH": str(_PACKAGE)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        print(f"livepose bench: {' '.join(command[2:6])}: {last}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def _entry(name: str, people: int, rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    wall = np.concatenate([r["wall"] for r in rounds])
    return {
        "name": name, "people": people, "median_ms": float(np.median(wall)),
        "p95_ms": float(np.percentile(wall, 95)), "fps": 1e3 / float(np.median(wall)),
        "cpu_ms": float(np.mean(np.concatenate([r["cpu"] for r in rounds]))),
        "memory_mb": max(r["memory_mb"] for r in rounds),
        "found": float(np.mean(np.concatenate([r["found"] for r in rounds]))),
        "pictures": len(wall),
    }  # fmt: skip
