"""Prints the README's table of accuracy: what the cards in weights/ say of the models and of peers.

PYTHONPATH=. python tools/cards_table.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livepose.models.store import available, find, read_card

_HEAD = ("", "input", "MB", "PCK@0.2, %", "in int8, %", "calibration error",
         "MPJPE, mm", "PA-MPJPE, mm")  # fmt: skip


def _percent(of: Mapping[str, Any]) -> str:
    return f"{100 * of['pck']:.1f}" if of else ""


def _row(name: str, size: str, mb: str, lsp: Mapping[str, Any], int8: Mapping[str, Any],
         synth: Mapping[str, Any]) -> str:  # fmt: skip
    error = lsp.get("reliability", {}).get("ece")
    deep = synth.get("3d", {})
    cells = [name, size, mb, _percent(lsp), _percent(int8), "" if error is None else f"{error:.3f}",
             *(f"{deep[m]:.0f}" if m in deep else "" for m in ("mpjpe", "pa_mpjpe"))]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    peers: dict[str, dict[str, Any]] = {}
    rows: list[tuple[float, str]] = []
    for name in available():
        file = find(name)
        card = read_card(file)
        told = card.measured
        for key, of_peers in told.get("peers", {}).items():
            for peer, row in of_peers.items():
                peers.setdefault(peer.removesuffix("-synth"), {})[key] = row
        lsp = told.get("lsp_test", {})
        line = _row(f"**{name}**", str(card.config.input_size), f"{file.stat().st_size / 1e6:.1f}",
                    lsp, told.get("lsp_test_int8", {}), told.get("synth_test", {}))  # fmt: skip
        rows.append((lsp.get("pck", 0.0), line))
    for peer, of in peers.items():
        lsp = of.get("lsp_test", {})
        rows.append((lsp.get("pck", 0.0), _row(peer, "", "", lsp, {}, of.get("synth_test", {}))))
    print("| " + " | ".join(_HEAD) + " |\n" + "|---" * len(_HEAD) + "|")
    print("\n".join(line for _, line in sorted(rows, reverse=True)))


if __name__ == "__main__":
    main()
