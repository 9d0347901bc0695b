"""The network in two parts that other runtimes take: convolutions, and decoding.

They stay apart because the convolutions may run in half precision and the decoding must not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from livepose.crop import to_input
from livepose.models.margipose import Logits
from livepose.models.networks import PoseNetwork


class Convolutions(nn.Module):
    """(B, S, S, 3) BGR bytes -> the tensors of `Logits`."""

    def __init__(self, net: PoseNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        logits = self.net.logits(to_input(crops))
        return tuple(t for t in logits if t is not None)


class Decoding(nn.Module):
    """The tensors of `Logits` -> (B, J, 4) x, y, z and confidence, and the three maps."""

    def __init__(self, net: PoseNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, *logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        out = self.net.decode(Logits(*logits))
        return torch.cat([out.xyz, out.confidence[..., None]], -1), out.xy, out.zy, out.xz


def exported(net: PoseNetwork) -> tuple[ExportedProgram, ExportedProgram]:
    """`Convolutions` and `Decoding` as graphs that take any number of squares."""
    size, batch = net.config.input_size, Dim("batch", min=1, max=64)
    # Two: one would be taken for a constant.
    crops = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with torch.no_grad():
        logits = Convolutions(net)(crops)
        first = export(Convolutions(net), (crops,), dynamic_shapes=({0: batch},))
        shapes = (tuple({0: batch} for _ in logits),)
        return first, export(Decoding(net), logits, dynamic_shapes=shapes)
