"""Li & Chan's heterogeneous multi-task network: a regressor that grows up with detectors.

After Li, Liu, Chan: *Heterogeneous Multi-task Learning for Human Pose Estimation with Deep
Convolutional Neural Network*, IJCV 2015, and for depth Li, Chan: *3D Human Pose Estimation from
Monocular Images with Deep Convolutional Neural Network*, ACCV 2014. Convolutional features are
shared by

- the regression of all joints by fully connected layers, and
- detectors that slide a window over the features and say for each joint whether it is in the
  window, and for each body part (a bone) whether it runs through it.

The papers ask whether the second task helps the first, learned together with it or before it. What
differs from them: the features are those of MobileNetV2, presence is one 1x1 convolution over the
windows instead of fully connected layers for each, and depth is relative to the pelvis, in the
units of `livepose.models.margipose`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose import dsnt, skeleton
from livepose.frames import Stage
from livepose.models import movenet
from livepose.models.margipose import Logits, Output, check_size
from livepose.models.movenet import Conv, Trunk
from livepose.models.quantised import Ranges
from livepose.skeleton import BONES

PARTS = BONES
_FEW = 4  # so many times fewer channels go into the regressor


@dataclass(frozen=True, slots=True)
class MultiTaskConfig:
    """trunk: a key of `movenet.WIDTHS`. input_size: pixels. channels: shared by the tasks.

    hidden: width of the regressor's fully connected layers. window: cells of stride 16 along the
    side of a detector's window, odd.
    """

    trunk: str = "small"
    input_size: int = 192
    channels: int = 32
    hidden: int = 96
    window: int = 3
    depth_cells: int = 24

    def __post_init__(self) -> None:
        if self.trunk not in movenet.WIDTHS:
            raise ValueError(f"unknown trunk {self.trunk!r}; known: {', '.join(movenet.WIDTHS)}")
        check_size(self.input_size, self.input_size)
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"window must be odd and positive, got {self.window}")
        if self.channels < _FEW or self.hidden < 1 or self.depth_cells < 2:
            raise ValueError(
                f"channels must be at least {_FEW}, hidden positive, depth_cells at least 2"
            )

    @property
    def drawn(self) -> tuple[str, ...]:
        """Maps that are drawn about numbers, see `livepose.frames.Heatmaps`."""
        return ("xy", "zy", "xz")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """That `MultiTask.stages` gives the maps of."""
        return (Stage("detectors", presence=True),)


class MultiTask(nn.Module):
    """(B, 3, S, S) RGB in -1..1, S the input size -> `Output`.

    Its maps are drawn about the coordinates, but for ``raw``: (B, J + P, H, W) log-odds of the
    detectors, joints first, then `PARTS`.
    """

    def __init__(self, config: MultiTaskConfig = MultiTaskConfig()) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(movenet.WIDTHS[config.trunk])
        n = config.channels
        self.shared = Conv(self.trunk.channels_16, n, 3)
        # Where a joint is, a full connection reads from the cells: few features, but of all cells.
        self.few = Conv(n, n // _FEW, 1)
        cells = config.input_size // 16
        self.hidden_1 = nn.Linear(n // _FEW * cells * cells, config.hidden)
        self.hidden_2 = nn.Linear(config.hidden, config.hidden)
        # x, y, z and the log-odds of presence of each joint.
        self.last = nn.Linear(config.hidden, 4 * skeleton.J)
        self.windows = Conv(n, n, config.window)
        self.detect = Conv(n, skeleton.J + len(PARTS), 1)
        self.presence_gain = nn.Parameter(torch.ones(skeleton.J))
        self.presence_bias = nn.Parameter(torch.zeros(skeleton.J))
        self.ranges: Ranges = {}  # as of `livepose.models.margipose.MargiPose`

    def forward(self, x: Tensor) -> Output:
        return self.decode(self.logits(x))

    def logits(self, x: Tensor) -> Logits:
        """The network: maps of the detectors as ``xy``, the regressor's numbers (B, J, 4)."""
        if x.shape[-2:] != (self.config.input_size, self.config.input_size):
            raise ValueError(f"this network takes {self.config.input_size} pixels only")
        shared = F.relu(self.shared(self.trunk.at_16(x)))
        y = F.relu(self.few(shared)).flatten(1)
        y = F.relu(self.hidden_2(F.relu(self.hidden_1(y))))
        numbers = self.last(y).float().unflatten(1, (skeleton.J, 4))
        detected = self.detect(F.relu(self.windows(shared))).float()
        none = numbers.new_zeros(len(numbers), 0)
        return Logits(detected, none, none, numbers)

    def decode(self, logits: Logits) -> Output:
        """The numbers as joints, with maps drawn about them."""
        assert logits.numbers is not None
        numbers = logits.numbers.float()
        xyz, cells = numbers[..., :3], self.config.input_size // 16
        depth = self.config.depth_cells
        at = xyz.detach().clamp(-1, 1)
        xy = dsnt.gaussian(at[..., :2], (cells, cells))
        zy = dsnt.gaussian(at[..., 1:].flip(-1), (cells, depth))
        xz = dsnt.gaussian(at[..., ::2], (depth, cells))
        odds = self.presence_gain.float() * numbers[..., 3] + self.presence_bias.float()
        return Output(xyz, odds.sigmoid(), xy, zy, xz, logits.xy.float())

    def stages(self, logits: Logits, out: Output) -> tuple[tuple[Tensor | None, ...], ...]:
        """What its detectors say of joints, (B, J, H, W) in 0..1, as the xy of its only stage."""
        return ((out.raw[:, : skeleton.J].sigmoid(), None, None),)

    def start_from(self, teacher: movenet.MoveNet) -> tuple[str, ...]:
        """Takes over MoveNet's trunk.

        Returns:
            What the names of the parameters begin with that were taken over.

        Raises:
            ValueError: it has another one.
        """
        self.trunk.start_from(teacher.trunk)
        return ("trunk.",)

    def go_on_from(self, trained: nn.Module) -> None:
        """Takes over a trained network.

        Raises:
            ValueError: it is of another kind.
        """
        try:
            self.load_state_dict(trained.state_dict())
        except RuntimeError as error:
            raise ValueError(f"cannot go on from another kind of network: {error}") from error


