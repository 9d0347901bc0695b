"""Networks that share a trunk, pyramid and depth head, and differ in their way to x and y.

For comparing outputs: what differs between two members is the output alone, and one pass through
the trunk serves them all while they are trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from livepose.models import movenet
from livepose.models.margipose import Config, MargiPose, Output
from livepose.models.movenet import Pyramid, Trunk


class Family(nn.Module):
    """(B, 3, S, S) RGB in -1..1 -> `Output` of every member, by name.

    Args:
        configs: of the members; they must agree in trunk, input size and cells of depth.
        say: how much each member has to say in what the shared layers learn: the gradient that it
            sends to them is scaled to this length, whatever its loss. Otherwise the trunk would
            grow to suit the output with the largest gradients.
    """

    def __init__(self, configs: Mapping[str, Config], say: Mapping[str, float]) -> None:
        super().__init__()
        first = next(iter(configs.values()))
        alike = {(c.trunk, c.input_size, c.depth_cells, c.context_layers, c.lift_layers)
                 for c in configs.values()}  # fmt: skip
        if alike != {(first.trunk, first.input_size, first.depth_cells, 0, 0)}:
            raise ValueError(
                "networks that share a trunk must agree in it, in the input size and the cells of "
                "depth, and have neither attention nor lifting"
            )
        self.trunk = Trunk(movenet.WIDTHS[first.trunk])
        self.fpn = Pyramid(self.trunk.channels)
        self.say = dict(say)
        made: dict[str, MargiPose] = {name: MargiPose(c) for name, c in configs.items()}
        self.depth = next(iter(made.values())).depth
        for net in made.values():
            net.trunk, net.depth = self.trunk, self.depth
            for name in dict(net.fpn.named_children()):
                setattr(net.fpn, name, getattr(self.fpn, name))
        self.nets = nn.ModuleDict(made)

    def forward(self, x: Tensor) -> dict[str, Output]:
        taps = self.trunk(x)
        levels = self.fpn.at_strides(*taps)
        out = {}
        for name, net in self.nets.items():
            assert isinstance(net, MargiPose)
            features = (*taps[1:], levels[net.config.heatmap_stride])
            out[name] = net.decode(net.read(*_Say.apply(self.say[name], *features)))
        return out

    def start_from(self, teacher: movenet.MoveNet) -> tuple[str, ...]:
        """Takes over MoveNet's trunk and, where it fits, the pyramid; as `MargiPose.start_from`."""
        self.trunk.start_from(teacher.trunk)
        if self.trunk.channels != teacher.trunk.channels:
            return ("trunk.",)
        self.fpn.load_state_dict(teacher.fpn.state_dict())
        return "trunk.", "fpn."


class _Say(torch.autograd.Function):
    """Features as they are; their gradients, taken together, scaled to a given length."""

    @staticmethod
    def forward(ctx: Any, length: float, *features: Tensor) -> tuple[Tensor, ...]:
        ctx.length = length
        return tuple(f.view_as(f) for f in features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        total = torch.stack([g.float().square().sum() for g in gradients]).sum().sqrt()
        scale = ctx.length / total.clamp_min(1e-12)
        return (None, *(g * scale.to(g.dtype) for g in gradients))
