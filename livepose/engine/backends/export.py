"""The network as graphs that other runtimes take: one square of BGR bytes in, joints out."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram, export

from livepose.engine.device import cpu_has_vnni
from livepose.models.margipose import Logits
from livepose.models.networks import PoseNetwork
from livepose.models.quantised import quantised


class _Part(nn.Module):
    """Holds a copy of the network whose first layer takes BGR: no picture has to be turned."""

    def __init__(self, net: PoseNetwork, int8: bool = False) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).float().cpu().eval()
        stem = self.net.trunk.stem.weight
        stem.data = stem.data.flip(1)
        if int8:
            self.net = quantised(self.net, net.ranges, cpu_has_vnni())

    @staticmethod
    def scaled(crop: Tensor) -> Tensor:
        """(B, S, S, 3) bytes -> (B, 3, S, S) in -1..1."""
        return crop.permute(0, 3, 1, 2).float() * (1 / 127.5) - 1.0


_MAPS = ("xy", "zy", "xz")


def _needed(net: PoseNetwork, logits: Logits) -> dict[str, Tensor]:
    """The tensors that decoding needs, by name: none of those that are there to be looked at."""
    unused = ("first", *_MAPS) if net.config.drawn == _MAPS else ("first",)
    named = logits._asdict()
    return {k: tensor for k, tensor in named.items() if tensor is not None and k not in unused}


class Convolutions(_Part):
    """(B, S, S, 3) BGR bytes -> what `Decoding` needs of `Logits`. May run in half precision."""

    def forward(self, crop: Tensor) -> tuple[Tensor, ...]:
        return tuple(_needed(self.net, self.net.logits(self.scaled(crop))).values())


class Decoding(_Part):
    """Tensors of `Logits` -> (B, J, 4) x, y, z and confidence, and the three maps.

    DSNT needs float32, whatever the convolutions run in. names: of the tensors.
    """

    def __init__(self, net: PoseNetwork, names: Sequence[str]) -> None:
        super().__init__(net)
        self.names = tuple(names)

    def forward(self, *logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        missing = dict.fromkeys(_MAPS, logits[0].new_zeros(0))
        given = missing | dict(zip(self.names, logits, strict=True))
        out = self.net.decode(Logits(**given))
        return torch.cat([out.xyz, out.confidence[..., None]], -1), out.xy, out.zy, out.xz


class Whole(_Part):
    """Both in one, for float32 and int8: there only the convolutions are rounded."""

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        out = self.net(self.scaled(crop))
        return torch.cat([out.xyz, out.confidence[..., None]], -1), out.xy, out.zy, out.xz


def exported(
    net: PoseNetwork, in_parts: bool = False, int8: bool = False, squares: int = 1,
    columns: int | None = None,
) -> list[ExportedProgram]:  # fmt: skip
    """`Whole` (with int8: its convolutions rounded), or `Convolutions` and `Decoding`.

    For just so many squares: runtimes are faster with shapes that they know. columns: of their
    pixels, None for all of them.
    """
    size = net.config.input_size
    crop = torch.zeros(squares, size, columns or size, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # within torch.export
        if not in_parts:
            return [export(Whole(net, int8), (crop,))]
        first = Convolutions(net)
        there = _needed(net, first.net.logits(first.scaled(crop)))
        return [export(first, (crop,)), export(Decoding(net, list(there)), tuple(there.values()))]
