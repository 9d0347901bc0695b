"""Where people are: a small network for whole pictures, run now and then.

The first blocks of MoveNet Lightning with a pyramid down to stride 8, and for each cell the
log-odds that the middle of a person's box is there, and the box's four sides as seen from the cell
(Zhou et al., *Objects as Points*, 2019; Tian et al., *FCOS*, 2019).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose.models.movenet import PYRAMID, WIDTHS, Head, Pyramid, Trunk

STRIDE = 8
LONG_SIDE = 320  # pixels of the picture's longer side in the network
# How often a cell holds a person, before anything is learned.
_PRIOR = 0.01


class PersonNet(nn.Module):
    """(B, 3, H, W) RGB in -1..1, sides multiples of 32 -> log-odds (B, h, w), sides (B, 4, h, w).

    sides: logarithms of the distances from the cell's centre to the box's left, top, right and
    bottom, in cells.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(WIDTHS["small"])
        self.fpn = Pyramid(self.trunk.channels, STRIDE)
        self.head = Head(5, PYRAMID[STRIDE])
        assert self.head.out.bias is not None
        nn.init.zeros_(self.head.out.weight)
        with torch.no_grad():
            self.head.out.bias[0] = torch.logit(torch.tensor(_PRIOR))
            self.head.out.bias[1:] = 1.5

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = self.head(self.fpn(*self.trunk(x))).float()
        return out[:, 0], out[:, 1:]


def decode(
    odds: Tensor, sides: Tensor, most: int = 20, overlap: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) left, top, right, bottom in pixels, and scores (N,), of one picture, best first.

    Args:
        odds: (h, w). sides: (4, h, w). overlap: of two boxes that share more (intersection over
            union), the better one stays.
    """
    score = odds.sigmoid()
    peak = F.max_pool2d(score[None], 3, 1, 1)[0] == score
    best, at = torch.where(peak, score, 0).flatten().topk(min(most, score.numel()))
    y, x = at // score.shape[1], at % score.shape[1]
    reach = sides[:, y, x].exp() * STRIDE
    # Pixel centres: cell k covers pixels 8 k to 8 k + 7.
    cx, cy = (x + 0.5) * STRIDE - 0.5, (y + 0.5) * STRIDE - 0.5
    boxes = torch.stack([cx - reach[0], cy - reach[1], cx + reach[2], cy + reach[3]], 1)
    keep: list[int] = []
    for i in range(len(boxes)):
        if not keep or float(shared(boxes[i : i + 1], boxes[keep]).max()) < overlap:
            keep.append(i)
    return boxes[keep], best[keep]


def shared(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4), (M, 4) -> (N, M) intersection over union."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clamp_min(0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(-1) for boxes in (a, b)]
    return both / (areas[0][:, None] + areas[1][None] - both).clamp_min(1e-9)
