"""The training loss of the pose network, by its parts."""

from __future__ import annotations

import torch
from torch import Tensor

from livepose import dsnt
from livepose.models.margipose import Output
from livepose.models.outputs import matching_losses

COORDINATE_LOSSES = {
    "euclidean": dsnt.euclidean_losses, "l1": dsnt.l1_losses, "mse": dsnt.mse_losses,
}  # fmt: skip
REGULARISERS = {
    "js": dsnt.js_reg_losses, "kl": dsnt.kl_reg_losses, "mse": dsnt.mse_reg_losses,
    "variance": lambda maps, target, sigma: dsnt.variance_reg_losses(maps, sigma),
    "none": lambda maps, target, sigma: maps.new_zeros(maps.shape[:-2]),
}  # fmt: skip


def loss_parts(
    out: Output, target: dict[str, Tensor], sigma: float = 1.0, presence_weight: float = 0.1,
    coordinates: str = "euclidean", regulariser: str = "js", output: str = "dsnt",
) -> dict[str, Tensor]:  # fmt: skip
    """Scalar losses; their sum is trained.

    xy, xy_reg: DSNT's coordinate loss and regulariser on all joints that are known (MargiPose's
    loss for 2D samples). z, zy_reg, xz_reg: the same for depth, where it is known. presence: cross
    entropy of the confidence, where it is known.

    Args:
        target: ``xyz`` (B, J, 3), ``known`` and ``depth_known`` (B, J) bool, ``present`` (B, J)
            with NaN where not known.
        sigma: of the target Gaussians, in cells.
        coordinates, regulariser: keys of `COORDINATE_LOSSES` and `REGULARISERS`.
        output: the network's, see `livepose.models.outputs`. Heatmap matching has its own loss of
            the xy maps; a fully connected output has none to regularise.
    """
    distance, regularise = COORDINATE_LOSSES[coordinates], REGULARISERS[regulariser]
    xyz, known, deep = target["xyz"], target["known"], target["depth_known"]
    present = target["present"]
    judged = ~present.isnan()
    likely = out.confidence.clamp(1e-6, 1 - 1e-6)
    seen = present.nan_to_num()
    presence = -(seen * likely.log() + (1 - seen) * (1 - likely).log())
    if output == "heatmap":
        flat = {"xy_match": dsnt.average(matching_losses(out.raw, xyz[..., :2], sigma), known)}
    else:
        flat = {"xy": dsnt.average(distance(out.xyz[..., :2], xyz[..., :2]), known)}
    if output == "dsnt":
        flat["xy_reg"] = dsnt.average(regularise(out.xy, xyz[..., :2], sigma), known)
    return flat | {
        "z": dsnt.average(dsnt.l1_losses(out.xyz[..., 2:], xyz[..., 2:]), deep),
        # Maps are (rows, columns): zy has y as rows and z as columns, xz has z as rows.
        "zy_reg": 0.5 * dsnt.average(regularise(out.zy, xyz[..., [2, 1]], sigma), deep),
        "xz_reg": 0.5 * dsnt.average(regularise(out.xz, xyz[..., [0, 2]], sigma), deep),
        "presence": presence_weight * dsnt.average(presence, judged),
    }


def total(parts: dict[str, Tensor]) -> Tensor:
    """Sum of the parts."""
    return torch.stack(list(parts.values())).sum()
