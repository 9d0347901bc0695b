"""The training loss of the pose network, by its parts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livepose import dsnt, skeleton
from livepose.data.skeletons import Lifted
from livepose.models.margipose import Output
from livepose.models.multitask import PARTS, joint_windows, part_windows
from livepose.models.outputs import matching_losses
from livepose.train.processes import average

COORDINATE_LOSSES = {
    "euclidean": dsnt.euclidean_losses, "l1": dsnt.l1_losses, "mse": dsnt.mse_losses,
}  # fmt: skip
REGULARISERS = {
    "js": dsnt.js_reg_losses, "kl": dsnt.kl_reg_losses, "mse": dsnt.mse_reg_losses,
    "variance": lambda maps, target, sigma: dsnt.variance_reg_losses(maps, sigma),
    "none": lambda maps, target, sigma: maps.new_zeros(maps.shape[:-2]),
}  # fmt: skip

# Squared errors of normalised coordinates are small beside cross entropies.
_SQUARED = 10.0
# Skeletons without pictures must be heard beside the regularisers of the maps, whose gradients are
# steep. A skeleton of labels implies depth with so many joints, and with this weight.
_LIFT, _ENOUGH, _IMPLIED = 10.0, 8, 0.5
# A joint is right within so much of the torso, as PCK counts. That is from the left shoulder to the
# right hip, or about so many times the next length of these that a picture shows.
_RIGHT = 0.2
_TORSO = (("left_shoulder", "right_hip", 1.0), ("right_shoulder", "left_hip", 1.0),
          ("head_top", "neck", 1.6), ("left_shoulder", "right_shoulder", 1.6))  # fmt: skip


def loss_parts(
    out: Output, target: dict[str, Tensor], sigma: float = 1.0, confidence_weight: float = 0.1,
    coordinates: str = "euclidean", regulariser: str = "js", output: str = "dsnt",
    peak_radius: int = 0,
) -> dict[str, Tensor]:  # fmt: skip
    """Scalar losses; their sum is trained.

    xy, xy_reg: DSNT's coordinate loss and regulariser on all joints that are known (MargiPose's
    loss for 2D samples). z, zy_reg, xz_reg: the same for depth, where it is known. confidence: see
    `confidence_loss`.

    Args:
        target: ``xyz`` (B, J, 3), ``known`` and ``depth_known`` (B, J) bool, ``present`` (B, J)
            with NaN where not known.
        sigma: of the target Gaussians, in cells.
        coordinates, regulariser: keys of `COORDINATE_LOSSES` and `REGULARISERS`.
        output: the network's, see `livepose.models.outputs`. Heatmap matching has its own loss of
            the xy maps; a fully connected output has none to regularise.
        peak_radius: the network's, with which x and y are found once it is trained.
    """
    distance, regularise = COORDINATE_LOSSES[coordinates], REGULARISERS[regulariser]
    xyz, known, deep = target["xyz"], target["known"], target["depth_known"]
    if output == "heatmap":
        flat = {"xy_match": average(matching_losses(out.raw, xyz[..., :2], sigma), known)}
    else:
        flat = {"xy": average(distance(out.xyz[..., :2], xyz[..., :2]), known)}
    if output == "dsnt":
        flat["xy_reg"] = average(regularise(out.xy, xyz[..., :2], sigma), known)
    return flat | {
        "z": average(dsnt.l1_losses(out.xyz[..., 2:], xyz[..., 2:]), deep),
        # Maps are (rows, columns): zy has y as rows and z as columns, xz has z as rows.
        "zy_reg": 0.5 * average(regularise(out.zy, xyz[..., [2, 1]], sigma), deep),
        "xz_reg": 0.5 * average(regularise(out.xz, xyz[..., [0, 2]], sigma), deep),
        "confidence": confidence_weight
        * confidence_loss(out, target, peak_radius if output == "dsnt" else 0),
    }


def lift_parts(
    lifting: nn.Module, skeletons: Lifted, out: Output, target: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Scalar losses of depth from skeletons alone (`livepose.models.lifting`).

    lift: distance of the depth of `skeletons`, which is true. implied: pictures without depth
    shall have the depth that their labelled skeleton implies.
    """
    flat = target["known"] & ~target["depth_known"]
    flat = flat & (flat.sum(-1, keepdim=True) >= _ENOUGH)
    with torch.no_grad():
        implied = lifting(target["xyz"][..., :2], target["known"].float())
    return {
        "lift": _LIFT * lift_loss(lifting, skeletons, out.xyz.device),
        "implied": _IMPLIED * average((out.xyz[..., 2] - implied).abs(), flat),
    }


