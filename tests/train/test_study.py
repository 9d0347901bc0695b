"""The study from training to its table and plot, in a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from livepose import cli
from livepose.train import study
from livepose.train.study import table, variants


def test_variants() -> None:
    names = [v.name for v in variants((7, 28, 56))]
    assert len(names) == len(set(names))
    assert {"study-fc-7", "study-heatmap-56", "study-dsnt-28", "study-dsnt-28-none"} <= set(names)
    assert "study-fc-56" not in names
    assert len(variants(study.SIZES)) >= 12


def test_table() -> None:
    rows = [
        {"output": o, "size": s, "regulariser": r, "pck": p, "auc": p, "forward_ms": 3.0}
        for o, s, r, p in (("dsnt", 28, "js", 0.5), ("dsnt", 28, "none", 0.4), ("fc", 7, "", 0.3))
    ]
    text = table(rows)
    assert "| fully connected | 30.0 (3.0) |  |" in text
    assert "| DSNT |  | 50.0 (3.0) |" in text
    assert "| PCK@0.2, % | 50.0 | 40.0 |" in text


def test_study_trains_measures_and_goes_on(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        "steps = 1\nbatch = 2\nvalidate_every = 1\nworkers = 0\n"
        'start_from = "pretrained/movenet-lightning.safetensors"\n'
        '[network]\ntrunk = "small"\ninput_size = 224\n'
        '[[data]]\nreader = "lsp"\nroot = "data/lsp_dataset"\n'
    )
    read = study.read
    monkeypatch.setattr(study, "read", lambda *a: read(*a).take(np.arange(4)))
    out = tmp_path / "study"
    arguments = ["study", "--config", str(config), "--data", str(shared), "--out", str(out),
                 "--sizes", "7"]  # fmt: skip
    assert cli.main(arguments) == 0
    rows = json.loads((out / "study.json").read_text())
    assert [r["name"] for r in rows] == ["study-dsnt-7", "study-heatmap-7", "study-fc-7"]
    assert all(0 <= r["pck"] <= 1 and r["forward_ms"] > 0 for r in rows)
    card = json.loads((out / "study-fc-7.json").read_text())
    assert card["network"]["output"] == "fc"
    assert card["measured"]["lsp_test_pck"] == rows[2]["pck"]
    assert str(shared) not in json.dumps(card)
    assert "<svg" in (out / "study.svg").read_text()
    before = (out / "study-fc-7.safetensors").stat().st_mtime_ns
    assert cli.main(arguments) == 0
    assert (out / "study-fc-7.safetensors").stat().st_mtime_ns == before
    assert cli.main([*arguments[:-2], "--data", str(tmp_path)]) == 2
