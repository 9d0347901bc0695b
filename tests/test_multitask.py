"""Li & Chan's network: windows by hand, its two tasks, its training, its views."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from livepose.models.multitask import (
    PARTS,
    MultiTask,
    MultiTaskConfig,
    joint_windows,
    part_windows,
)
from livepose.models.networks import build, config_of, settings_of
from livepose.models.store import load_model, save_model
from livepose.skeleton import J
from livepose.train.loss import multitask_parts

SMALL = MultiTaskConfig(input_size=64, channels=8, hidden=16)


@pytest.fixture
def net() -> MultiTask:
    torch.manual_seed(0)
    return MultiTask(SMALL).eval()


def test_shapes_and_ranges(net: MultiTask) -> None:
    out = net(torch.randn(2, 3, 64, 64))
    assert out.xyz.shape == (2, J, 3)
    assert out.raw.shape == (2, J + len(PARTS), 4, 4)
    assert out.xy.shape == (2, J, 4, 4)
    assert out.zy.shape == (2, J, 4, 24)
    assert out.xz.shape == (2, J, 24, 4)
    for maps in (out.xy, out.zy, out.xz):
        assert torch.allclose(maps.sum((-1, -2)), torch.ones(2, J), atol=1e-4)
    assert ((out.confidence > 0) & (out.confidence < 1)).all()
    with pytest.raises(ValueError, match="64 pixels only"):
        net(torch.zeros(1, 3, 96, 96))


def test_its_only_stage_is_what_its_detectors_say_of_joints(net: MultiTask) -> None:
    with torch.no_grad():
        logits = net.logits(torch.randn(2, 3, 64, 64))
        ((presence, *none),) = net.stages(logits, net.decode(logits))
    assert torch.equal(presence, logits.xy[:, :J].sigmoid())
    assert none == [None, None]
    assert [stage.presence for stage in SMALL.stages] == [True]


def test_joints_are_in_the_windows_around_them() -> None:
    # Four cells with centres at -0.75, -0.25, 0.25, 0.75; a window of 3 reaches 0.75 each way.
    at = torch.tensor([[-0.75, 0.2], [0.9, 0.9], [5.0, 0.0]])
    inside = joint_windows(at, 4, 3).int()
    assert inside[0].tolist() == [[0] * 4, [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert inside[1].tolist() == [[0] * 4, [0] * 4, [0, 0, 1, 1], [0, 0, 1, 1]]
    assert inside[2].sum() == 0


def test_parts_are_in_the_windows_that_they_run_through() -> None:
    a, b = torch.tensor([[-1.0, -0.25]]), torch.tensor([[1.0, -0.25]])
    # A window of one cell: every cell of that row holds as much as fits in it.
    assert part_windows(a, b, 4, 1)[0].int().tolist() == [[0] * 4, [1] * 4, [0] * 4, [0] * 4]
    # A short one is in the windows that hold half of it.
    a, b = torch.tensor([[-0.3, 0.3]]), torch.tensor([[-0.1, 0.3]])
    inside = part_windows(a, b, 4, 1)[0].int()
    assert inside.tolist() == [[0] * 4, [0] * 4, [0, 1, 0, 0], [0] * 4]
    # A point, and one that is far away.
    assert part_windows(a, a, 4, 1)[0].sum() <= 1
    assert part_windows(a + 9, b + 9, 4, 3).sum() == 0


def target(number: int = 2) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    known = torch.ones(number, J, dtype=torch.bool)
    return {"xyz": torch.rand(number, J, 3) * 1.6 - 0.8, "known": known, "depth_known": known,
            "present": known.float()}  # fmt: skip


def test_each_task_has_its_weight(net: MultiTask) -> None:
    out, wanted = net(torch.randn(2, 3, 64, 64)), target()
    both = multitask_parts(out, wanted, 3, 1.0, 1.0)
    assert all(v > 0 for v in both.values())
    for detect, regress in ((0.0, 1.0), (1.0, 0.0)):
        parts = multitask_parts(out, wanted, 3, detect, regress)
        assert set(parts) == ({"joints", "parts"} if detect else {"xy", "z", "confidence"})
        assert all(torch.equal(v, both[k]) for k, v in parts.items())


def test_what_is_not_known_is_not_learned(net: MultiTask) -> None:
    wanted = target()
    wanted["known"] = torch.zeros_like(wanted["known"])
    wanted["depth_known"] = wanted["known"]
    wanted["present"] = torch.full_like(wanted["present"], torch.nan)
    parts = multitask_parts(net(torch.randn(2, 3, 64, 64)), wanted, 3, 1.0, 1.0)
    assert all(v == 0 for v in parts.values())


def test_both_tasks_are_learned(net: MultiTask) -> None:
    torch.manual_seed(0)
    x, wanted = torch.randn(2, 3, 64, 64), target()
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    first: dict[str, float] = {}
    for _ in range(80):
        parts = multitask_parts(net(x), wanted, 3, 1.0, 1.0)
        first = first or {k: v.item() for k, v in parts.items()}
        optimiser.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        optimiser.step()
    for name in ("xy", "z", "joints", "parts"):
        assert parts[name].item() < 0.7 * first[name], name


def test_saved_with_its_card_and_loaded(net: MultiTask, tmp_path: Path) -> None:
    file = tmp_path / "multi.safetensors"
    save_model(file, net, {}, {})
    again, card = load_model(str(file))
    assert card.config == SMALL
    x = torch.randn(1, 3, 64, 64)
    assert torch.allclose(again(x).xyz, net(x).xyz, atol=2e-2)


def test_kinds_of_networks() -> None:
    assert config_of(settings_of(SMALL)) == SMALL
    assert isinstance(build(SMALL), MultiTask)
    with pytest.raises(ValueError, match="known: margipose"):
        config_of({"kind": "oracle"})
    for wrong in ({"window": 2}, {"trunk": "huge"}, {"hidden": 0}, {"input_size": 65}):
        with pytest.raises(ValueError, match=r"must|known|multiples"):
            config_of({"kind": "multitask", **wrong})
