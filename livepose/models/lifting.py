"""Depth from the skeleton as a whole: where all joints are says much about how far each one is.

After Martinez et al. 2017, *A simple yet effective baseline for 3D human pose estimation*: two
dimensions are lifted to three by a small network that sees no picture. Here every joint is a token
that looks at all the others, with what the picture shows at its place; without a picture the
same network learns from skeletons alone (`livepose.data.skeletons`), of which there are as many as
one likes, and from every side.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose.models.context import Layer


class Lifting(nn.Module):
    """Logits over D depth cells for each of J joints, from places and what is seen there."""

    def __init__(self, joints: int, cells: int, looks: int, width: int, layers: int) -> None:
        super().__init__()
        self.place, self.look = nn.Linear(3, width), nn.Linear(looks, width, bias=False)
        self.joint = nn.Parameter(0.1 * torch.randn(joints, width))
        self.mix = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.layers = nn.Sequential(*(Layer(width) for _ in range(layers)))
        self.norm, self.depth = nn.LayerNorm(width), nn.Linear(width, cells)
        nn.init.zeros_(self.look.weight)  # at first what the places alone say
        # Where it said nothing at first, it would say nothing for hundreds of steps: the
        # regulariser of the maps finds the mean depth long before anything else is learned.
        nn.init.normal_(self.depth.weight, 0, 0.1)

    def forward(self, xy: Tensor, sure: Tensor, looks: Tensor | None = None) -> Tensor:
        """
        Args:
            xy: (B, J, 2) normalised coordinates. sure: (B, J) in 0..1, how far they count.
            looks: (B, J, C) features of the picture at the joints, None without a picture.

        Returns:
            (B, J, D), float32.
        """
        places = torch.cat([xy * sure[..., None], sure[..., None]], -1).float()
        # Coordinates are finer than half precision is.
        tokens = F.linear(places, self.place.weight.float(), self.place.bias.float()) + self.joint
        tokens = tokens.to(self.joint.dtype)
        if looks is not None:
            tokens = tokens + self.look(looks.to(self.joint.dtype))
        return self.depth(self.norm(self.layers(self.mix(tokens)))).float()
