"""Learning from a larger network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from livepose import dsnt
from livepose.crop import to_input
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import WeightsError, load_model, save_model
from livepose.skeleton import J
from livepose.train.config import Part, TrainConfig
from livepose.train.distil import Said, Teacher, distil_parts
from livepose.train.loop import Run

SMALL = Config("small", 64, heatmap_stride=8)
IMAGES = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8,
                       generator=torch.Generator().manual_seed(0))  # fmt: skip


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    torch.manual_seed(0)
    net = MargiPose(SMALL)
    net.presence_bias.data.fill_(3.0)  # sure of everything
    save_model(tmp_path / "teacher.safetensors", net, {}, {})
    return str(tmp_path / "teacher.safetensors")


def test_a_teacher_says_what_its_network_says(teacher: str) -> None:
    said = Teacher(teacher)(IMAGES)
    with torch.inference_mode():
        out = load_model(teacher)[0](to_input(IMAGES))
    assert said.xy.shape == (3, J, 8, 8)
    assert torch.allclose(said.xy, out.xy, atol=1e-4)
    assert torch.allclose(said.z, out.xyz[..., 2], atol=2e-3)
    assert said.sure.all()


def test_it_looks_at_its_own_size_whatever_the_squares_have(teacher: str) -> None:
    own = Teacher(teacher)(IMAGES)
    large = IMAGES.repeat_interleave(2, 1).repeat_interleave(2, 2)
    said = Teacher(teacher)(large)
    assert said.xy.shape == own.xy.shape
    assert torch.allclose(said.xy, own.xy, atol=0.01)
    # Its maps are compared at the network's size, where they mean the same places.
    net = MargiPose(replace(SMALL, input_size=96))
    out = net(torch.zeros(3, 3, 96, 96))
    at = torch.tensor([0.3, -0.2]).expand(3, J, 2)
    same = out._replace(xy=dsnt.gaussian(at, (12, 12), 1.5))
    said = Said(dsnt.gaussian(at, (8, 8)), same.xyz[..., 2].detach(), own.sure)
    apart = said._replace(xy=dsnt.gaussian(-at, (8, 8)))
    assert distil_parts(same, said, 1.0)["distil_xy"] < 0.02
    assert distil_parts(same, apart, 1.0)["distil_xy"] > 0.4


def test_only_what_the_teacher_is_sure_of_is_taught() -> None:
    out = MargiPose(SMALL)(to_input(IMAGES))
    flat = torch.full_like(out.xy, 1 / 64)
    nothing = torch.zeros(3, J, dtype=torch.bool)
    said = Said(flat, torch.ones(3, J), nothing)
    assert all(v == 0 for v in distil_parts(out, said, 1.0).values())
    one = nothing.clone()
    one[1, 2] = True
    parts = distil_parts(out, said._replace(sure=one), 2.0)
    assert parts["distil_xy"].item() == pytest.approx(
        2 * dsnt.js_divergence(out.xy[1, 2], flat[1, 2]).item(), rel=1e-4
    )
    assert parts["distil_z"].item() == pytest.approx(
        2 * (out.xyz[1, 2, 2] - 1).abs().item(), rel=1e-4
    )


def test_without_a_label_the_network_becomes_like_its_teacher(teacher: str, tmp_path: Path) -> None:
    config = TrainConfig((Part("lsp", "none"),), network=SMALL, distil_from=teacher, steps=40,
                         warm_up=1, rate=2e-3, workers=0, precision="float32", seed=7)  # fmt: skip
    run = Run(config, tmp_path / "run")
    none = torch.zeros(3, J, dtype=torch.bool)
    batch = {"image": IMAGES, "xyz": torch.zeros(3, J, 3), "known": none, "depth_known": none,
             "present": torch.full((3, J), float("nan"))}  # fmt: skip
    losses = [run._update(dict(batch)) for _ in range(40)]
    assert losses[0]["xy"] == 0
    assert losses[-1]["distil_xy"] < 0.5 * losses[0]["distil_xy"]


def test_a_teacher_that_is_not_there_is_named() -> None:
    with pytest.raises(WeightsError, match="no model 'nobody'"):
        Teacher("nobody")
