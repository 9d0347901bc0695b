"""The claim of Li & Chan: detection of joints and body parts helps to regress them.

Three networks of the same shape, data, steps and seed: regression alone, with detection beside it
(multi-task), and after detection (the first half of the steps).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from livepose.train.config import TrainConfig

TITLES = {"none": "regression alone", "joint": "detection beside it", "first": "detection first"}


def variants(config: TrainConfig) -> list[tuple[str, dict[str, Any], TrainConfig]]:
    """The three networks."""
    return [(f"multitask-{name}", {"detection": name}, replace(config, detection=name))
            for name in TITLES]  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The results in Markdown."""
    heads = ("", "PCK@0.2, LSP test, %", "AUC, %", "MPJPE, rendered people, mm", "PA-MPJPE, mm")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        flat, deep = row["lsp_test"], row.get("synth_test", {}).get("3d", {})
        numbers = [f"{100 * flat['pck']:.1f}", f"{100 * flat['auc']:.1f}"]
        numbers += [f"{deep[k]:.0f}" if k in deep else "" for k in ("mpjpe", "pa_mpjpe")]
        lines.append(f"| {TITLES[row['detection']]} | " + " | ".join(numbers) + " |")
    return "\n".join(lines) + "\n"
