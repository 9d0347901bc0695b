"""MobileNetV2 with a feature pyramid: the trunk of Google's MoveNet (Apache-2.0), in PyTorch.

The trunks of MoveNet Lightning and Thunder differ in their widths only (`WIDTHS`). Batch norms
are folded into the convolutions' biases, so what is trained on is what runs. `MoveNet` adds the
original single-person heads and decoding; livepose uses it as a teacher that labels pictures and
as a peer to compare with.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

# Output channels of the stem and of blocks 0, 1-2, 3-5, 6-9, 10-12, 13-15, 16, the head. "small"
# is Lightning's up to block 9, a tenth of its weights, "medium" up to block 12, a quarter; their
# stride 32 is averaged.
WIDTHS: dict[str, tuple[int, ...]] = {
    "lightning": (32, 16, 24, 32, 64, 96, 160, 320, 1280),
    "thunder": (56, 32, 40, 56, 112, 168, 280, 560, 1280),
    "small": (32, 16, 24, 32, 64),
    "medium": (32, 16, 24, 32, 64, 96),
}
VARIANTS = ("lightning", "thunder")  # that MoveNet was published in
_STAGES = ((1, 2), (3, 4, 5), (6, 7, 8, 9), (10, 11, 12), (13, 14, 15), (16,))
_STRIDE_2 = {1, 3, 6, 13}
STRIDE = 32  # the input's sides must be multiples of this
# Strides that the pyramid can end at, and its channels there.
PYRAMID = {4: 24, 8: 24, 16: 32, 32: 64}
HEATMAP_STRIDE = 4  # of MoveNet


class Conv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding of even sizes: stride 2 pads 0 before, 1 after."""

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel: int,
        stride: int = 1,
        *,
        depthwise: bool = False,
        bias: bool = True,
    ) -> None:
        groups = cin if depthwise else 1
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(cin, cout, kernel, stride, padding, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] == 2:
            x = F.pad(x, (0, 1, 0, 1))
            if self.groups > 1 and x.requires_grad and x.dtype == torch.bfloat16 and x.is_cpu:
                # A CPU takes three to ten times as long for the gradients in bfloat16.
                with torch.autocast("cpu", enabled=False):
                    return super().forward(x.float()).bfloat16()
        return super().forward(x)


class Block(nn.Module):
    """Inverted residual block of MobileNetV2 (Sandler et al. 2018)."""

    def __init__(self, cin: int, cout: int, stride: int, expansion: int = 6) -> None:
        super().__init__()
        hidden = cin * expansion
        if expansion > 1:
            self.expand = Conv(cin, hidden, 1)
        self.depthwise = Conv(hidden, hidden, 3, stride, depthwise=True)
        self.project = Conv(hidden, cout, 1)
        self.expands = expansion > 1
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.expand(x)) if self.expands else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise 1x1 and ReLU."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.depthwise = Conv(cin, cin, 3, depthwise=True, bias=False)
        self.pointwise = Conv(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.pointwise(self.depthwise(x)))


class Trunk(nn.Module):
    """MobileNetV2: (B, 3, H, W) RGB in -1..1 -> features at strides 4, 8, 16 and 32.

    channels: of these features.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = Conv(3, widths[0], 3, 2)
        self.block_0 = Block(widths[0], widths[1], 1, expansion=1)
        cin, self.blocks = widths[1], 0
        for blocks, cout in zip(_STAGES, widths[2:8], strict=False):
            for b in blocks:
                setattr(self, f"block_{b}", Block(cin, cout, 2 if b in _STRIDE_2 else 1))
                cin, self.blocks = cout, b
        self.channels_16 = widths[min(5, len(widths) - 1)]
        self.head = Conv(cin, widths[8], 1) if len(widths) > 8 else None
        self.channels = (widths[2], widths[3], widths[4], widths[8] if self.head else cin)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        c4 = self._through(self.block_0(F.relu6(self.stem(x))), 1, 2)
        c8 = self._through(c4, 3, 5)
        c16 = self._through(c8, 6, 9)
        return c4, c8, c16, self._last(self._through(c16, 10, self.blocks))

    def at_16(self, x: Tensor) -> Tensor:
        """The last features at stride 16, with `channels_16`, and no more of it."""
        x = self.block_0(F.relu6(self.stem(x)))
        return self._through(x, 1, min(self.blocks, _STAGES[3][-1]))

    def _through(self, x: Tensor, first: int, last: int) -> Tensor:
        for b in range(first, last + 1):
            x = getattr(self, f"block_{b}")(x)
        return x

    def start_from(self, other: Trunk) -> None:
        """Takes over the layers that it shares with another trunk, which must have all of its own.

        Raises:
            ValueError: the other one has other layers.
        """
        own, known = self.state_dict(), other.state_dict()
        if any(name not in known or known[name].shape != own[name].shape for name in own):
            raise ValueError("this trunk cannot start from that MoveNet")
        self.load_state_dict({name: known[name] for name in own})

    def _last(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2) if self.head is None else F.relu6(self.head(x))


def upsample(x: Tensor, factor: int = 2) -> Tensor:
    """Bilinear, half-pixel centres."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class Pyramid(nn.Module):
    """Feature pyramid from stride 32 down to `stride`, with the channels of `PYRAMID`."""

    def __init__(self, channels: tuple[int, int, int, int], stride: int = 4) -> None:
        super().__init__()
        self.lateral_32 = Conv(channels[3], 64, 1)
        self.levels = [s for s in (16, 8, 4) if s >= stride]
        cin = 64
        for s, tap in zip(self.levels, channels[2::-1], strict=False):
            setattr(self, f"lateral_{s}", Conv(tap, cin, 1))
            setattr(self, f"smooth_{s}", Separable(cin, PYRAMID[s]))
            cin = PYRAMID[s]

    def forward(self, c4: Tensor, c8: Tensor, c16: Tensor, c32: Tensor) -> Tensor:
        return self.at_strides(c4, c8, c16, c32)[min(self.levels, default=32)]

    def at_strides(self, c4: Tensor, c8: Tensor, c16: Tensor, c32: Tensor) -> dict[int, Tensor]:
        """All levels, by their stride."""
        y = self.lateral_32(c32)
        out = {32: y}
        for s, tap in zip(self.levels, (c16, c8, c4), strict=False):
            y = getattr(self, f"smooth_{s}")(upsample(y) + getattr(self, f"lateral_{s}")(tap))
            out[s] = y
        return out


