"""``livepose bench``: models, backends and other programs in one run, whole picture to poses.

Every candidate runs in a process of its own, on the same pictures of 1280x720, several times in
turn, so that none has the quiet minute of the machine for itself. One that fails is named in the
table, and the others are measured. docs/speed.md has what the columns mean.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from livepose import resources
from livepose.bench.measure import WARM_UP, table
from livepose.bench.peers import add_mediapipe, mediapipe_python
from livepose.engine.device import DeviceError, choose
from livepose.engine.loading import Choice
from livepose.models import store

_PACKAGE = Path(__file__).parents[2]
# What each device is fast with, and what it is compared with.
_BACKENDS = {"cpu": ("openvino", "torch"), "cuda": ("cuda-graph", "torch")}


@dataclass(frozen=True, slots=True)
class Candidate:
    """command: that measures it. problem: why it cannot be measured, if that is known before."""

    name: str
    people: int
    command: tuple[str, ...] = ()
    problem: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default=str(resources.CLIP), help="video (default: bundled)")
    parser.add_argument("--models", nargs="+", default=store.available(),
                        help="MODEL[@SIZE]: names or files, for example lite@160")  # fmt: skip
    parser.add_argument("--backends", nargs="+", help="openvino, onnxruntime, torch, cuda-graph "
                        "(default: the fastest of the device, and torch)")  # fmt: skip
    parser.add_argument("--people", type=int, nargs="+", default=[1],
                        help="copies of the video side by side, each a person")  # fmt: skip
    add_mediapipe(parser)
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
    try:
        placement = choose(args.device, args.precision)
        args.backends = args.backends or _BACKENDS[placement.device.type]
        candidates = [c for people in args.people for c in _candidates(args, people)]
    except (DeviceError, ValueError) as error:
        print(f"livepose bench: {error}", file=sys.stderr)
        return 2
    if placement.note:
        print(f"livepose bench: {placement.note}", file=sys.stderr)
    problems = {c: c.problem for c in candidates if c.problem}
    results: dict[Candidate, list[dict[str, Any]]] = {c: [] for c in candidates}
    for turn in range(args.rounds):
        for c in results:
            if c in problems:
                continue
            try:
                results[c].append(_run(c.command))
            except RuntimeError as error:
                problems[c] = str(error)
                print(f"livepose bench: {c.name}: {error}", file=sys.stderr)
                continue
            print(f"round {turn + 1}: {c.name}, people: {c.people}: "
                  f"{np.median(results[c][-1]['wall']):.2f} ms", file=sys.stderr)  # fmt: skip
    entries = [_entry(c, results[c], problems.get(c, "")) for c in results]
    print(table(entries))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(entries, indent=2) + "\n")
    return 2 if len(problems) == len(results) else 0


def _candidates(args: argparse.Namespace, people: int) -> Iterator[Candidate]:
    shared = ("--source", str(args.source), "--pictures", str(args.pictures + WARM_UP),
              "--people", str(people))  # fmt: skip
    run_one = ("-m", "livepose.bench.run_one")
    own = ["--device", args.device, "--precision", args.precision]
    own += ["--threads", str(args.threads)] if args.threads else []
    for model in args.models:
        for backend in args.backends:
            yield Candidate(f"livepose {Choice.of(model).name} ({backend})", people, (
                sys.executable, *run_one, "livepose", *shared, *own,
                "--model", model, "--backend", backend,
            ))  # fmt: skip
    peers: list[tuple[str, tuple[str, ...]]] = []
    for file in args.movenet:
        variant = file.stem.removeprefix("movenet-")
        weights = ("--model", variant, "--weights", str(file))
        peers.append((f"movenet {variant}",
                      (sys.executable, *run_one, "movenet", *shared, *weights)))  # fmt: skip
    if python := mediapipe_python(args.mediapipe):
        peers.append(("mediapipe pose full", (python, *run_one, "mediapipe", *shared)))
    for name, command in peers:
        problem = "" if people == 1 else "follows one person only"
        yield Candidate(name, people, command, problem)


def _run(command: Sequence[str]) -> dict[str, Any]:
    """What `livepose.bench.run_one` reports; RuntimeError with the last line that it wrote."""
    environment = {**os.environ, "PYTHONPATH": str(_PACKAGE)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except OSError as error:  # no such interpreter
        raise RuntimeError(str(error)) from error
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise RuntimeError((done.stderr.strip() or "no output").splitlines()[-1])
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def _entry(candidate: Candidate, rounds: Sequence[dict[str, Any]], problem: str) -> dict[str, Any]:
    """Figures of all rounds together; None, and the problem, where there is one."""
    if problem:
        figures = dict.fromkeys(("median_ms", "p95_ms", "cpu_ms"))
        return {"name": candidate.name, "people": candidate.people, **figures, "problem": problem}
    wall, cpu, on_device, found = (
        np.concatenate([r[key] for r in rounds]) for key in ("wall", "cpu", "on_device", "found")
    )
    entry = {
        "name": rounds[0]["name"], "people": candidate.people, "median_ms": float(np.median(wall)),
        "p95_ms": float(np.percentile(wall, 95)), "fps": 1e3 / float(np.median(wall)),
        "cpu_ms": float(cpu.mean()), "memory_mb": max(r["memory_mb"] for r in rounds),
        "found": float(found.mean()), "pictures": len(wall), "device": rounds[0]["device"],
    }  # fmt: skip
    return {**entry, "device_ms": float(np.median(on_device))} if len(on_device) else entry
