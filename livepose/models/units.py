"""What single units of a layer answer to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from livepose.models.movenet import Head
from livepose.models.multitask import MultiTask
from livepose.models.networks import PoseNetwork
from livepose.skeleton import J, indices


def layers(net: nn.Module) -> dict[str, str]:
    """Names of a middle and a high layer with maps, by what they are called for people."""
    high = "shared" if isinstance(net, MultiTask) else "fpn.lateral_16"
    return {"middle": "trunk.block_5.project", "high": high}


@torch.inference_mode()
def activations(net: nn.Module, x: Tensor, layer: str) -> Tensor:
    """Maps (B, C, H, W) of a layer for pictures (B, 3, S, S), float32.

    Raises:
        ValueError: there is no such layer, or it has no maps.
    """
    named = dict(net.named_modules())
    if layer not in named:
        raise ValueError(f"no layer {layer!r}; for example: {', '.join(layers(net).values())}")
    kept: list[Tensor] = []
    handle = named[layer].register_forward_hook(lambda module, inputs, out: kept.append(out))
    try:
        net(x)
    finally:
        handle.remove()
    if not kept or not isinstance(kept[0], Tensor) or kept[0].ndim != 4:
        raise ValueError(f"the layer {layer} has no maps")
    return kept[0].float()


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
