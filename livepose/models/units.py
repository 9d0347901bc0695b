"""What single units of a layer answer to, and the sheets of pictures that show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from livepose.models.movenet import Head
from livepose.models.multitask import MultiTask
from livepose.models.networks import PoseNetwork
from livepose.resources import ASSETS
from livepose.skeleton import J, indices

TILE, COLUMNS = 48, 16  # pixels of a unit's picture in a sheet, and units in a row of it
# Of the multi-task network: rectified by the function behind them. Those of the trunk and of the
# pyramid that are looked at are linear by design (MobileNetV2's bottlenecks).
_RECTIFIED = ("shared", "windows", "hidden_1", "hidden_2")


def layers(net: PoseNetwork) -> dict[str, str]:
    """Names of modules, by what they are called for people: a middle and a high layer with maps,
    and where there is one the last hidden layer of a regressor."""
    middle = "trunk.block_5"
    if isinstance(net, MultiTask):
        return {"middle": middle, "high": "shared", "regressor": "hidden_2"}
    # Heatmaps of stride 32 come without a pyramid: then what it would begin with.
    return {"middle": middle, "high": "fpn.lateral_16" if net.fpn.levels else "trunk.block_9"}


@torch.inference_mode()
def activations(net: PoseNetwork, x: Tensor, layer: str) -> Tensor:
    """Maps (B, C, H, W) of a layer for pictures (B, 3, S, S), float32, 1 x 1 of a fully connected
    one. After the layer's activation, if it has one.

    Raises:
        ValueError: there is no such layer, or it has no units.
    """
    return _answers(net, x, layer)


def receptive_field(net: PoseNetwork, layer: str) -> int:
    """Pixels along the side of the square that a unit in the middle of a layer sees.

    All that the gradient of the middle's answers reaches, for a few pictures of noise: exactly what
    follows from kernels and strides, with skips and attention. At most the input's size.

    Raises:
        ValueError: there is no such layer, or it has no units.
    """
    size = net.config.input_size
    noise = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    where = next(net.parameters())
    x = noise.to(where.device, where.dtype).requires_grad_()
    maps = _answers(net, x, layer)
    middle = maps[..., maps.shape[-2] // 2, maps.shape[-1] // 2]
    (gradient,) = torch.autograd.grad(middle.sum(), x)
    reached = (gradient != 0).flatten(0, 1).any(0)
    sides = [at.nonzero() for at in (reached.any(0), reached.any(1))]
    return max(int(at.max() - at.min()) + 1 for at in sides)


def _answers(net: PoseNetwork, x: Tensor, layer: str) -> Tensor:
    named = dict(net.named_modules())
    if layer not in named:
        raise ValueError(f"no layer {layer!r}; for example: {', '.join(layers(net).values())}")
    kept: list[Tensor] = []
    handle = named[layer].register_forward_hook(lambda module, inputs, out: kept.append(out))
    try:
        net(x)
    finally:
        handle.remove()
    if not kept or not isinstance(kept[0], Tensor) or kept[0].ndim not in (2, 4):
        raise ValueError(f"the layer {layer} has no units to look at")
    out = kept[0].float()
    if isinstance(net, MultiTask) and layer in _RECTIFIED:
        out = out.relu()
    return out if out.ndim == 4 else out[..., None, None]


def sheet_file(model: str, layer: str) -> Path:
    """Where the window looks for the sheet of a model's layer."""
    return ASSETS / "units" / f"{Path(model).stem}-{layer}.png"


def save_tops(sheet: Path, tops: Sequence[float]) -> None:
    """Writes the strongest answer of each unit beside a sheet."""
    text = json.dumps({"top": [round(float(top), 4) for top in tops]})
    sheet.with_suffix(".json").write_text(text + "\n")


def read_tops(sheet: Path) -> list[float]:
    """What `save_tops` wrote, or nothing."""
    try:
        return [float(top) for top in json.loads(sheet.with_suffix(".json").read_text())["top"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def last_layer(net: PoseNetwork) -> Tensor:
    """(J, K) weights that lead to each joint: of the regressor's x, y and z, or of the head's map.

    Li & Chan 2014 look at the correlation of these rows: what the layer moves together.
    """
    if isinstance(net, MultiTask):
        rows = net.last.weight.unflatten(0, (J, 4))[:, :3]
        return rows.flatten(1).detach().float().cpu()
    head = net.joints
    if isinstance(head, Head):
        return head.out.weight.flatten(1).detach().float().cpu()
    return head.out.weight.unflatten(0, (J, 3))[:, :2].flatten(1).detach().float().cpu()


def correlation(net: PoseNetwork) -> Tensor:
    """(J, J): how alike the weights of two joints are, -1..1; symmetric, 1 on the diagonal."""
    return torch.corrcoef(last_layer(net))


def by_limb() -> list[tuple[str, list[int]]]:
    """Joints grouped as a body is: name of the group, and their numbers."""
    groups = {
        "head": ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top", "head"),
        "trunk": ("neck", "spine", "pelvis"),
        "left arm": ("left_shoulder", "left_elbow", "left_wrist"),
        "right arm": ("right_shoulder", "right_elbow", "right_wrist"),
        "left leg": ("left_hip", "left_knee", "left_ankle"),
        "right leg": ("right_hip", "right_knee", "right_ankle"),
    }  # fmt: skip
    return [(name, indices(joints)) for name, joints in groups.items()]
