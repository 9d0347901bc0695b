"""The whole-picture protocol: each picture square-padded, no ground-truth box, one forward pass."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch

from livepose import skeleton
from livepose.crop import cut, to_input, whole
from livepose.cv import cv2
from livepose.data.samples import DataError, Samples
from livepose.models.margipose import MargiPose

LIMBS = (
    "left_ankle", "right_ankle", "left_knee", "right_knee", "left_hip", "right_hip",
    "left_wrist", "right_wrist", "left_elbow", "right_elbow", "left_shoulder", "right_shoulder",
)  # fmt: skip
AUC_THRESHOLDS = tuple(k / 40 for k in range(1, 21))


@dataclass(frozen=True, slots=True)
class Score:
    """pck: over all joints, 0..1. auc: mean of pck over thresholds 0.025, 0.05 ... 0.5 torso, which
    judges small changes with less noise. per_joint: by name. images: how many."""

    pck: float
    auc: float
    per_joint: dict[str, float]
    images: int


def pck(
    predicted: np.ndarray, samples: Samples, joints: tuple[str, ...] = LIMBS, at: float = 0.2
) -> Score:
    """Percentage of correct keypoints: within `at` times the torso of the label.

    The torso is the distance from left shoulder to right hip. A missing prediction (NaN) counts
    as wrong, a joint without label does not count.

    Args:
        predicted: (N, J, 2) pixels of the pictures.
    """
    a, b = skeleton.indices(["left_shoulder", "right_hip"])
    torso = np.linalg.norm(samples.joints[:, a] - samples.joints[:, b], axis=-1)
    usable = samples.known[:, a] & samples.known[:, b]
    i = skeleton.indices(joints)
    error = np.linalg.norm(predicted[:, i] - samples.joints[:, i], axis=-1)
    counts = samples.known[:, i] & usable[:, None]
    with np.errstate(invalid="ignore"):
        error = np.nan_to_num(error / torso[:, None], nan=np.inf)
    right = (error <= at) & counts
    auc = np.mean([((error <= t) & counts).sum() for t in AUC_THRESHOLDS])
    total = counts.sum(0)
    per_joint = {n: float(r / t) if t else float("nan")
                 for n, r, t in zip(joints, right.sum(0), total, strict=True)}  # fmt: skip
    number = max(1, total.sum())
    return Score(float(right.sum() / number), float(auc / number), per_joint, len(samples))


@torch.inference_mode()
def predict(
    net: MargiPose, samples: Samples, size: int | None = None, batch: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, J, 3) in pixels of the pictures and confidences (N, J), float32.

    size: of the network's input in pixels, in place of the one that it was trained for.
    """
    size = size or net.config.input_size
    where = next(net.parameters())
    points, confidences = [], []
    for start in range(0, len(samples), batch):
        squares, inputs = [], []
        for path in samples.images[start : start + batch]:
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise DataError(f"{path} is missing or not a readable picture")
            square = whole(image.shape[1], image.shape[0])
            squares.append(square)
            inputs.append(cut(image, square, size))
        out = net(to_input(inputs).to(where.device, where.dtype))
        xyz = out.xyz.float().cpu().numpy()
        for square, p in zip(squares, xyz, strict=True):
            z = p[:, 2:] * (square.side / 2)
            points.append(np.hstack([square.to_picture(p[:, :2]), z]))
        confidences.append(out.confidence.float().cpu().numpy())
    return np.stack(points).astype("f4"), np.concatenate(confidences)


def evaluate(net: MargiPose, samples: Samples, size: int | None = None) -> Score:
    """PCK@0.2 of a network by the whole-picture protocol."""
    net.eval()
    return pck(predict(net, samples, size)[0][..., :2], samples)


@torch.inference_mode()
def forward_ms(net: MargiPose, size: int, runs: int = 50) -> float:
    """Median time of the forward pass of one picture of `size` pixels, decoding included, in ms."""
    where = next(net.parameters())
    x = torch.zeros(1, 3, size, size, device=where.device, dtype=where.dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(runs + 10):  # the first ones choose kernels and allocate
        begin = time.perf_counter()
        net(x).xyz.cpu()  # waits for the device
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[10:])
