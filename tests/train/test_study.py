"""The study from training to its table and plot, in a few steps."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from livepose import cli
from livepose.models.margipose import Config
from livepose.models.multitask import MultiTaskConfig
from livepose.models.store import find, read_card
from livepose.skeleton import J
from livepose.train import study, study_output, study_tasks
from livepose.train.config import Part, TrainConfig
from livepose.train.loop import Run, learning_rate


def test_networks_of_the_output_study() -> None:
    config = TrainConfig((), network=Config("small", 224))
    made = study_output.variants(config)
    names = [name for name, _, _ in made]
    assert len(names) == len(set(names)) == 14
    assert {"study-fc-7", "study-heatmap-56", "study-dsnt-28", "study-dsnt-28-none"} <= set(names)
    assert "study-fc-56" not in names
    own = dict(zip(names, (c for _, _, c in made), strict=True))
    assert own["study-fc-7"].network == Config("small", 224, output="fc", heatmap_stride=32)
    assert own["study-dsnt-28-kl"].regulariser == "kl"


def test_networks_of_the_task_study() -> None:
    made = study_tasks.variants(TrainConfig(()))
    assert [c.detection for _, _, c in made] == ["none", "joint", "first"]


def test_tables() -> None:
    rows = [
        {"output": o, "size": s, "regulariser": r, "lsp_test": {"pck": p, "auc": p},
         "forward_ms": 3.0}
        for o, s, r, p in (("dsnt", 28, "js", 0.5), ("dsnt", 28, "none", 0.4), ("fc", 7, "", 0.3))
    ]  # fmt: skip
    text = study_output.table(rows)
    assert "| fully connected | 30.0 (3.0) |  |" in text
    assert "| DSNT |  | 50.0 (3.0) |" in text
    assert "| PCK@0.2, % | 50.0 | 40.0 |" in text
    text = study_tasks.table([
        {"detection": "first", "lsp_test": {"pck": 0.5, "auc": 0.4},
         "synth_test": {"3d": {"mpjpe": 81.2, "pa_mpjpe": 60.7}}}])  # fmt: skip
    assert "| detection first | 50.0 | 40.0 | 81 | 61 |" in text


DOCS = Path(__file__).parents[2] / "docs"


def rows_of_cards(variants: Sequence[tuple[str, dict[str, Any], TrainConfig]]) -> list[Any]:
    rows = []
    for name, what, _ in variants:
        figures = read_card(find(name)).measured
        tests = {test: figures[test] for test in ("lsp_test", "synth_test")}
        rows.append({**what, **tests, "forward_ms": figures["lsp_test"]["forward_ms"]})
    return rows


def test_docs_and_cards_of_the_studies_agree() -> None:
    rows = rows_of_cards(study_output.variants(TrainConfig((), network=Config("small", 224))))
    assert study_output.table(rows) in (DOCS / "study.md").read_text(encoding="utf-8")
    rows = rows_of_cards(study_tasks.variants(TrainConfig(())))
    assert study_tasks.table(rows) in (DOCS / "papers/multitask.md").read_text(encoding="utf-8")


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
    arguments = ["study", "output", "--config", str(config), "--data", str(shared),
                 "--out", str(out), "--only", "dsnt-7", "fc-7"]  # fmt: skip
    assert cli.main(arguments) == 0
    rows = json.loads((out / "output.json").read_text())
    assert [r["name"] for r in rows] == ["study-dsnt-7", "study-fc-7"]
    assert all(0 <= r["lsp_test"]["pck"] <= 1 and r["forward_ms"] > 0 for r in rows)
    card = json.loads((out / "study-fc-7.json").read_text())
    assert card["network"]["output"] == "fc"
    assert card["measured"]["lsp_test_pck"] == rows[1]["lsp_test"]["pck"]
    assert str(shared) not in json.dumps(card)
    assert "<svg" in (out / "output.svg").read_text()
    assert card["training"]["config"]["network"]["output"] == "fc"
    before = (out / "study-fc-7.safetensors").stat().st_mtime_ns
    assert cli.main(arguments) == 0
    assert (out / "study-fc-7.safetensors").stat().st_mtime_ns == before
    assert cli.main([*arguments, "--data", str(tmp_path)]) == 2


def test_detection_first_leaves_the_regressor_alone_and_then_begins_anew(tmp_path: Path) -> None:
    network = MultiTaskConfig(channels=8, hidden=8)
    config = TrainConfig((Part("lsp", "none"),), network=network, steps=6, warm_up=2,
                         detection="first", workers=0, rate=1e-2, precision="float32")  # fmt: skip
    run = Run(config, tmp_path)
    full = torch.ones(2, J)
    batch = {"image": torch.zeros(2, 192, 192, 3, dtype=torch.uint8), "xyz": torch.zeros(2, J, 3),
             "known": full > 0, "depth_known": full > 0, "present": full}  # fmt: skip
    start = copy.deepcopy(run.net.state_dict())

    def changed(name: str) -> bool:
        return not torch.equal(run.net.state_dict()[name], start[name])

    for _ in range(3):
        assert set(run._update(dict(batch))) == {"joints", "parts"}
    assert changed("detect.weight")
    assert changed("shared.weight")
    assert not changed("last.weight")  # weight decay neither
    detectors = run.net.state_dict()["detect.weight"].clone()
    assert set(run._update(dict(batch))) == {"xy", "z", "confidence"}
    # Its first step is as small as the first step of any training.
    assert 0 < (run.net.state_dict()["last.bias"] - start["last.bias"]).abs().max() <= 5.1e-3
    assert torch.equal(detectors, run.net.state_dict()["detect.weight"])
    rates = [learning_rate(step, config) for step in range(6)]
    assert rates[:3] == rates[3:]


def test_the_task_study_trains_all_three(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        "steps = 2\nbatch = 2\nvalidate_every = 2\nworkers = 0\n"
        'start_from = "pretrained/movenet-lightning.safetensors"\n'
        '[network]\nkind = "multitask"\nchannels = 8\nhidden = 8\n'
        '[[data]]\nreader = "lsp"\nroot = "data/lsp_dataset"\n'
    )
    read = study.read
    monkeypatch.setattr(study, "read", lambda *a: read(*a).take(np.arange(4)))
    out = tmp_path / "study"
    assert cli.main(["study", "tasks", "--config", str(config), "--data", str(shared),
                     "--out", str(out)]) == 0  # fmt: skip
    rows = json.loads((out / "tasks.json").read_text())
    assert [r["detection"] for r in rows] == ["none", "joint", "first"]
    card = json.loads((out / "multitask-first.json").read_text())
    assert card["network"]["kind"] == "multitask"
    assert card["training"]["config"]["detection"] == "first"
