"""The training loss of the pose network, by its parts."""

from __future__ import annotations

import torch
from torch import Tensor

from livepose import dsnt
from livepose.models.margipose import Output


def loss_parts(
    out: Output, target: dict[str, Tensor], sigma: float = 1.0, presence_weight: float = 0.1
) -> dict[str, Tensor]:
    """Scalar losses; their sum is trained.

    xy, xy_js: DSNT's Euclidean loss and JS regulariser on all joints that are known (MargiPose's
    loss for 2D samples). z, zy_js, xz_js: the same for depth, where it is known. presence: cross
    entropy of the confidence, where it is known.

    Args:
        target: ``xyz`` (B, J, 3), ``known`` and ``depth_known`` (B, J) bool, ``present`` (B, J)
            with NaN where not known.
        sigma: of the target Gaussians, in cells.
    """
    xyz, known, deep = target["xyz"], target["known"], target["depth_known"]
    present = target["present"]
    judged = ~present.isnan()
    likely = out.confidence.clamp(1e-6, 1 - 1e-6)
    seen = present.nan_to_num()
    presence = -(seen * likely.log() + (1 - seen) * (1 - likely).log())
    return {
        "xy": dsnt.average(dsnt.euclidean_losses(out.xyz[..., :2], xyz[..., :2]), known),
        "xy_js": dsnt.average(dsnt.js_reg_losses(out.xy, xyz[..., :2], sigma), known),
        "z": dsnt.average(dsnt.l1_losses(out.xyz[..., 2:], xyz[..., 2:]), deep),
        # Maps are (rows, columns): zy has y as rows and z as columns, xz has z as rows.
        "zy_js": 0.5 * dsnt.average(dsnt.js_reg_losses(out.zy, xyz[..., [2, 1]], sigma), deep),
        "xz_js": 0.5 * dsnt.average(dsnt.js_reg_losses(out.xz, xyz[..., [0, 2]], sigma), deep),
        "presence": presence_weight * dsnt.average(presence, judged),
    }


def total(parts: dict[str, Tensor]) -> Tensor:
    """Sum of the parts."""
    return torch.stack(list(parts.values())).sum()
