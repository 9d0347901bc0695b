"""What single units of a layer answer to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from livepose.models.multitask import MultiTask


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
