"""The three ways from a network to coordinates that Nibali et al. 2018 compare (section 2).

- ``dsnt``: softmax over each map, then its mean; trained on coordinates, end to end.
- ``heatmap``: maps are trained to look like Gaussians about the joints (heatmap matching); the
  place of the highest cell, moved a quarter of a cell towards its higher neighbours, is the joint.
  Nothing flows from the coordinate to the network.
- ``fc``: a fully connected layer gives numbers; there are no maps, and one input size only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose import dsnt
from livepose.models.movenet import Conv

OUTPUTS = ("dsnt", "heatmap", "fc")
_FC_CHANNELS = 5
# Heatmap matching has peaks of 1; as logits, so much higher than what is around.
_SHARP = 10.0


class FullyConnected(nn.Module):
    """(B, cin, side, side) -> (B, J, 3): x, y and the log-odds of being there."""

    def __init__(self, cin: int, joints: int, side: int) -> None:
        super().__init__()
        self.side, self.joints = side, joints
        self.depthwise = Conv(cin, cin, 3, depthwise=True, bias=False)
        self.pointwise = Conv(cin, _FC_CHANNELS, 1)
        self.out = nn.Linear(_FC_CHANNELS * side * side, 3 * joints)

    def forward(self, y: Tensor) -> Tensor:
        if y.shape[-2:] != (self.side, self.side):
            raise ValueError(
                f"a fully connected output takes maps of {self.side} x {self.side} only, "
                f"got {y.shape[-1]} x {y.shape[-2]}: leave the input size as it is"
            )
        y = F.relu(self.pointwise(self.depthwise(y)))
        return self.out(y.flatten(1)).float().unflatten(1, (self.joints, 3))


def drawn(coords: Tensor, side: int) -> Tensor:
    """Logits (B, J, side, side) of Gaussians about coordinates (B, J, 2), for what has no maps."""
    maps = dsnt.gaussian(coords.detach().clamp(-1, 1), (side, side))
    return maps.clamp_min(1e-12).log()


def as_logits(maps: Tensor, output: str) -> Tensor:
    """What a network puts out as maps -> logits of a distribution over the picture."""
    return maps * _SHARP if output == "heatmap" else maps


def matching_losses(maps: Tensor, target: Tensor, sigma: float) -> Tensor:
    """Heatmap matching: squared distance to a Gaussian with peak 1, summed over the cells.

    maps: (..., H, W). target: (..., 2) coordinates. Returns (...).
    """
    with torch.no_grad():
        wanted = dsnt.gaussian(target, (maps.shape[-2], maps.shape[-1]), sigma)
        wanted = wanted / wanted.amax((-1, -2), keepdim=True).clamp_min(1e-12)
    return (maps.float() - wanted).square().sum((-1, -2))
