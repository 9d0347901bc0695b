"""Depth from the skeleton as a whole: where all joints are says much about how far each one is.

After Martinez et al. 2017, *A simple yet effective baseline for 3D human pose estimation*: a small
network with residual layers lifts two dimensions to three, and sees no picture. It learns from
skeletons alone (`livepose.data.skeletons`), of which there are as many as one likes, from every
side. In the pose network it also hears what the picture shows at each joint.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose import dsnt

_LOOK = 4  # numbers that tell what the picture shows at a joint
_SPREAD = 0.15  # at first, of what it says about depth


class Lifting(nn.Module):
    """Depth of J joints from their places; looks: features of the picture at each."""

    def __init__(self, joints: int, looks: int, width: int, layers: int) -> None:
        super().__init__()
        self.look = nn.Linear(looks, _LOOK, bias=False)
        nn.init.zeros_(self.look.weight)  # at first what the places alone say
        self.enter = nn.Linear((3 + _LOOK) * joints, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(),
                          nn.Linear(width, width))
            for _ in range(layers)
        )  # fmt: skip
        self.norm, self.depth = nn.LayerNorm(width), nn.Linear(width, joints)
        nn.init.zeros_(self.depth.weight)
        self.spread = nn.Parameter(torch.full((joints,), math.log(_SPREAD)))

    def forward(self, xy: Tensor, sure: Tensor, looks: Tensor | None = None) -> Tensor:
        """
        Args:
            xy: (B, J, 2) normalised coordinates. sure: (B, J) in 0..1, how far they count.
            looks: (B, J, C) features of the picture at the joints, None without a picture.

        Returns:
            (B, J) depth in the units of x and y, float32.
        """
        places = torch.cat([xy * sure[..., None], sure[..., None]], -1).float()
        seen = places.new_zeros(*sure.shape, _LOOK)
        if looks is not None:
            seen = self.look(looks.to(self.look.weight.dtype)).float()
        # Coordinates are finer than half precision is.
        x = _precisely(self.enter, torch.cat([places, seen], -1).flatten(1))
        for layer in self.layers:
            x = x + layer(x.to(self.look.weight.dtype)).float()
        return _precisely(self.depth, F.gelu(self.norm(x.to(self.look.weight.dtype))).float())

    def odds(self, depth: Tensor, cells: int) -> Tensor:
        """(B, J) depth -> (B, J, cells) logits of Gaussians about it."""
        centres = dsnt.cell_centres(cells, device=depth.device)
        far = (centres - depth[..., None]) / self.spread.float().exp()[:, None]
        return -0.5 * far.square()


def _precisely(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight.float(), layer.bias.float())
