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
    """Accuracy over the size of the heatmaps and over the time of the forward pass, as SVG."""
    try:
        import matplotlib
    except ImportError:
        print("no plot: pip install 'livepose[train]'", file=sys.stderr)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "livepose"  # the same file for the same figures
    from matplotlib import pyplot

    figure, (by_size, by_time) = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for output, title in TITLES.items():
        own = [r for r in rows if r["output"] == output and r["regulariser"] in ("js", "")]
        heights = [100 * r["lsp_test"]["pck"] for r in own]
        by_size.plot([r["size"] for r in own], heights, "o-", label=title)
        by_time.plot([r["forward_ms"] for r in own], heights, "o", label=title)
        for r, height in zip(own, heights, strict=True):
            by_time.annotate(str(r["size"]), (r["forward_ms"], height), (4, 4),
                             textcoords="offset points", fontsize="small")  # fmt: skip
    by_size.set(
        xscale="log", xlabel="cells along the side of a heatmap", ylabel="PCK@0.2, LSP test, %"
    )
    by_size.set_xticks(sizes := sorted({r["size"] for r in rows}), labels=map(str, sizes))
    by_size.minorticks_off()
    by_time.set(xlabel="forward pass, ms (numbers: cells)")
    for axes in (by_size, by_time):
        axes.grid(alpha=0.3)
    by_size.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
