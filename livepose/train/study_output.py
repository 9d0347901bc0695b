"""The claim of the DSNT paper: three output strategies at several heatmap sizes, and regularisers.

After Nibali et al. 2018: at low resolution, coordinates from DSNT beat heatmap matching
and a fully connected output of the same trunk.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from livepose.models.margipose import Config
from livepose.train.config import TrainConfig

SIZES = (7, 14, 28, 56)  # cells along the side of a map
REGULARISED = 28  # the size at which regularisers are compared
TITLES = {"dsnt": "DSNT", "heatmap": "heatmap matching", "fc": "fully connected"}


def variants(config: TrainConfig) -> list[tuple[str, dict[str, Any], TrainConfig]]:
    """All networks. The largest maps are too many numbers for a full connection."""
    assert isinstance(config.network, Config)
    grid = [(o, s, "js") for s in SIZES for o in TITLES if (o, s) != ("fc", 56)]
    others = [("dsnt", REGULARISED, r) for r in ("none", "variance", "kl")]
    out = []
    for output, size, regulariser in grid + others:
        name = f"study-{output}-{size}" + (f"-{regulariser}" if regulariser != "js" else "")
        stride = config.network.input_size // size
        network = replace(config.network, output=output, heatmap_stride=stride)
        what = {"output": output, "size": size,
                "regulariser": regulariser if output == "dsnt" else ""}  # fmt: skip
        out.append((name, what, replace(config, network=network, regulariser=regulariser)))
    return out


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The results as two tables in Markdown."""
    grid = {(r["output"], r["size"]): r for r in rows if r["regulariser"] in ("js", "")}
    sizes = sorted({size for _, size in grid})
    head = "| PCK@0.2, % (forward, ms) | " + " | ".join(f"{s} x {s}" for s in sizes) + " |"
    lines = [head, "|---" * (len(sizes) + 1) + "|"]
    for output, title in TITLES.items():
        cells = [f"{100 * r['lsp_test']['pck']:.1f} ({r['forward_ms']:.1f})"
                 if (r := grid.get((output, s))) else "" for s in sizes]  # fmt: skip
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    same = [r for r in rows if r["output"] == "dsnt" and r["size"] == REGULARISED]
    lines += ["", f"| DSNT at {REGULARISED} x {REGULARISED}, regulariser | "
              + " | ".join(r["regulariser"] for r in same) + " |",
              "|---" * (len(same) + 1) + "|"]  # fmt: skip
    for key, title in (("pck", "PCK@0.2"), ("auc", "AUC")):
        cells = [f"{100 * r['lsp_test'][key]:.1f}" for r in same]
        lines.append(f"| {title}, % | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Accuracy over the size of the heatmaps, as SVG."""
    try:
        import matplotlib
    except ImportError:
        print("no plot: pip install 'livepose[train]'", file=sys.stderr)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "livepose"  # the same file for the same figures
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for output, title in TITLES.items():
        own = [r for r in rows if r["output"] == output and r["regulariser"] in ("js", "")]
        heights = [100 * r["lsp_test"]["pck"] for r in own]
        axes.plot([r["size"] for r in own], heights, "o-", label=title)
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
