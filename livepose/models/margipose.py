"""The pose network: x, y, z from marginal xy, zy and xz heatmaps.

After Nibali, He, Morgan, Prendergast: *3D Human Pose Estimation with 2D Marginal Heatmaps*, 2019
(https://arxiv.org/abs/1806.01484): a volume of probability over (x, y, z) is never built; three of
its marginals are predicted, each with DSNT. x and y come from the xy maps, z is the mean of the
zy and the xz maps.

What differs from the paper, for speed at low resolution:

- The trunk is MobileNetV2 with a feature pyramid; xy maps have stride 4.
- The paper swaps the channel axis with a spatial axis to reach zy and xz. Here the spatial axis is
  summed out by attention: for each joint and row, features are averaged over x with the weights of
  the joint's own xy map in that row, and a linear map per joint gives the depth cells. This takes
  any input size, and costs next to nothing. The row's marginal probability (log-sum-exp of the xy
  logits over x) is added, so that zy starts out with the y that xy has, and only depth is learned.

Coordinates are those of `livepose.dsnt`: the square that the network sees is -1..1 along x and y,
and z has the same unit (half the side of the square), 0 at the pelvis, positive away from the
camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose import dsnt, skeleton
from livepose.frames import Stage
from livepose.models import movenet
from livepose.models.context import HEADS, Context
from livepose.models.lifting import Lifting
from livepose.models.movenet import Conv, Head, Pyramid, Trunk, upsample
from livepose.models.outputs import OUTPUTS, FullyConnected, as_logits, drawn
from livepose.models.quantised import Ranges

DEPTH_FEATURES = 64


class Output(NamedTuple):
    """What the network says of B squares.

    xyz: (B, J, 3) normalised coordinates. confidence: (B, J) in 0..1, the probability that the
    joint is where x and y are, within 0.2 of the torso. xy: (B, J, H, W), zy: (B, J, H', D) and
    xz: (B, J, D, W') probability maps, each with sum 1. raw: (B, J, H, W), the xy maps as the
    network puts them out.
    """

    xyz: Tensor
    confidence: Tensor
    xy: Tensor
    zy: Tensor
    xz: Tensor
    raw: Tensor


class Logits(NamedTuple):
    """Maps before the softmax, shapes as in `Output`; with a fully connected output also what it
    says: (B, J, 3), x, y and the log-odds of presence. With `Config.lift_layers` also looks:
    (B, J, C), what the picture shows at each joint. With `Config.context_layers` also first: the
    xy maps before the attention, which only `MargiPose.stages` asks for."""

    xy: Tensor
    zy: Tensor
    xz: Tensor
    numbers: Tensor | None = None
    looks: Tensor | None = None
    first: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """trunk: a key of `movenet.WIDTHS`. input_size: pixels. depth_cells: cells along z.

    peak_radius: cells about the peak of an xy map that x and y come from once the network is
    trained, 0 for the whole map (see `MargiPose.decode`). context_layers, context_width: of the
    attention over the picture (`livepose.models.context`), 0 layers for none. heatmap_stride:
    pixels of the input along the side of one cell of the xy maps. output: how coordinates come
    from maps, a key of `livepose.models.outputs.OUTPUTS`. lean_depth: depth from the features of
    the attention alone. lift_layers, lift_width: of what lifts the skeleton as a whole
    (`livepose.models.lifting`), 0 layers for none.
    """

    trunk: str = "lightning"
    input_size: int = 192
    depth_cells: int = 24
    peak_radius: int = 5
    context_layers: int = 0
    context_width: int = 128
    heatmap_stride: int = 4
    output: str = "dsnt"
    lean_depth: bool = False
    lift_layers: int = 0
    lift_width: int = 256

    def __post_init__(self) -> None:
        if self.trunk not in movenet.WIDTHS:
            raise ValueError(f"unknown trunk {self.trunk!r}; known: {', '.join(movenet.WIDTHS)}")
        check_size(self.input_size, self.input_size)
        if self.heatmap_stride not in movenet.PYRAMID:
            known = ", ".join(map(str, movenet.PYRAMID))
            raise ValueError(f"heatmap_stride must be one of {known}, got {self.heatmap_stride}")
        if self.output not in OUTPUTS:
            raise ValueError(f"unknown output {self.output!r}; known: {', '.join(OUTPUTS)}")
        if self.context_layers and self.heatmap_stride > 16:
            raise ValueError("context_layers need a heatmap_stride of at most 16")
        if self.lean_depth and not self.context_layers:
            raise ValueError("lean_depth needs context_layers")
        if self.peak_radius < 0:
            raise ValueError(f"peak_radius must not be negative, got {self.peak_radius}")
        if self.depth_cells < 2:
            raise ValueError(f"depth_cells must be at least 2, got {self.depth_cells}")
        if self.context_layers < 0 or self.context_width < 1 or self.context_width % HEADS:
            raise ValueError(
                f"context_layers must not be negative and context_width be a multiple of {HEADS}, "
                f"got {self.context_layers} and {self.context_width}"
            )
        if self.lift_layers < 0 or self.lift_width < 1:
            raise ValueError(
                "lift_layers must not be negative and lift_width be positive, got "
                f"{self.lift_layers} and {self.lift_width}"
            )

    @property
    def drawn(self) -> tuple[str, ...]:
        """Maps that are drawn about numbers, see `livepose.frames.Heatmaps`."""
        return ("xy",) if self.output == "fc" else ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """That `MargiPose.stages` gives the maps of."""
        attention, lifting = Stage("before attention"), Stage("before lifting")
        there = (self.context_layers and not self.drawn, self.lift_layers)
        return tuple(s for s, t in zip((attention, lifting), there, strict=True) if t)


def check_size(height: int, width: int) -> None:
    """ValueError where the network cannot take an input of this size."""
    s = movenet.STRIDE
    if height < 2 * s or width < 2 * s or height % s or width % s:
        raise ValueError(f"input sides must be multiples of {s} from {2 * s} on: {width}x{height}")


class DepthHead(nn.Module):
    """zy and xz logits from trunk features and the xy logits (see the module's text).

    lean: from the features of the attention alone, which it then must get. looks: also says what
    the picture shows at each joint.
    """

    def __init__(
        self, c8: int, c16: int, c32: int, joints: int, cells: int, lean: bool, looks: bool
    ) -> None:
        super().__init__()
        n, self.lean, self.looks = DEPTH_FEATURES, lean, looks
        if not lean:
            self.lateral_32, self.lateral_16 = Conv(c32, n, 1), Conv(c16, n, 1)
            self.lateral_8 = Conv(c8, n, 1)
            self.mix = Conv(n, n, 3)
        self.zy, self.xz = (nn.Parameter(torch.randn(joints, n, cells) * 0.02) for _ in range(2))

    def forward(
        self, c8: Tensor, c16: Tensor, c32: Tensor, logits: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """``(zy, xz, looks)``, the last as in `Logits`."""
        if self.lean:
            assert context is not None
            y, turned = upsample(context).float(), upsample(context.mT).float()
        else:
            y = upsample(self.lateral_32(c32)) + self.lateral_16(c16)
            y = y if context is None else y + context
            y = F.relu(self.mix(F.relu(upsample(y) + self.lateral_8(c8)))).float()
            turned = y.mT
        logits = _resized(logits, y.shape[-1] / logits.shape[-1])
        zy = _along_rows(logits, y, self.zy)
        xz = _along_rows(logits.mT, turned, self.xz).mT
        looks = None
        if self.looks:
            at = dsnt.flat_softmax(logits.detach()).flatten(2)
            looks = at @ y.flatten(2).mT
        return zy, xz, looks


def _along_rows(logits: Tensor, features: Tensor, weights: Tensor) -> Tensor:
    """Logits over rows and depth: what the features of each row say where the joint is in it.

    Args:
        logits: (B, J, H, W). features: (B, C, H, W). weights: (J, C, D).

    Returns:
        (B, J, H, D).
    """
    # Which person, which column: attention says it, but depth does not train the attention.
    at = logits.detach().softmax(-1)
    # Products of matrices rather than einsum, which runtimes turn into slow transpositions.
    rows = at.transpose(1, 2) @ features.permute(0, 2, 3, 1)  # (B, H, J, C)
    return rows.transpose(1, 2) @ weights.float() + logits.logsumexp(-1)[..., None]


def _in_square(at: Tensor, height: int, width: int) -> Tensor:
    """(..., 2) normalised coordinates of maps of that size -> of the square of their height."""
    return at if width == height else torch.stack([at[..., 0] * (width / height), at[..., 1]], -1)


def _resized(maps: Tensor, scale: float) -> Tensor:
    """Maps at another size: means of cells, or bilinear between them."""
    if scale < 1:
        return F.avg_pool2d(maps, round(1 / scale))
    return upsample(maps, round(scale)) if scale > 1 else maps


class MargiPose(nn.Module):
    """(B, 3, H, W) RGB in -1..1 -> `Output` for the joints of `livepose.skeleton.JOINTS`.

    Where W < H, it is the middle of a square, whose coordinates come out.
    """

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.config = config
        widths = movenet.WIDTHS[config.trunk]
        self.trunk = Trunk(widths)
        _, c8, c16, c32 = self.trunk.channels
        self.fpn = Pyramid(self.trunk.channels, config.heatmap_stride)
        cin, side = movenet.PYRAMID[config.heatmap_stride], config.input_size
        self.joints = (FullyConnected(cin, skeleton.J, side // config.heatmap_stride)
                       if config.output == "fc" else Head(skeleton.J, cin))  # fmt: skip
        self.depth = DepthHead(c8, c16, c32, skeleton.J, config.depth_cells, config.lean_depth,
                               looks=config.lift_layers > 0)  # fmt: skip
        self.context = None
        if config.context_layers:
            self.context = Context(c16, c32, skeleton.J, config.context_width,
                                   config.context_layers, DEPTH_FEATURES)  # fmt: skip
        self.lifting = None
        if config.lift_layers:
            self.lifting = Lifting(
                skeleton.J, DEPTH_FEATURES, config.lift_width, config.lift_layers
            )
        # The softmax does not see a constant added to a map: that degree of freedom, trained,
        # is the log-odds that the joint is there.
        self.presence_gain = nn.Parameter(torch.full((skeleton.J,), 1.0))
        self.presence_bias = nn.Parameter(torch.zeros(skeleton.J))
        self.ranges: Ranges = {}  # for int8, where they have been measured

    def forward(self, x: Tensor) -> Output:
        return self.decode(self.logits(x))

    def logits(self, x: Tensor) -> Logits:
        """The convolutions: (B, 3, H, W) -> logits of the three maps, float32.

        Raises:
            ValueError: the sides are no multiples of the network's stride.
        """
        check_size(*x.shape[-2:])
        c4, c8, c16, c32 = self.trunk(x)
        return self.read(c8, c16, c32, self.fpn(c4, c8, c16, c32))

    def read(self, c8: Tensor, c16: Tensor, c32: Tensor, y: Tensor) -> Logits:
        """From features of the trunk and the last ones of the pyramid to `logits`."""
        xy, numbers, context, first = self.joints(y).float(), None, None, None
        if self.config.output == "fc":
            numbers, xy = xy, drawn(xy[..., :2], y.shape[-1])
        if self.context is not None:
            first = xy
            coarse, context = self.context(c16, c32, xy)
            xy = xy + _resized(coarse.float(), xy.shape[-1] / coarse.shape[-1])
        likely = as_logits(xy, self.config.output)
        zy, xz, looks = self.depth(c8, c16, c32, likely, context)
        return Logits(xy, zy, xz, numbers, looks, first)

    def decode(self, logits: Logits) -> Output:
        """DSNT and confidence: needs float32, whatever autocast says.

        In training, x and y are the mean of the whole xy map, as in the paper; in evaluation,
        of the window about its peak (`dsnt.around_peak`): docs/training.md measures the difference.
        """
        kind = self.config.output
        with torch.autocast(logits.xy.device.type, enabled=False):
            raw = logits.xy.float()
            xy = dsnt.flat_softmax(as_logits(raw, kind))
            height = (xy.detach() * raw).sum((-2, -1))
            if logits.numbers is not None:
                at, height = logits.numbers[..., :2], logits.numbers[..., 2]
            elif kind == "heatmap":
                at = dsnt.argmax_decode(raw)
            else:
                radius = 0 if self.training else self.config.peak_radius
                at = dsnt.dsnt(dsnt.around_peak(xy, radius) if radius else xy)
            at = _in_square(at, *xy.shape[-2:])
            odds = self.presence_gain.float() * height + self.presence_bias.float()
            confidence = odds.sigmoid()
            zy, xz = logits.zy.float(), logits.xz.float()
            if self.lifting is not None:
                depth = self.lifting(self._found(at, xy), confidence.detach(), logits.looks)
                likely = self.lifting.odds(depth, self.config.depth_cells)
                zy, xz = zy + likely[..., None, :], xz + likely[..., None]
            zy, xz = dsnt.flat_softmax(zy), dsnt.flat_softmax(xz)
            # Of the marginals: the other means of these maps are not wanted.
            z = (dsnt.dsnt(zy.sum(-2), dims=1) + dsnt.dsnt(xz.sum(-1), dims=1)) / 2
        return Output(torch.cat([at, z], -1), confidence, xy, zy, xz, raw)

    def stages(self, logits: Logits, out: Output) -> tuple[tuple[Tensor | None, ...], ...]:
        """xy, zy and xz of each of `Config.stages`, with shapes and sums as in `Output`.

        logits, out: what `decode` has taken and given.
        """
        stages: list[tuple[Tensor | None, ...]] = []
        if logits.first is not None and not self.config.drawn:
            first = dsnt.flat_softmax(as_logits(logits.first, self.config.output))
            stages.append((first, None, None))
        if self.lifting is not None:
            xy = None if self.config.drawn else out.xy
            stages.append((xy, dsnt.flat_softmax(logits.zy), dsnt.flat_softmax(logits.xz)))
        return tuple(stages)

    def _found(self, at: Tensor, xy: Tensor) -> Tensor:
        """The coordinates that depth is lifted from, as in evaluation; it does not train them."""
        radius = self.config.peak_radius
        if self.training and radius and self.config.output == "dsnt":
            at = dsnt.dsnt(dsnt.around_peak(xy.detach(), radius))
            return _in_square(at, *xy.shape[-2:])
        return at.detach()

    def go_on_from(self, trained: nn.Module) -> None:
        """Takes over a trained network; what it lacks of context, lifting and depth starts afresh.

        Raises:
            ValueError: it is of another kind.
        """
        try:
            missing, extra = self.load_state_dict(trained.state_dict(), strict=False)
        except RuntimeError as error:
            raise ValueError(f"cannot go on from another kind of network: {error}") from error
        new = ("context.", "lifting.", "depth.")
        if extra or any(not name.startswith(new) for name in missing):
            raise ValueError(f"cannot go on from another kind of network: {missing + extra}")

    def start_from(self, teacher: movenet.MoveNet) -> tuple[str, ...]:
        """Takes over MoveNet's trunk, pyramid and keypoint head (its heatmaps for COCO-17).

        Returns:
            What the names of the parameters begin with that were taken over.

        The other joints start from the mean of the rows that they lie between. The softmax over a
        map wants a sharper peak than the sigmoid that MoveNet was trained with: logits are scaled.
        """
        sharpness = 2.0
        self.trunk.start_from(teacher.trunk)
        if self.config.trunk not in movenet.VARIANTS or self.config.heatmap_stride != 4:
            return ("trunk.",)  # another pyramid starts afresh
        self.fpn.load_state_dict(teacher.fpn.state_dict())
        if self.config.output != "dsnt":
            return "trunk.", "fpn."
        assert isinstance(self.joints, Head)
        head = teacher.keypoint_head
        parents = {
            "neck": ("left_shoulder", "right_shoulder"), "pelvis": ("left_hip", "right_hip"),
            "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
            "head": ("left_ear", "right_ear"), "head_top": ("left_eye", "right_eye"),
        }  # fmt: skip
        rows = [skeleton.indices(parents.get(name, (name,))) for name in skeleton.JOINTS]
        with torch.no_grad():
            self.joints.depthwise.load_state_dict(head.depthwise.state_dict())
            self.joints.pointwise.load_state_dict(head.pointwise.state_dict())
            old, new = head.out.state_dict(), self.joints.out.state_dict()
            for key, target in new.items():
                target.copy_(torch.stack([old[key][r].mean(0) for r in rows]) * sharpness)
            self.presence_gain.fill_(1 / sharpness)
        return "trunk.", "fpn.", "joints."