def lift_loss(lifting: nn.Module, skeletons: Lifted, device: torch.device) -> Tensor:
    """Mean distance of the depth of joints from the true one, where it is known."""
    xyz, sure, known = (torch.from_numpy(x).to(device)
                        for x in (skeletons.xyz, skeletons.sure, skeletons.known))  # fmt: skip
    return average((lifting(xyz[..., :2], sure) - xyz[..., 2]).abs(), known)


def confidence_loss(out: Output, target: dict[str, Tensor], peak_radius: int = 0) -> Tensor:
    """Cross entropy of the confidence with whether the joint is where the network says.

    Joints outside the square, covered by something, or of nobody, are wrong wherever they are said
    to be. Those that nobody has labelled are not judged.
    """
    with torch.no_grad():
        at = dsnt.dsnt(dsnt.around_peak(out.xy, peak_radius)) if peak_radius else out.xyz[..., :2]
        torso = torsos(target["xyz"], target["known"])[:, None]
        labelled = target["known"] & (torso > 0)
        off = (at - target["xyz"][..., :2]).norm(dim=-1)
        right = (labelled & (off <= _RIGHT * torso)).to(out.confidence.dtype)
        judged = labelled | (~target["known"] & (target["present"] == 0))
    likely = out.confidence.clamp(1e-6, 1 - 1e-6)
    each = -(right * likely.log() + (1 - right) * (1 - likely).log())
    return average(each, judged)


def torsos(xyz: Tensor, known: Tensor) -> Tensor:
    """(B, J, 3), (B, J) -> (B,): the length of the torso in x and y, 0 where nothing tells it."""
    torso = xyz.new_zeros(len(xyz))
    for one, other, times in _TORSO:
        a, b = skeleton.INDEX[one], skeleton.INDEX[other]
        length = times * (xyz[:, a, :2] - xyz[:, b, :2]).norm(dim=-1)
        torso = torch.where(torso > 0, torso, length * (known[:, a] & known[:, b]))
    return torso


def total(parts: dict[str, Tensor]) -> Tensor:
    """Sum of the parts."""
    return torch.stack(list(parts.values())).sum()


def multitask_parts(
    out: Output, target: dict[str, Tensor], window: int, detect: float, regress: float,
    confidence_weight: float = 0.1,
) -> dict[str, Tensor]:  # fmt: skip
    """Losses of Li & Chan's network; detect and regress are the weights of its two tasks.

    xy, z: squared error of the coordinates of joints that are known (Li & Chan 2014, their loss of
    the regression). joints, parts: cross entropy of the presence of each joint and body part in
    windows (their loss of the detection), for joints and parts that are known. A task with weight 0
    has no loss at all, so that an optimiser leaves its layers alone.
    """
    xyz, known, deep = target["xyz"], target["known"], target["depth_known"]
    cells = out.raw.shape[-1]
    wanted = joint_windows(xyz[..., :2], cells, window)
    ends = [skeleton.indices([bone[i] for bone in PARTS]) for i in (0, 1)]
    a, b = (xyz[:, end, :2] for end in ends)
    runs = part_windows(a, b, cells, window)
    both = known[:, ends[0]] & known[:, ends[1]]
    joints, parts = out.raw.split([xyz.shape[1], len(PARTS)], 1)

    def windows(odds: Tensor, there: Tensor, counts: Tensor) -> Tensor:
        each = F.binary_cross_entropy_with_logits(odds, there.to(odds.dtype), reduction="none")
        # Few windows have a joint: both answers weigh the same in all.
        share = there.float().mean((-1, -2), keepdim=True).clamp(0.01, 0.99)
        weight = torch.where(there, 0.5 / share, 0.5 / (1 - share))
        return average((weight * each).mean((-1, -2)), counts)

    losses: dict[str, Tensor] = {}
    if regress:
        flat = dsnt.mse_losses(out.xyz[..., :2], xyz[..., :2])
        depth = dsnt.mse_losses(out.xyz[..., 2:], xyz[..., 2:])
        losses |= {
            "xy": regress * _SQUARED * average(flat, known),
            "z": regress * _SQUARED * average(depth, deep),
            "confidence": regress * confidence_weight * confidence_loss(out, target),
        }
    if detect:
        losses |= {
            "joints": detect * windows(joints, wanted, known),
            "parts": detect * windows(parts, runs, both),
        }
    return losses
