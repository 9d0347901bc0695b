"""Confidence as a probability."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import cli
from livepose.data.samples import Samples
from livepose.evaluate import calibration
from livepose.evaluate.calibration import fit, judged, reliability
from livepose.evaluate.protocol import predict
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import load_model, save_model
from livepose.skeleton import INDEX, J
from tests.data.made import write_image


def test_reliability_by_hand() -> None:
    confidence = np.array([0.95, 0.91, 0.15, 0.15])
    right = np.array([True, False, False, False])
    out = reliability(confidence, right)
    assert out["curve"] == [[pytest.approx(0.15), 0.0, 2], [pytest.approx(0.93), 0.5, 2]]
    assert out["ece"] == pytest.approx((0.15 * 2 + 0.43 * 2) / 4)
    assert reliability(np.array([1.0]), np.array([True]))["ece"] == 0


def test_fit_finds_the_scaling_back() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 3, 50_000)
    right = rng.random(50_000) < 1 / (1 + np.exp(-(0.5 * odds - 1)))
    gain, bias = fit(1 / (1 + np.exp(-odds)), right)
    assert gain == pytest.approx(0.5, abs=0.03)
    assert bias == pytest.approx(-1, abs=0.05)


def test_nobody_is_never_right() -> None:
    joints = np.zeros((2, J, 2), "f4")
    joints[0, INDEX["left_shoulder"]] = 40
    known = np.zeros((2, J), bool)
    known[0] = True
    present = np.where(known, 1.0, 0.0).astype("f4")
    s = Samples("x", (Path("a"), Path("b")), joints, known, present, present)
    confidence, right = judged(s, joints, np.full((2, J), 0.7))
    assert len(confidence) == 24
    assert right.sum() == 12


def test_calibrate_command(shared: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    file = tmp_path / "tiny.safetensors"
    save_model(file, MargiPose(Config("small", 64, heatmap_stride=8)), {"seed": 1}, {})
    data = shared / "data"
    arguments = ["calibrate", str(file), "--lsp", str(data / "lsp_dataset"), "--empty",
                 str(data / "backgrounds"), "--rooms", "10"]  # fmt: skip
    assert cli.main(arguments) == 0
    net, card = load_model(str(file))
    assert card.training["seed"] == 1
    fitted = card.training["calibration"]
    assert torch.allclose(net.presence_bias, torch.tensor(fitted["bias"]), atol=1e-2)
    out = tmp_path / "e.json"
    assert cli.main(["eval", "--dataset", "lsp", "--root", str(data / "lsp_dataset"), "--split",
                     "val", "--model", str(file), "--json", str(out)]) == 0  # fmt: skip
    # An untrained network is hardly ever right, and now says so.
    assert json.loads(out.read_text())["reliability"]["ece"] < 0.06
    assert cli.main([*arguments[:-2], "--lsp", str(tmp_path)]) == 2


def test_calibration_sees_rooms_that_training_has_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tiny.safetensors"
    save_model(file, MargiPose(Config("small", 64, heatmap_stride=8)), {}, {})
    for k in range(21):
        write_image(tmp_path / f"rooms/{k:02d}.jpg")
    rows = np.random.default_rng(0).uniform(5, 55, (2, J, 2)).astype("f4")
    full = np.ones((2, J), "f4")
    images = (tmp_path / "rooms/01.jpg",) * 2
    people = Samples("lsp", images, rows, full > 0, full, full)
    seen: list[Samples] = []

    def predict_and_note(net, samples):  # type: ignore[no-untyped-def]
        seen.append(samples)
        return predict(net, samples)

    monkeypatch.setattr(calibration, "predict", predict_and_note)
    real = calibration.read
    monkeypatch.setattr(calibration, "read",
                        lambda name, *a: people if name == "lsp" else real(name, *a))  # fmt: skip
    assert cli.main(["calibrate", str(file), "--lsp", ".", "--empty", str(tmp_path / "rooms"),
                     "--rooms", "100"]) == 0  # fmt: skip
    # Each of them once, though more were asked for.
    assert [p.name for p in seen[1].images] == ["00.jpg", "10.jpg", "20.jpg"]
