"""The training loss: what counts in it, and what confidence learns from."""

from __future__ import annotations

import pytest
import torch

from livepose.models.margipose import Config, MargiPose, Output
from livepose.skeleton import INDEX, J, indices
from livepose.train.loss import confidence_loss, loss_parts, torsos, total


def test_confidence_is_learned_from_what_is_right() -> None:
    """Torso 1, so that 0.2 is near enough; what cannot be seen is wrong in any case."""
    xyz = torch.zeros(1, J, 3)
    xyz[0, INDEX["left_shoulder"], 1] = -1  # the right hip is at 0
    known = torch.ones(1, J, dtype=torch.bool)
    known[0, 2:5] = False
    present = torch.ones(1, J)
    present[0, 2], present[0, 3] = 0, float("nan")
    target = {"xyz": xyz, "known": known, "present": present}
    said = xyz.clone()
    said[0, 1, 0] = 0.21
    said[0, 5, 1] += 0.19
    wrong = [1, 2]  # too far off; hidden
    judged = [k for k in range(J) if k not in (3, 4)]  # nobody knows, and nobody has said where
    sure = torch.full((1, J), 0.9, requires_grad=True)
    nothing = torch.zeros(1)
    confidence_loss(Output(said, sure, *[nothing] * 4), target).backward()
    assert sure.grad is not None
    assert (sure.grad[0] > 0).nonzero().flatten().tolist() == wrong
    assert (sure.grad[0] != 0).nonzero().flatten().tolist() == judged


def test_a_torso_is_known_from_what_is_seen() -> None:
    xyz, known = torch.zeros(4, J, 3), torch.zeros(4, J, dtype=torch.bool)
    places = {"left_shoulder": (1, -4), "right_shoulder": (-1, -4), "left_hip": (1, 0),
              "right_hip": (-1, 0), "neck": (0, -4), "head_top": (0, -6.5)}  # fmt: skip
    for name, at in places.items():
        xyz[:, INDEX[name], :2] = torch.tensor(at, dtype=torch.float32)
    known[0] = True
    known[1, indices(["neck", "head_top", "left_shoulder"])] = True
    known[2, indices(["left_shoulder", "right_shoulder"])] = True
    assert torsos(xyz, known).tolist() == pytest.approx([20**0.5, 4.0, 3.2, 0.0])


def test_loss_ignores_what_is_not_known() -> None:
    net = MargiPose(Config(input_size=64))
    out = net(torch.randn(2, 3, 64, 64))
    none = torch.zeros(2, J, dtype=torch.bool)
    target = {"xyz": torch.zeros(2, J, 3), "known": none.clone(), "depth_known": none.clone(),
              "present": torch.full((2, J), float("nan"))}  # fmt: skip
    assert total(loss_parts(out, target)).item() == 0
    target["known"][0] = True  # a 2D sample trains the xy maps only
    parts = loss_parts(out, target)
    assert parts["xy"] > 0
    assert parts["z"] == parts["zy_reg"] == parts["xz_reg"] == 0
    total(parts).backward()
    assert net.depth.zy.grad is None or not net.depth.zy.grad.any()
    assert net.joints.out.weight.grad.any()
