"""The whole-picture protocol: each picture square-padded, no ground-truth box, one forward pass."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from livepose.crop import Square, cut, middle, to_input, whole
from livepose.cv import cv2
from livepose.data.samples import DataError, Samples, boxes
from livepose.engine.backends import columns, config_at
from livepose.engine.device import Placement
from livepose.engine.region import enough
from livepose.evaluate.metrics import Score, pck
from livepose.models.networks import PoseNetwork
from livepose.models.quantised import quantised
from livepose.skeleton import FLIP, J

_MARGIN = 1.25  # sides of the squares about labelled people, in sides of their boxes
# Sides of the squares of the multi-crop option, in sides of the whole picture.
_CROPS = (1.0, 1.12, 0.94, 1.25, 0.88)


def placed(net: PoseNetwork, placement: Placement, vnni: bool = True) -> PoseNetwork:
    """The network, ready to be measured; int8 as what it rounds to, in float32.

    vnni: on which processors, see `livepose.models.quantised`.
    """
    if placement.dtype == torch.int8:
        net, placement = quantised(net, net.ranges, vnni), replace(placement, dtype=torch.float32)
    return placement.place(net).eval()


class Predicted(NamedTuple):
    """points: (N, J, 3) float32, pixels of the pictures. confidence: (N, J) float32, 0..1.

    sizes: (N, 2) width and height of the pictures.
    """

    points: np.ndarray
    confidence: np.ndarray
    sizes: np.ndarray


@torch.inference_mode()
def predict(
    net: PoseNetwork, samples: Samples, size: int | None = None, batch: int = 20, *,
    flip: bool = False, crops: int = 1, boxed: bool = False, narrow: bool = False,
) -> Predicted:  # fmt: skip
    """What a network says of the pictures.

    size: of the network's input in pixels, in place of the one that it was trained for.
    Options at test time, means weighted by confidence: flip, also the mirror image; crops (1 to
    5), so many squares of different sizes about the middle of the picture. boxed: squares about the
    labelled people, as networks are measured that need a detector first (and as a network sees
    people who are followed), in place of whole pictures. narrow: of these only the middle, where it
    is enough.
    """
    if not 1 <= crops <= len(_CROPS):
        raise ValueError(f"crops must be 1 to {len(_CROPS)}, got {crops}")
    size = size or net.config.input_size
    around = boxes(samples) if boxed else None
    points, confidences, sizes = [], [], []
    for start in range(0, len(samples), batch):
        images = [picture(path) for path in samples.images[start : start + batch]]
        sizes += [image.shape[1::-1] for image in images]
        total = np.zeros((len(images), J, 3))
        weights = np.zeros((len(images), J, 1))
        for scale in _CROPS[:crops]:
            squares = [whole(image.shape[1], image.shape[0]) for image in images]
            if around is not None:
                corners = around[start : start + batch]
                squares = [_about(*each, narrow) for each in zip(corners, squares, strict=True)]
            squares = [replace(square, side=square.side * scale) for square in squares]
            for mirror in (False, True)[: 1 + flip]:
                views = [replace(square, flip=mirror) for square in squares]
                xyz, confidence = _forward(net, images, views, size)
                order = list(FLIP) if mirror else slice(None)
                xyz, confidence = xyz[:, order], confidence[:, order]
                weight = confidence[..., None] + 1e-3
                total, weights = total + weight * xyz, weights + weight
        points.append(total / weights)
        confidences.append(weights[..., 0] / (crops * (1 + flip)) - 1e-3)
    return Predicted(np.concatenate(points).astype("f4"), np.concatenate(confidences).astype("f4"),
                     np.array(sizes))  # fmt: skip


def _about(box: np.ndarray, picture: Square, narrow: bool) -> Square:
    """The square about the part of a box that is in the picture, with a margin."""
    edge = np.array([picture.cx, picture.cy]) * 2
    low, high = np.clip(box[:2], 0, edge), np.clip(box[:2] + box[2:], 0, edge)
    side = _MARGIN * float((high - low).max())
    if side <= 0:
        return picture
    centre, takes = (low + high) / 2, float(high[0] - low[0]) / side
    width = enough(takes) if narrow else 1.0
    return Square(float(centre[0]), float(centre[1]), side, width=width)


def picture_sizes(samples: Samples) -> np.ndarray:
    """(N, 2) width and height of the pictures, all of which are read for it (see `Predicted`)."""
    return np.array([picture(path).shape[1::-1] for path in samples.images])


def picture(path: Path) -> np.ndarray:
    """(H, W, 3) BGR bytes; raises `DataError` where there is no readable picture."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} is missing or not a readable picture")
    return image


def _forward(
    net: PoseNetwork, images: list[np.ndarray], squares: list[Square], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (B, J, 3) in pixels of the pictures, confidences (B, J)."""
    where = next(net.parameters())
    inputs = [cut(image, square, size) for image, square in zip(images, squares, strict=True)]
    pixels = columns(config_at(net.config, size))
    wide = np.array([pixels.get(square.width, size) for square in squares])
    xyz, confidence = np.zeros((len(squares), J, 3)), np.zeros((len(squares), J))
    for n in set(wide.tolist()):
        rows = np.flatnonzero(wide == n)
        middles = to_input([middle(inputs[row], n) for row in rows])
        out = net(middles.to(where.device, where.dtype))
        xyz[rows] = out.xyz.float().cpu().numpy()
        confidence[rows] = out.confidence.float().cpu().numpy()
    flat = [square.to_picture(p[:, :2]) for square, p in zip(squares, xyz, strict=True)]
    deep = [p[:, 2:] * square.side / 2 for square, p in zip(squares, xyz, strict=True)]
    return np.concatenate([flat, deep], -1), confidence


def evaluate(net: PoseNetwork, samples: Samples, size: int | None = None) -> Score:
    """PCK@0.2 of a network by the whole-picture protocol."""
    net.eval()
    return pck(predict(net, samples, size).points[..., :2], samples)


@torch.inference_mode()
def forward_ms(net: PoseNetwork, size: int, runs: int = 50) -> float:
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
