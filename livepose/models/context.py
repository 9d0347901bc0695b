"""What the whole person says about each joint: attention over the picture at stride 16.

A convolutional trunk finds wrists; *whose left* wrist it is depends on which way the person
faces, which may be half a picture away. Here every cell of the picture looks at every other
(Vaswani et al. 2017) and at the first heatmaps, and answers with a coarse map per joint that is
added to the fine logits: it chooses among the blobs, the fine map says where exactly. It stands
for the later stages of MargiPose, which also see the heatmaps of the stage before.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose import dsnt
from livepose.models.movenet import Conv, upsample

HEADS = 4
FREQUENCIES = 4  # 1/2, 1, 2 and 4 periods across the picture


class Layer(nn.Module):
    """Pre-norm transformer layer, (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.grow, self.shrink = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm_1(x)).view(b, n, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c)
        x = x + self.join(seen)
        return x + self.shrink(F.gelu(self.grow(self.norm_2(x))))


class Context(nn.Module):
    """Coarse logits for J joints, and features for depth, from attention over the picture."""

    def __init__(
        self, c16: int, c32: int, joints: int, width: int, layers: int, features: int
    ) -> None:
        super().__init__()
        self.lateral_32, self.lateral_16 = Conv(c32, width, 1), Conv(c16, width, 1)
        self.maps = Conv(2 * joints, width, 1)
        self.place = nn.Linear(4 * FREQUENCIES, width)
        self.layers = nn.Sequential(*(Layer(width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.coarse, self.features = nn.Linear(width, joints), nn.Linear(width, features)
        for last in (self.coarse, self.features):  # at first it says nothing
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, c16: Tensor, c32: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Trunk features at strides 16 and 32 and the fine logits (B, J, kH, kW), k = 1, 2 or 4.

        Returns:
            ``(coarse, features)``: logits (B, J, H, W) to add to the fine ones once they are
            upsampled, and (B, features, H, W).
        """
        k = logits.shape[-1] // c16.shape[-1]  # fine cells along the side of a coarse one
        likely = F.avg_pool2d(dsnt.flat_softmax(logits), k) * k**2
        strong = F.max_pool2d(logits, k).sigmoid()
        maps = torch.cat([likely, strong], 1).to(c16.dtype)
        y = upsample(self.lateral_32(c32)) + self.lateral_16(c16) + self.maps(maps)
        h, w = y.shape[-2:]
        tokens = y.flatten(2).transpose(1, 2) + self.place(places(h, w, y))
        tokens = self.norm(self.layers(tokens)).transpose(1, 2).unflatten(2, (h, w))
        rows = tokens.movedim(1, -1)
        return self.coarse(rows).movedim(-1, 1), self.features(rows).movedim(-1, 1)


def places(height: int, width: int, like: Tensor) -> Tensor:
    """(height * width, 4 * FREQUENCIES): sines and cosines of the cells' y and x, as in a square of
    that height."""
    y, x = (dsnt.cell_centres(n, device=like.device) for n in (height, width))
    x = x * (width / height)
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
    periods = math.pi / 2 * 2.0 ** torch.arange(FREQUENCIES, device=like.device)
    angles = (grid[..., None] * periods).flatten(1)
    return torch.cat([angles.sin(), angles.cos()], 1).to(like.dtype)
