"""int8: what is rounded, how far that is from float32, and that it runs in integers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from livepose import cli
from livepose.crop import Square
from livepose.engine import backends
from livepose.engine.backends import export, openvino_backend
from livepose.engine.device import Placement, cpu_has_int8, cpu_has_vnni
from livepose.models.margipose import Config, MargiPose
from livepose.models.movenet import Conv
from livepose.models.multitask import MultiTask, MultiTaskConfig
from livepose.models.networks import PoseNetwork
from livepose.models.quantised import layers, observe, quantised
from livepose.models.store import WeightsError, load_model, save_model

INT8 = Placement(torch.device("cpu"), torch.int8, asked=True)
PICTURES = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def made(kind: str) -> PoseNetwork:
    torch.manual_seed(0)
    net: PoseNetwork
    # The mean of whole maps: an untrained map has no peak worth following.
    if kind == "multitask":
        net = MultiTask(MultiTaskConfig(input_size=64))
    elif kind == "context":
        net = MargiPose(Config("lightning", 64, 24, 0, context_layers=1, context_width=16,
                               lift_layers=1, lift_width=16))  # fmt: skip
    else:
        net = MargiPose(Config("small", 64, 24, 0, heatmap_stride=8))
    net = net.eval().requires_grad_(False)
    net.ranges = observe(net, [PICTURES])
    return net


@pytest.mark.parametrize("kind", ["plain", "context", "multitask"])
def test_rounding_changes_little_and_not_the_network_itself(kind: str) -> None:
    net = made(kind)
    before = net(PICTURES)
    rounded = quantised(net, net.ranges)(PICTURES)
    after = net(PICTURES)
    assert torch.equal(before.raw, after.raw)
    assert not torch.equal(before.raw, rounded.raw)
    spread = before.raw.std()
    assert (before.raw - rounded.raw).abs().mean() < 0.1 * spread


@pytest.mark.parametrize(("kind", "linear"), [("plain", 0), ("context", 7)])
def test_convolutions_and_attention_multiply_integers(kind: str, linear: int) -> None:
    net = made(kind)
    rounded = quantised(net, net.ranges)
    convolutions = [m for m in rounded.modules() if isinstance(m, Conv)]
    attention = [m for name, m in rounded.named_modules()
                 if isinstance(m, torch.nn.Linear) and name.startswith("context.")]  # fmt: skip
    assert len(attention) == linear
    seen: list[int] = []

    def see(layer: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, Conv | torch.nn.Linear)
        seen.append(len(inputs[0].unique()))
        largest = layer.weight.abs().flatten(1).amax(1).clamp_min(1e-8)
        steps = layer.weight.flatten(1) / (largest[:, None] / 127)
        assert (steps - steps.round()).abs().max() < 1e-3

    for layer in (*convolutions, *attention):
        layer.register_forward_pre_hook(see)
    rounded(PICTURES)
    assert len(seen) == len(convolutions) + len(attention)
    assert max(seen) <= 256


def test_without_vnni_no_pair_of_products_is_too_large() -> None:
    net = made("context")
    full, careful = (quantised(net, net.ranges, vnni) for vnni in (True, False))
    for name, layer in careful.named_modules():
        if isinstance(layer, Conv):
            scale = layer.parametrizations["weight"][0].scale
            steps = (layer.weight.flatten(1) / scale[:, None]).round()
            assert 2 * 255 * steps.abs().max() < 1 << 15
            assert (layer.weight.flatten(1) - steps * scale[:, None]).abs().max() < 1e-5
        elif isinstance(layer, torch.nn.Linear):
            assert torch.equal(layer.weight, net.get_submodule(name).weight)
    outs = [n(PICTURES).raw for n in (net, full, careful)]
    assert not torch.equal(outs[1], outs[2])
    assert (outs[0] - outs[2]).abs().mean() < 0.1 * outs[0].std()


def test_ranges_hold_zero_and_nearly_all_that_was_seen() -> None:
    net = made("plain")
    assert set(net.ranges) == set(layers(net))
    assert all(ends.low <= 0 < ends.high for ends in net.ranges.values())
    low, high, mean = net.ranges["trunk.stem"]  # the picture
    assert not mean
    assert -1 <= low < -0.99
    assert 0.99 < high <= 1
    assert not any(m._forward_pre_hooks for m in net.modules())


@pytest.mark.parametrize("kind", ["plain", "context", "multitask"])
def test_biases_of_depthwise_layers_take_back_what_rounding_adds(kind: str) -> None:
    net = made(kind)
    plain = {name: ends._replace(mean=()) for name, ends in net.ranges.items()}
    outs: dict[str, list[Tensor]] = {}
    for n in (net, quantised(net, plain), quantised(net, net.ranges)):
        for name, layer in n.named_modules():
            if isinstance(layer, Conv) and layer.groups > 1:
                # The same goes in: it is this layer's rounding that is looked at.
                mean = torch.tensor(net.ranges[name].mean)
                flat = mean[None, :, None, None].expand(1, -1, 8, 8)
                layer._forward_pre_hooks.clear()
                outs.setdefault(name, []).append(layer(flat)[..., 2, 2])
    off = torch.tensor([[float((out - exact).abs().mean()) for out in rounded]
                        for exact, *rounded in outs.values()])  # fmt: skip
    assert (off[:, 1] < 1e-5).all()
    assert (off[:, 0] > 1e-4).any()


def test_layers_without_ranges_stay_as_they_are() -> None:
    net = made("plain")
    part = {name: ends for name, ends in net.ranges.items() if not name.startswith("trunk.block_")}
    rounded = quantised(net, part)
    for name, weight in net.state_dict().items():
        if name.endswith("weight") and name.startswith("trunk.block_"):
            assert torch.equal(rounded.get_parameter(name), weight)
    whole = quantised(net, net.ranges)
    outs = [n(PICTURES).xyz for n in (net, rounded, whole)]
    assert not any(torch.equal(outs[k], outs[k - 1]) for k in range(3))


def test_ranges_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="another network"):
        quantised(made("plain"), {})
    with pytest.raises(ValueError, match="another network"):
        quantised(made("plain"), made("multitask").ranges)


@pytest.mark.skipif(not cpu_has_int8(), reason="the processor has no int8 instructions")
@pytest.mark.parametrize("kind", ["plain", "context"])
@pytest.mark.parametrize("vnni", [True, False])
def test_openvino_multiplies_integers_as_torch_rounds(
    kind: str, vnni: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if vnni and not cpu_has_vnni():
        pytest.skip("the processor has no VNNI")
    openvino = pytest.importorskip("openvino")
    for module in (export, openvino_backend):
        monkeypatch.setattr(module, "cpu_has_vnni", lambda: vnni)
    net = made(kind)
    image = np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)
    squares = [Square(60 + 30 * k, 50, 64 + 30 * k) for k in range(3)]
    backend, note = backends.make(net, INT8, "openvino")
    assert (backend.name, backend.precision, note) == ("openvino", "int8", "")
    asked = Placement(torch.device("cpu"), torch.float32, asked=True)
    emulated, _ = backends.make(quantised(net, net.ranges, vnni), asked, "torch")
    got, wanted = backend(image, squares), emulated(image, squares)
    # A number at the edge of a step may fall on either side of it.
    assert np.abs(got.xyz - wanted.xyz).mean() < 0.02
    assert np.abs(got.confidence - wanted.confidence).mean() < 0.01
    assert openvino


def test_int8_is_the_default_where_cpu_and_network_can(monkeypatch: pytest.MonkeyPatch) -> None:
    net, placement = made("plain"), Placement(torch.device("cpu"), torch.bfloat16)
    for able, wanted in ((True, torch.int8), (False, torch.float32)):
        monkeypatch.setattr(backends, "cpu_has_int8", lambda able=able: able)
        monkeypatch.setattr(backends, "cpu_has_matrix_units", lambda: False)
        assert backends.for_openvino(net, placement).dtype == wanted
        assert backends.for_openvino(net, INT8).dtype == torch.int8
    net.ranges = {}
    monkeypatch.setattr(backends, "cpu_has_int8", lambda: True)
    assert backends.for_openvino(net, placement).dtype == torch.float32


def test_int8_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    net = made("plain")
    backend, note = backends.make(net, INT8, "torch")
    assert backend.precision in ("float32", "bfloat16")
    assert "int8 cannot be used (torch has none)" in note
    net = made("plain")
    net.ranges = {}
    backend, note = backends.make(net, INT8, "openvino")
    assert "livepose quantise" in note
    assert backend.precision != "int8"
    monkeypatch.setattr(backends, "cpu_has_int8", lambda: False)
    backend, note = backends.make(made("plain"), INT8, "openvino")
    assert "this processor" in note
    assert backend.precision != "int8"


def test_ranges_travel_with_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    net = made("plain")
    save_model(file, net, {}, {})
    again, _ = load_model(str(file))
    assert again.ranges == net.ranges
    card = json.loads(file.with_suffix(".json").read_text())
    card["ranges"] = {"trunk.stem": 3}
    file.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="broken ranges"):
        load_model(str(file))


def test_quantise_command(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    file = tmp_path / "tiny.safetensors"
    save_model(file, MargiPose(Config("small", 64, heatmap_stride=8)), {"seed": 1}, {})
    lsp = str(shared / "data/lsp_dataset")
    arguments = ["quantise", str(file), "--lsp", lsp, "--pictures", "16", "--every", "100"]
    assert cli.main([*arguments, "--most", "-100"]) == 1
    assert "the card is as it was" in capsys.readouterr().err
    assert not load_model(str(file))[0].ranges
    assert cli.main([*arguments, "--most", "100"]) == 0
    net, card = load_model(str(file))
    assert set(net.ranges) == set(layers(net))
    assert card.training["int8"]["command"].endswith("--pictures 16")
    assert card.training["int8"]["left"] == []
    assert cli.main([*arguments, "--most", "100", "--leave", "trunk."]) == 0
    net, card = load_model(str(file))
    assert not any(name.startswith("trunk.") for name in net.ranges)
    assert card.training["int8"]["left"] == ["trunk."]
    assert cli.main([*arguments, "--leave", ""]) == 2
    assert "no layer to be rounded" in capsys.readouterr().err
    assert cli.main(["eval", "--dataset", "lsp", "--root", lsp, "--split", "val", "--model",
                     str(file), "--precision", "int8", "--card"]) == 0  # fmt: skip
    assert 0 <= load_model(str(file))[1].measured["lsp_val_int8"]["pck"] <= 1
    assert cli.main([*arguments[:2], "--lsp", str(tmp_path)]) == 2
