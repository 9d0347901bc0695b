"""Networks that share a trunk: what they share, who teaches it, and the way to disk and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from livepose.models.family import Family
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import (
    Trained,
    WeightsError,
    available,
    load_model,
    read_card,
    save_family,
)

CONFIGS = {
    "dsnt-4": Config("small", 64, heatmap_stride=16, depth_cells=4, peak_radius=0),
    "match-8": Config("small", 64, heatmap_stride=8, output="heatmap", depth_cells=4),
    "fc-2": Config("small", 64, heatmap_stride=32, output="fc", depth_cells=4),
}


def family() -> Family:
    torch.manual_seed(0)
    return Family(CONFIGS, dict.fromkeys(CONFIGS, 1.0))


def test_members_say_the_same_together_and_by_themselves() -> None:
    made = family().eval()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    together = made(x)
    for name, net in made.nets.items():
        assert net.trunk is made.trunk
        alone = net(x)
        for a, b in zip(together[name], alone, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_shared_parameters_are_counted_once() -> None:
    made = family()
    own = [n for n, _ in made.named_parameters() if n.startswith("nets.")]
    assert all(n.split(".")[2] in ("joints", "presence_gain", "presence_bias") for n in own)
    assert len(own) == len(set(own)) > len(CONFIGS)


def test_a_large_loss_has_no_more_say_than_a_small_one() -> None:
    made, x = family(), torch.rand(2, 3, 64, 64)

    def gradient(times: float) -> torch.Tensor:
        made.zero_grad()
        out = made(x)
        (out["dsnt-4"].xyz.square().sum() + times * out["match-8"].raw.square().sum()).backward()
        assert made.trunk.stem.weight.grad is not None
        return made.trunk.stem.weight.grad.clone()

    torch.testing.assert_close(gradient(1), gradient(1000), rtol=1e-3, atol=1e-6)
    made.say["match-8"] = 2.0
    assert not torch.allclose(gradient(1), gradient(0), rtol=1e-2)


def test_those_that_differ_in_more_than_the_output_share_nothing() -> None:
    for other in (Config("small", 96, depth_cells=4), Config("small", 64, depth_cells=8)):
        with pytest.raises(ValueError, match="must agree"):
            Family({**CONFIGS, "other": other}, {})


def stored(folder: Path) -> dict[str, MargiPose]:
    nets = {n: net for n, net in family().nets.items() if isinstance(net, MargiPose)}
    save_family(folder, {n: Trained(net, {"of": n}, {}) for n, net in nets.items()}, "shared")
    return nets


def test_to_disk_and_back(tmp_path: Path) -> None:
    nets = stored(tmp_path)
    assert available(tmp_path) == sorted(CONFIGS)
    for name, net in nets.items():
        read, card = load_model(name, tmp_path)
        assert (card.config, card.training) == (CONFIGS[name], {"of": name})
        for key, value in net.state_dict().items():
            torch.testing.assert_close(read.state_dict()[key], value, rtol=1e-3, atol=1e-6)
    sizes = {f.stem: f.stat().st_size for f in tmp_path.glob("*.safetensors")}
    (shared,) = sizes.keys() - CONFIGS
    assert max(sizes[n] for n in CONFIGS) < 0.2 * sizes[shared]


def test_one_member_anew_leaves_the_others_whole(tmp_path: Path) -> None:
    nets = stored(tmp_path)
    first, *others = nets
    save_family(tmp_path, {first: Trained(nets[first], {}, {})}, "shared")
    assert read_card(tmp_path / f"{first}.safetensors").shared == {}
    for name in nets:
        load_model(name, tmp_path)
    assert read_card(tmp_path / f"{others[0]}.safetensors").shared


def test_a_member_needs_the_right_shared_file(tmp_path: Path) -> None:
    stored(tmp_path)
    (shared,) = tmp_path.glob("shared-*.safetensors")
    shared.write_bytes(shared.read_bytes()[:-2] + b"ab")
    with pytest.raises(WeightsError, match=r"shared-\w+\.safetensors is not the file"):
        load_model("fc-2", tmp_path)
    shared.unlink()
    with pytest.raises(WeightsError, match=r"shared-\w+\.safetensors cannot be read"):
        load_model("fc-2", tmp_path)
    card = tmp_path / "fc-2.json"
    said = json.loads(card.read_text())
    card.write_text(json.dumps({**said, "shared": [said["shared"]]}))
    with pytest.raises(WeightsError, match="broken"):
        load_model("fc-2", tmp_path)
