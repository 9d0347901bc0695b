"""``livepose study``: the claim of the DSNT paper, measured here with one command.

The same trunk, data, steps and seed with three output strategies (DSNT with JS, heatmap matching,
fully connected) at several heatmap sizes, and DSNT with other regularisers at one size. Trains,
packs and measures all of them, and writes ``study.json``, ``study.md`` and ``study.svg``. Goes on
where it was stopped; what is trained already is only measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.evaluate.metrics import pck
from livepose.evaluate.protocol import forward_ms, predict
from livepose.models.store import WeightsError, load_model, update_measured
from livepose.train.command import find_config, read_data
from livepose.train.config import TrainConfig
from livepose.train.pack import pack

SIZES = (7, 14, 28, 56)  # cells along the side of a map
REGULARISED = 28  # the size at which regularisers are compared
_COMMAND = "livepose study --data DATA --labels labels --out runs/study"


@dataclass(frozen=True, slots=True)
class Variant:
    """One network of the study."""

    output: str
    size: int
    regulariser: str = "js"

    @property
    def name(self) -> str:
        plain = f"study-{self.output}-{self.size}"
        return plain if self.regulariser == "js" else f"{plain}-{self.regulariser}"

    def of(self, config: TrainConfig) -> TrainConfig:
        """The study's configuration with this output, heatmap size and regulariser."""
        stride = config.network.input_size // self.size
        network = replace(config.network, output=self.output, heatmap_stride=stride)
        return replace(config, network=network, regulariser=self.regulariser)


def variants(sizes: tuple[int, ...]) -> list[Variant]:
    """All networks of the study. The largest maps are too many numbers for a full connection."""
    grid = [Variant(o, s) for s in sizes for o in ("dsnt", "heatmap", "fc")
            if (o, s) != ("fc", 56)]  # fmt: skip
    others = [Variant("dsnt", REGULARISED, r) for r in ("none", "variance", "kl")]
    return grid + (others if REGULARISED in sizes else [])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="study", help="a TOML file (default: the shipped one)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--labels", type=Path, help="folder of pseudo-labels")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--steps", type=int, help="instead of the configuration's")
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--test", type=Path, help="LSP (default: DATA/data/lsp_dataset)")
    parser.add_argument("--device", default="cpu", help="for training")


def main(args: argparse.Namespace) -> int:
    try:
        config = find_config(args.config, args.data)
        config = replace(config, steps=args.steps or config.steps)
        test = read("lsp", args.test or args.data / "data/lsp_dataset", "test")
        wanted = variants(tuple(args.sizes))
        _train_missing(wanted, config, args)
        rows = [_measure(v, args.out / f"{v.name}.safetensors", test) for v in wanted]
    except (DataError, FloatingPointError, OSError, ValueError, WeightsError) as error:
        print(f"livepose study: {error}", file=sys.stderr)
        return 2
    (args.out / "study.json").write_text(json.dumps(rows, indent=2) + "\n")
    (args.out / "study.md").write_text(table(rows))
    print(table(rows))
    _plot(rows, args.out / "study.svg")
    return 0


def _train_missing(wanted: list[Variant], config: TrainConfig, args: argparse.Namespace) -> None:
    missing = [v for v in wanted if not (args.out / f"{v.name}.safetensors").exists()]
    if not missing:
        return
    from livepose.train.loop import Run

    data = read_data(config, args.data, args.labels)
    for i, variant in enumerate(missing, 1):
        print(f"{variant.name} ({i} of {len(missing)})", flush=True)
        run = Run(variant.of(config), args.out / variant.name, args.device)
        run.resume()
        run.train(data.parts, data.validation, data.backgrounds)
        if run.step < config.steps:
            raise KeyboardInterrupt
        pack(args.out / variant.name, args.out / f"{variant.name}.safetensors", _COMMAND)


def _measure(variant: Variant, file: Path, test: Samples) -> dict[str, Any]:
    """Accuracy by the whole-picture protocol, and time of the forward pass; into the card too."""
    net, card = load_model(str(file))
    score = pck(predict(net, test)[0][..., :2], test)
    row = {
        "name": variant.name, "output": variant.output, "size": variant.size,
        "regulariser": variant.regulariser if variant.output == "dsnt" else "",
        "pck": score.pck, "auc": score.auc, "forward_ms": round(forward_ms(net, 224), 2),
        "parameters": sum(p.numel() for p in net.parameters()),
    }  # fmt: skip
    figures = {k: row[k] for k in ("pck", "auc", "forward_ms")}
    update_measured(file, {"lsp_test_pck": score.pck, "lsp_test": {**figures, "command": _COMMAND}})
    print(f"{variant.name}: PCK@0.2 {100 * score.pck:.2f} %, {row['forward_ms']} ms", flush=True)
    return row | {"steps": card.training["config"]["steps"]}


_TITLES = {"dsnt": "DSNT", "heatmap": "heatmap matching", "fc": "fully connected"}


def table(rows: list[dict[str, Any]]) -> str:
    """The results as two tables in Markdown."""
    grid = {(r["output"], r["size"]): r for r in rows if r["regulariser"] in ("js", "")}
    sizes = sorted({size for _, size in grid})
    head = "| PCK@0.2, % (forward, ms) | " + " | ".join(f"{s} x {s}" for s in sizes) + " |"
    lines = [head, "|---" * (len(sizes) + 1) + "|"]
    for output, title in _TITLES.items():
        cells = [f"{100 * r['pck']:.1f} ({r['forward_ms']:.1f})" if (r := grid.get((output, s)))
                 else "" for s in sizes]  # fmt: skip
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    same = [r for r in rows if r["output"] == "dsnt" and r["size"] == REGULARISED]
    lines += ["", f"| DSNT at {REGULARISED} x {REGULARISED}, regulariser | "
              + " | ".join(r["regulariser"] for r in same) + " |",
              "|---" * (len(same) + 1) + "|",
              "| PCK@0.2, % | " + " | ".join(f"{100 * r['pck']:.1f}" for r in same) + " |",
              "| AUC, % | " + " | ".join(f"{100 * r['auc']:.1f}" for r in same) + " |"]  # fmt: skip
    return "\n".join(lines) + "\n"


def _plot(rows: list[dict[str, Any]], file: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        print("no plot: pip install 'livepose[train]'", file=sys.stderr)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "livepose"  # the same file for the same figures
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for output, title in _TITLES.items():
        own = [r for r in rows if r["output"] == output and r["regulariser"] in ("js", "")]
        axes.plot([r["size"] for r in own], [100 * r["pck"] for r in own], "o-", label=title)
    axes.set(
        xscale="log", xlabel="cells along the side of a heatmap", ylabel="PCK@0.2, LSP test, %"
    )
    axes.set_xticks(sizes := sorted({r["size"] for r in rows}), labels=map(str, sizes))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
