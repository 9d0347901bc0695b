"""``livepose study``: claims of the papers, measured here with one command each.

``output``: one trunk with the three output strategies of the DSNT paper, trained in one run
(`livepose.train.study_output`). ``tasks``: regression with detection beside it, before it, and
without (Li & Chan, `livepose.train.study_tasks`). Trains, packs and measures all networks of a
study, and writes a JSON file, a table and a plot. Goes on where it was stopped; what is trained
already is only measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.evaluate.command import measure
from livepose.evaluate.protocol import forward_ms, predict
from livepose.models.networks import PoseNetwork
from livepose.models.store import Card, WeightsError, load_model, save_family, update_measured
from livepose.train import study_output, study_tasks
from livepose.train.command import TrainingData, find_config, read_data
from livepose.train.config import TrainConfig
from livepose.train.family import FamilyRun, trained_family
from livepose.train.loop import Run
from livepose.train.pack import trained

Row = dict[str, Any]
_ROUNDS, _RUNS = 25, 9  # of the timing


@dataclass(frozen=True, slots=True)
class Study:
    """config: name of the shipped TOML file. variants: from it, the network's name, what it is
    (for the table) and its own configuration. together: they share a trunk and are trained in one
    run. table: rows -> Markdown. plot: rows, file.
    """

    config: str
    variants: Callable[[TrainConfig], list[tuple[str, Row, TrainConfig]]]
    table: Callable[[Sequence[Row]], str]
    together: bool = False
    plot: Callable[[Sequence[Row], Path], None] | None = None


STUDIES = {
    "output": Study(
        "study-output", study_output.variants, study_output.table, True, study_output.plot
    ),
    "tasks": Study("study-tasks", study_tasks.variants, study_tasks.table),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("--config", help="a TOML file in place of the study's own")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--labels", type=Path, help="folder of pseudo-labels, and of synth (default: DATA/labels)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--steps", type=int, help="instead of the configuration's")
    parser.add_argument("--only", nargs="+", help="networks whose names hold one of these words")
    parser.add_argument("--test", type=Path, help="LSP (default: DATA/data/lsp_dataset)")
    parser.add_argument("--device", default="auto", help="for training")


def main(args: argparse.Namespace) -> int:
    study, labels = STUDIES[args.study], args.labels or args.data / "labels"
    try:
        config = find_config(args.config or study.config, args.data, labels)
        config = replace(config, steps=args.steps or config.steps)
        tests = {"lsp_test": read("lsp", args.test or args.data / "data/lsp_dataset", "test")}
        if any(part.reader == "synth" for part in config.data):
            tests["synth_test"] = read("synth", labels / "synth", "test")
        wanted = [v for v in study.variants(config)
                  if not args.only or any(word in v[0] for word in args.only)]  # fmt: skip
        command = f"livepose study {args.study} --data DATA --labels labels --out runs/study"
        if args.config:
            command += f" --config {Path(args.config).name}"
        if args.steps:
            command += f" --steps {args.steps}"
        _train_missing(wanted, config, args, labels, command, study.together)
        nets = {name: load_model(str(args.out / f"{name}.safetensors")) for name, _, _ in wanted}
        times = _forward_ms({name: net for name, (net, _) in nets.items()})
        rows = []
        for name, what, _ in wanted:
            about = {**what, "forward_ms": times[name]}
            rows.append(_measured(*nets[name], about, args.out, tests, command))
    except (DataError, FloatingPointError, OSError, ValueError, WeightsError) as error:
        print(f"livepose study: {error}", file=sys.stderr)
        return 2
    (args.out / f"{args.study}.json").write_text(json.dumps(rows, indent=2) + "\n")
    (args.out / f"{args.study}.md").write_text(study.table(rows))
    print(study.table(rows))
    if study.plot:
        study.plot(rows, args.out / f"{args.study}.svg")
    return 0


def _train_missing(
    wanted: Sequence[tuple[str, Row, TrainConfig]], config: TrainConfig, args: argparse.Namespace,
    labels: Path, command: str, together: bool,
) -> None:  # fmt: skip
    missing = [v for v in wanted if not (args.out / f"{v[0]}.safetensors").exists()]
    if not missing:
        return
    data, shared = read_data(config, args.data, labels), f"{args.study}-shared"
    if together:
        members, folder = {name: own for name, _, own in wanted}, args.out / args.study
        _train(FamilyRun(config, members, folder, args.device), data)
        save_family(args.out, trained_family(folder, members, command), shared)
        return
    for i, (name, _, own) in enumerate(missing, 1):
        print(f"{name} ({i} of {len(missing)})", flush=True)
        _train(Run(own, args.out / name, args.device), data)
    made = {name: trained(args.out / name, command) for name, _, _ in wanted}
    save_family(args.out, made, shared)


def _train(run: Run, data: TrainingData) -> None:
    """Runs to the end, from where it was left; KeyboardInterrupt where somebody stopped it."""
    run.resume()
    if run.step < run.config.steps:
        run.train(data.parts, data.validation, data.backgrounds)
    if run.step < run.config.steps:
        raise KeyboardInterrupt


def _forward_ms(nets: Mapping[str, PoseNetwork]) -> dict[str, float]:
    """Median time of the forward pass of each, taken in turns: a busy minute slows all alike."""
    rounds = [{n: forward_ms(net, net.config.input_size, _RUNS) for n, net in nets.items()}
              for _ in range(_ROUNDS)]  # fmt: skip
    return {n: round(statistics.median(r[n] for r in rounds), 2) for n in nets}


def _measured(
    net: PoseNetwork, card: Card, what: Row, folder: Path, tests: dict[str, Samples], command: str
) -> Row:
    """All measures by the whole-picture protocol; they and the time go into the card, too."""
    file = folder / f"{card.name}.safetensors"
    row: Row = {"name": card.name, **what, "steps": card.training["steps"],
           "parameters": sum(p.numel() for p in net.parameters())}  # fmt: skip
    for test, samples in tests.items():
        points, _, sizes = predict(net, samples)
        figures = measure(samples, points, sizes)
        kept: Row = {k: figures[k] for k in ("pck", "auc", "per_group", "3d") if k in figures}
        row[test] = kept
        about: Row = {**kept, "forward_ms": what["forward_ms"], "command": command}
        update_measured(file, {f"{test}_pck": kept["pck"], f"{test}": about})
    print(f"{card.name}: PCK@0.2 {100 * row['lsp_test']['pck']:.2f} %", flush=True)
    return row
