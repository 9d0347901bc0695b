"""The whole-picture protocol: each picture square-padded, no ground-truth box, one forward pass."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from livepose.crop import cut, to_input, whole
from livepose.cv import cv2
from livepose.data.samples import DataError, Samples
from livepose.evaluate.metrics import Score, pck
from livepose.models.margipose import MargiPose


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