class Head(nn.Module):
    """Separable convolution to 96 channels, then 1x1 to the outputs."""

    def __init__(self, cout: int, cin: int = PYRAMID[HEATMAP_STRIDE]) -> None:
        super().__init__()
        self.depthwise = Conv(cin, cin, 3, depthwise=True, bias=False)
        self.pointwise = Conv(cin, 96, 1)
        self.out = Conv(96, cout, 1)

    def forward(self, y: Tensor) -> Tensor:
        return self.out(F.relu(self.pointwise(self.depthwise(y))))


class Keypoints(NamedTuple):
    """xy: (B, 17, 2) pixels of the network's input, COCO-17. score: (B, 17) in 0..1."""

    xy: Tensor
    score: Tensor


class MoveNet(nn.Module):
    """MoveNet Lightning or Thunder with its own heads and single-person decoding."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        widths = WIDTHS[variant]
        self.input_size = {"lightning": 192, "thunder": 256}[variant]
        self.trunk = Trunk(widths)
        self.fpn = Pyramid(self.trunk.channels)
        self.head = nn.ModuleDict(
            {
                "kpt_heatmap": Head(17),
                "center": Head(1),
                "kpt_regress": Head(34),
                "kpt_offset": Head(34),
            }
        )
        cells = self.input_size // HEATMAP_STRIDE
        self.register_buffer("center_weight", torch.ones(cells, cells))

    @property
    def keypoint_head(self) -> Head:
        head = self.head["kpt_heatmap"]
        assert isinstance(head, Head)
        return head

    @classmethod
    def load(cls, variant: str, file: Path) -> MoveNet:
        """The network with the tensors of ``movenet-VARIANT.safetensors``.

        Raises:
            ValueError: MoveNet was not published in this variant.
        """
        if variant not in VARIANTS:
            raise ValueError(f"no MoveNet {variant!r}; known: {', '.join(VARIANTS)}")
        state = {name: tensor.float() for name, tensor in load_file(file).items()}
        state["center_weight"] = state.pop("decode.center_weight")
        net = cls(variant)
        net.load_state_dict(state)
        return net.eval()

    def forward(self, x: Tensor) -> Keypoints:
        """(B, 3, S, S) RGB in -1..1, S the input size -> the person nearest the middle."""
        y = self.fpn(*self.trunk(x))
        heat, center, regress, offset = (
            self.head[k](y).float() for k in ("kpt_heatmap", "center", "kpt_regress", "kpt_offset")
        )
        b, k, h, w = heat.shape
        at = (center.sigmoid()[:, 0] * self.center_weight).flatten(1).argmax(1)
        rows, cols = torch.arange(h, device=x.device), torch.arange(w, device=x.device)

        def gather(maps: Tensor, where: Tensor) -> Tensor:  # (B, 34, H, W) -> (B, 17, 2), (y, x)
            index = where.reshape(b, -1, 1).expand(b, k, 2).reshape(b, 2 * k, 1)
            return maps.flatten(2).gather(2, index).reshape(b, k, 2)

        guess = gather(regress, at) + torch.stack([at // w, at % w], 1)[:, None]
        distance = (
            (rows.view(1, 1, h, 1) - guess[..., 0, None, None]) ** 2
            + (cols.view(1, 1, 1, w) - guess[..., 1, None, None]) ** 2
        ).sqrt()
        score = heat.sigmoid()
        best = (score / (distance + 1.8)).flatten(2).argmax(2)
        yx = torch.stack([best // w, best % w], 2) + gather(offset, best)
        return Keypoints(
            yx.flip(-1) * HEATMAP_STRIDE, score.flatten(2).gather(2, best[..., None])[..., 0]
        )
