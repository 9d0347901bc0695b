"""MoveNet MultiPose (Google, Apache-2.0): the boxes of several people, as a teacher and a peer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from livepose.models.movenet import HEATMAP_STRIDE, Head, Pyramid, Trunk

WIDTHS = (48, 24, 40, 48, 96, 144, 240, 480, 1280)
MOST = 6
LONG_SIDE = 256
_HEADS = {"kpt_heatmap": 17, "center": 1, "kpt_regress": 34, "kpt_offset": 34, "box_scale": 2,
          "box_offset": 2}  # fmt: skip
_HEAT_WIDTH = 0.3  # of the shorter side of the maps


class People(NamedTuple):
    """boxes: (B, P, 4) left, top, right, bottom, and joints: (B, P, 17, 2) COCO-17, in pixels of
    the input. score: (B, P) in 0..1, the best first."""

    boxes: Tensor
    joints: Tensor
    score: Tensor


class MultiPose(nn.Module):
    """(B, 3, H, W) RGB in -1..1, sides multiples of 32, the longer one `LONG_SIDE` -> `People`."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(WIDTHS)
        self.fpn = Pyramid(self.trunk.channels)
        self.head = nn.ModuleDict({name: Head(n) for name, n in _HEADS.items()})

    @classmethod
    def load(cls, file: Path) -> MultiPose:
        """The network with the tensors of ``movenet-multipose.safetensors``."""
        state = {name: tensor.float() for name, tensor in load_file(file).items()}
        net = cls()
        net.load_state_dict({k: v for k, v in state.items() if not k.startswith("decode.")})
        return net.eval()

    def forward(self, x: Tensor) -> People:
        y = self.fpn(*self.trunk(x))
        maps = {name: head(y).float() for name, head in self.head.items()}
        centre = maps["center"].sigmoid()[:, 0]
        b, h, w = centre.shape
        peaks = torch.where(F.max_pool2d(centre, 5, 1, 2) == centre, centre, 0).flatten(1)
        score, at = peaks.topk(MOST, 1)
        cells = torch.stack([at // w, at % w], -1)[:, :, None].float()  # (B, P, 1, 2), (y, x)

        def gather(name: str, where: Tensor) -> Tensor:
            """(B, P, ...) cells -> (B, P, K, 2) values of a head with K pairs (y, x)."""
            flat = maps[name].flatten(2)
            index = where[:, None].expand(b, flat.shape[1], *where.shape[1:])
            return flat.gather(2, index).transpose(1, 2).unflatten(2, (-1, 2))

        guess = gather("kpt_regress", at) + cells  # (B, P, 17, 2)
        rows = torch.arange(h, device=x.device).view(h, 1)
        columns = torch.arange(w, device=x.device)
        d2 = (rows - guess[..., 0, None, None]) ** 2 + (columns - guess[..., 1, None, None]) ** 2
        near = torch.exp(-d2 / (2 * (_HEAT_WIDTH * min(h, w)) ** 2))
        best = (maps["kpt_heatmap"].sigmoid()[:, None] * near).flatten(3).argmax(3)  # (B, P, 17)
        offset = torch.stack([gather("kpt_offset", best[..., k])[:, :, k] for k in range(17)], 2)
        yx = torch.stack([best // w, best % w], -1) + offset
        middle = cells + gather("box_offset", at)
        half = gather("box_scale", at) / 2
        corners = torch.cat([(middle - half).flip(-1), (middle + half).flip(-1)], -1)[:, :, 0]
        return People(corners * HEATMAP_STRIDE, yx.flip(-1) * HEATMAP_STRIDE, score)
