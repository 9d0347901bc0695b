"""Finds people in whole pictures, now and then: `livepose.models.detector` at work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from livepose.crop import to_input
from livepose.cv import cv2
from livepose.engine.device import Placement
from livepose.engine.region import MARGIN
from livepose.frames import Region
from livepose.models.detector import LONG_SIDE, PersonNet, decode
from livepose.models.movenet import STRIDE

THRESHOLD = 0.3


class PersonDetector:
    """Where people may be, the surest first; the pose network has the last word."""

    def __init__(self, net: PersonNet, placement: Placement) -> None:
        self.placement = placement
        self.net = placement.place(net)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> list[Region]:
        """Squares about the people in a BGR picture."""
        small, scale = fitted(image)
        x = to_input(torch.from_numpy(small)[None].to(self.placement.device), self.placement.dtype)
        odds, sides = self.net(x)
        boxes, scores = decode(odds[0].cpu(), sides[0].cpu())
        sure = boxes[scores >= THRESHOLD].numpy() / scale
        middles, sides_ = (sure[:, :2] + sure[:, 2:]) / 2, (sure[:, 2:] - sure[:, :2]).max(1)
        return [Region(float(x), float(y), float(side) * MARGIN)
                for (x, y), side in zip(middles, sides_, strict=True)]  # fmt: skip


def load(make: Callable[[], PersonNet], placement: Placement) -> PersonDetector:
    """A detector that is warm. Raises `WeightsError` where there is none."""
    detector = PersonDetector(make(), placement)
    detector(np.zeros((720, 1280, 3), np.uint8))
    return detector


def fitted(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture with its longer side at `LONG_SIDE`, padded below and right to what the network
    takes, and its scale."""
    h, w = image.shape[:2]
    scale = LONG_SIDE / max(h, w)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=how)
    pad = [-size[1] % STRIDE, -size[0] % STRIDE]
    least = [max(0, 2 * STRIDE - size[1] - pad[0]), max(0, 2 * STRIDE - size[0] - pad[1])]
    below, right = (p + more for p, more in zip(pad, least, strict=True))
    return cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT), scale
