"""``livepose explore``: speed against accuracy of everything that runs here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from livepose.bench.explore import (
    Point,
    as_json,
    export,
    load,
    pareto,
    points,
    results_file,
    save,
    updated,
)
from livepose.bench.explore_plot import save_plot
from livepose.bench.measurer import DataSet, Measurer
from livepose.models import store

_STDOUT = Path("-")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", nargs="+", help="names or files (default: all that ship)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads for the networks")
    parser.add_argument("--lsp", type=Path, help="measure the accuracy on LSP's test half, too")
    parser.add_argument("--limit", type=int, default=200, help="of so many of its pictures")
    parser.add_argument("--again", action="store_true", help="measure what is known already")
    parser.add_argument(
        "--json", type=Path, nargs="?", const=_STDOUT, metavar="FILE",
        help="file for all points; without one, they are printed in place of the table",
    )  # fmt: skip
    parser.add_argument("--csv", type=Path, metavar="FILE", help="file for all points")
    parser.add_argument("--png", type=Path, metavar="FILE", help="file for the plot")


def main(args: argparse.Namespace) -> int:
    try:
        models = args.models or store.available(everywhere=True)
        found = load(points(models, args.device, args.threads), results_file())
        wanted = found if args.again else [p for p in found if p.ms is None]
        found, problem = _measured(found, wanted)
        if args.lsp and not problem:
            data = DataSet("lsp", args.lsp.resolve(), "test", args.limit)
            found, problem = _measured(found, found, data)
        for file in (args.json, args.csv):
            if file and file != _STDOUT:
                export(found, file)
        if args.png:
            save_plot(found, args.png)
    except (OSError, ValueError, store.WeightsError) as error:
        print(f"livepose explore: {error}", file=sys.stderr)
        return 2
    print(as_json(found) if args.json == _STDOUT else table(found), end="")
    if problem:
        print(f"livepose explore: {problem}", file=sys.stderr)
    return 2 if problem else 0


def _measured(
    found: list[Point], wanted: Sequence[Point], data: DataSet | None = None
) -> tuple[list[Point], str]:
    """The points with what is wanted of them measured, and what went wrong. Keeps each at once."""
    if not wanted:
        return found, ""
    problems: list[str] = []
    bar = tqdm(total=100.0, bar_format="{percentage:3.0f} % |{bar}| {elapsed}{postfix}")

    def take(point: Point) -> None:
        nonlocal found
        found = updated(found, point)
        save(found, results_file())
        bar.set_postfix_str(point.key, refresh=False)

    def progress(done: float) -> None:
        bar.update(100 * done - bar.n)

    measurer = Measurer(wanted, take, problems.append, data=data, on_progress=progress)
    try:
        while not measurer.wait(0.5):
            pass
    except KeyboardInterrupt:
        measurer.cancel()
        measurer.wait()
    bar.close()
    return found, next((p for p in problems if p), "")


def table(found: Sequence[Point]) -> str:
    """All points as text, the fastest first; a star marks those that none beats in both."""
    front = {p.key for p in pareto(found)}
    lines = [f"{'':<2}{'model':<22}{'output':<11}{'size':>5}{'map':>5}  {'backend':<13}"
             f"{'precision':<11}{'ms':>9}{'PCK@0.2':>9}"]  # fmt: skip
    for p in sorted(found, key=lambda p: (p.ms is None, p.ms)):
        ms = (p.problem or "-") if p.ms is None else f"{p.ms:.2f}{'b' if p.beside else ' '}"
        score = "" if p.pck is None else f"{100 * p.pck:>8.1f}{' ' if p.pictures else 'q'}"
        star = "*" if p.key in front else ""
        lines.append(f"{star:<2}{Path(p.model).stem:<22}{p.output:<11}{p.size:>5}{p.heatmap:>5}  "
                     f"{p.backend:<13}{p.precision:<11}{ms:>9}{score:>9}")  # fmt: skip
    return "\n".join([*lines, "* no other is faster and better; q quoted from the model's card; "
                      "b measured beside the live view\n"])  # fmt: skip
