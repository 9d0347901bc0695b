"""``livepose explore``: speed against accuracy of everything that runs here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from livepose.bench.explore import (
    Measurer,
    Point,
    export,
    load,
    pareto,
    points,
    results_file,
    save,
)
from livepose.data.readers import read
from livepose.data.samples import DataError
from livepose.models import store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", nargs="+", help="names or files (default: all that ship)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--lsp", type=Path, help="measure the accuracy on LSP's test half, too")
    parser.add_argument("--limit", type=int, default=200, help="of so many of its pictures")
    parser.add_argument("--again", action="store_true", help="measure what is known already")
    parser.add_argument("--json", type=Path, help="file for all points")
    parser.add_argument("--csv", type=Path, help="file for all points")


def main(args: argparse.Namespace) -> int:
    try:
        found = points(args.models or store.available(everywhere=True), args.device)
        if not args.again:
            found = load(found, results_file())
        found, problem = _timed(found, args.device)
        if args.lsp:
            found = _judged(found, args.lsp, args.limit)
        for file in (args.json, args.csv):
            if file:
                export(found, file)
    except (DataError, OSError, ValueError, store.WeightsError) as error:
        print(f"livepose explore: {error}", file=sys.stderr)
        return 2
    print(table(found))
    if problem:
        print(f"livepose explore: {problem}", file=sys.stderr)
    return 2 if problem else 0


def _timed(found: list[Point], device: str) -> tuple[list[Point], str]:
    """The points with their times, measured where they are not known yet."""
    missing = [p for p in found if p.ms is None and not p.problem]
    known = {p.key: p for p in found}
    problems: list[str] = []
    if missing:
        bar = tqdm(total=len(missing), unit="points")

        def take(point: Point) -> None:
            known[point.key] = point
            bar.set_postfix_str(point.key, refresh=False)
            bar.update()

        measurer = Measurer(missing, device, take, problems.append)
        try:
            while not measurer.wait(0.5):
                pass
        except KeyboardInterrupt:
            measurer.cancel()
            measurer.wait()
        bar.close()
        save(list(known.values()), results_file())
    return list(known.values()), next(iter(problems), "")


def _judged(found: Sequence[Point], lsp: Path, limit: int) -> list[Point]:
    """The points with their accuracy measured: once for each model, size and precision."""
    from livepose.engine.device import choose
    from livepose.evaluate.metrics import pck
    from livepose.evaluate.protocol import placed, predict

    samples = read("lsp", lsp, "test")
    samples = samples.take(np.linspace(0, len(samples) - 1, min(limit, len(samples))).astype(int))
    scores: dict[tuple[str, int, str], float] = {}
    for point in tqdm(found, unit="points"):
        key = (point.model, point.size, point.precision)
        if key not in scores:
            net, _ = store.load_model(point.model)
            net = placed(net, choose("cpu", point.precision))
            scores[key] = pck(predict(net, samples, point.size)[0][..., :2], samples).pck
    return [replace(p, pck=scores[p.model, p.size, p.precision], pck_measured=True) for p in found]


def table(found: Sequence[Point]) -> str:
    """All points as text, the fastest first; a star marks those that none beats in both."""
    front = {p.key for p in pareto(found)}
    lines = [f"{'':<2}{'model':<22}{'output':<11}{'size':>5}{'map':>5}  {'backend':<13}"
             f"{'precision':<11}{'ms':>8}{'PCK@0.2':>9}"]  # fmt: skip
    for p in sorted(found, key=lambda p: (p.ms is None, p.ms)):
        ms = p.problem if p.ms is None else f"{p.ms:>8.2f}"
        score = "" if p.pck is None else f"{100 * p.pck:>8.1f}{' ' if p.pck_measured else 'q'}"
        star = "*" if p.key in front else ""
        lines.append(f"{star:<2}{p.model:<22}{p.output:<11}{p.size:>5}{p.heatmap:>5}  "
                     f"{p.backend:<13}{p.precision:<11}{ms:>8}{score:>9}")  # fmt: skip
    return "\n".join([*lines, "* no other is faster and better; q quoted from the model's card"])
