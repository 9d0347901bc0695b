"""What units answer to: the strongest places, and their mean picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import cli
from livepose.cv import cv2
from livepose.data.readers import read
from livepose.engine.probing import Probe, probed
from livepose.evaluate import units
from livepose.evaluate.units import mean_patches, strongest
from livepose.models.margipose import Config, MargiPose
from livepose.models.multitask import MultiTask, MultiTaskConfig
from livepose.models.networks import NetworkConfig, PoseNetwork, build
from livepose.models.store import save_model
from livepose.models.units import (
    TILE,
    activations,
    by_limb,
    correlation,
    layers,
    read_tops,
    receptive_field,
)
from livepose.skeleton import J
from tests.engine.fakes import frame, predictor, tiny


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Twenty grey pictures, each with a white spot somewhere."""
    folder = tmp_path / "rooms"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(20):
        image = np.full((64, 64, 3), 60, np.uint8)
        x, y = rng.integers(12, 52, 2)
        cv2.circle(image, (int(x), int(y)), 5, (255, 255, 255), -1)
        cv2.imwrite(str(folder / f"{k:02}.png"), image)
    return folder


KINDS = [
    Config("lightning", 64), Config("small", 64, heatmap_stride=8),
    Config("small", 64, heatmap_stride=16, output="heatmap"),
    *(Config(trunk, 64, heatmap_stride=32, output=output)
      for trunk in ("small", "lightning") for output in ("dsnt", "heatmap", "fc")),
    Config("small", 64, context_layers=1, lean_depth=True), MultiTaskConfig(input_size=64),
]  # fmt: skip


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_named_layers_of_every_kind_of_network_can_be_looked_at(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    net = build(config).eval()
    result = predictor(tiny())(frame())
    for name, layer in layers(net).items():
        maps = activations(net, torch.randn(2, 3, 64, 64), layer)
        assert maps.ndim == 4
        assert len(maps) == 2
        of = probed(net, Probe(name, 1), result)
        assert (of.layer, of.units) == (name, maps.shape[1])
        assert np.isfinite(of.map).all()


def test_the_multi_task_network_is_looked_at_behind_its_activations() -> None:
    net = MultiTask(MultiTaskConfig(input_size=64)).eval()
    named = layers(net)
    for name in ("high", "regressor"):
        maps = activations(net, torch.randn(2, 3, 64, 64), named[name])
        assert maps.min() == 0
        assert maps.max() > 0
    assert activations(net, torch.randn(1, 3, 64, 64), named["regressor"]).shape[2:] == (1, 1)


def test_a_unit_sees_what_kernels_and_strides_say() -> None:
    """3x3 each: stem (stride 2), block 0, then blocks 1, 3, 6 with stride 2."""
    net, field, stride = build(Config("small", 256)).eval(), 3, 2
    for block in range(10):
        field += 2 * stride
        stride *= 2 if block in (1, 3, 6) else 1
        if block == 5:
            assert receptive_field(net, layers(net)["middle"]) == field == 59
    assert receptive_field(net, layers(net)["high"]) == field == 171
    multi = MultiTask(MultiTaskConfig(input_size=256)).eval()
    assert receptive_field(multi, layers(multi)["high"]) == field + 2 * stride
    assert receptive_field(multi, layers(multi)["regressor"]) == 256  # all of it


def test_named_layers_say_what_there_is_instead() -> None:
    net = tiny()
    with pytest.raises(ValueError, match="no layer 'nowhere'; for example"):
        activations(net, torch.zeros(1, 3, 64, 64), "nowhere")


def test_a_unit_that_likes_white_shows_white(rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def white(net: object, x: torch.Tensor, layer: str) -> torch.Tensor:
        bright = torch.nn.functional.avg_pool2d(x, 8).mean(1, keepdim=True)
        return torch.cat([bright, -bright], 1)

    monkeypatch.setattr(units, "activations", white)
    samples = read("empty", rooms)
    values, places = strongest(tiny(), samples, "any", top=6)
    assert values.shape == (2, 6)
    assert places.shape == (2, 6, 3)
    assert (np.diff(values, axis=1) <= 0).all()
    assert len(set(places[0, :, 0])) == 6  # each of another picture
    light, dark = mean_patches(samples, places, 64, 32)
    # Patches are as large as what the units see: in a smaller one the spot is larger.
    (close, _), (far, _) = (mean_patches(samples, places, 64, field) for field in (16, 60))
    assert (close > 128).sum() > (light > 128).sum() > (far > 128).sum()
    assert light.shape == (TILE, TILE, 3)
    middle = np.s_[TILE // 2 - 4 : TILE // 2 + 4, TILE // 2 - 4 : TILE // 2 + 4]
    assert light[middle].mean() > 180
    assert dark[middle].mean() < 80


def test_the_command_writes_a_sheet(
    rooms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    model, out = tmp_path / "tiny.safetensors", tmp_path / "sheets/units.png"
    save_model(model, MargiPose(Config("lightning", 96)), {}, {})
    arguments = ["units", str(model), "--dataset", "empty", "--root", str(rooms), "--top", "3"]
    assert cli.main([*arguments, "--layer", "middle", "--out", str(out)]) == 0
    picture = cv2.imread(str(out))
    assert picture.shape == (2 * TILE, 16 * TILE, 3)  # 32 units
    assert "32 units of trunk.block_5, 16 in a row, patches of 59 pixels" in capsys.readouterr().out
    tops = read_tops(out)
    assert len(tops) == 32
    monkeypatch.setattr(units, "sheet_file", lambda model, layer: tmp_path / f"there/{layer}.png")
    assert cli.main([*arguments, "--layer", "middle"]) == 0
    assert read_tops(tmp_path / "there/middle.png") == tops
    assert cli.main([*arguments, "--out", str(tmp_path / "sheet.doc")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert cli.main([*arguments, "--layer", "nowhere", "--out", str(out)]) == 2
    assert "no layer" in capsys.readouterr().err


@pytest.mark.parametrize("net", [
    tiny(), MultiTask(MultiTaskConfig(input_size=64)),
    MargiPose(Config("small", 64, output="fc", heatmap_stride=8)),
])  # fmt: skip
def test_correlation_is_symmetric_with_ones_and_grouped_by_limb(net: PoseNetwork) -> None:
    c = correlation(net)
    assert c.shape == (J, J)
    assert torch.allclose(c, c.T, atol=1e-6)
    assert torch.allclose(c.diagonal(), torch.ones(J), atol=1e-5)
    assert sorted(j for _, joints in by_limb() for j in joints) == list(range(J))


def test_a_unit_is_probed_on_the_live_picture() -> None:
    result = predictor(tiny())(frame())
    of = probed(tiny(), Probe("high", 3), result)
    assert (of.layer, of.unit) == ("high", 3)
    assert of.map.shape == (4, 4)
    assert of.region.side == 320  # nobody: the whole picture
    assert probed(tiny(), Probe("high", 9999), result).unit == of.units - 1
    with pytest.raises(ValueError, match="no layer"):
        probed(tiny(), Probe("nowhere", 0), result)