def joint_windows(xy: Tensor, cells: int, window: int) -> Tensor:
    """(..., 2) normalised joints -> (..., cells, cells) bool: in the window about the cell?"""
    centre, half = _grid(cells, window, xy)
    near = (xy[..., None, :] - centre).abs() <= half  # (..., cells, 2)
    return near[..., :, None, 1] & near[..., None, :, 0]


def part_windows(a: Tensor, b: Tensor, cells: int, window: int) -> Tensor:
    """(..., 2) ends of body parts -> (..., cells, cells) bool: does the part run through it?

    It does where half of the part, or of the window's side if that is shorter, lies inside.
    """
    centre, half = _grid(cells, window, a)
    along = b - a
    step = torch.where(along.abs() < 1e-6, 1e-6, along)[..., None, :]
    # Where the line enters and leaves the window's columns and rows, from 0 at a to 1 at b.
    one, two = ((centre + s * half - a[..., None, :]) / step for s in (-1, 1))
    enter, leave = torch.minimum(one, two), torch.maximum(one, two)  # (..., cells, 2)
    first = torch.maximum(enter[..., :, None, 1], enter[..., None, :, 0]).clamp(0, 1)
    last = torch.minimum(leave[..., :, None, 1], leave[..., None, :, 0]).clamp(0, 1)
    length = along.norm(dim=-1)[..., None, None]
    inside = (last - first).clamp_min(0) * length
    return inside >= 0.5 * torch.minimum(length, torch.full_like(length, 2 * half)).clamp_min(1e-6)


def _grid(cells: int, window: int, like: Tensor) -> tuple[Tensor, float]:
    """Centres of the windows (cells, 1) and half of their side, normalised."""
    return dsnt.cell_centres(cells, device=like.device)[:, None], window / cells
