"""TensorBoard log of a run, where TensorBoard is installed (extra ``train``)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livepose.crop import to_input
from livepose.drawing import draw_skeleton, sheet
from livepose.models.networks import PoseNetwork

_SHOWN = 16  # squares of a batch


class Board:
    """Writes numbers and example pictures; without a folder or TensorBoard it does nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                print("no curves for TensorBoard: pip install 'livepose[train]'", file=sys.stderr)
                return
            self._writer = SummaryWriter(str(folder))

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """One point of each curve."""
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def pictures(self, step: int, net: PoseNetwork, batch: dict[str, Tensor]) -> None:
        """Training squares with their labels above the same with what `net` says."""
        if not self._writer:
            return
        images = batch["image"][:_SHOWN]
        where = next(net.parameters())
        with torch.inference_mode():
            out = net(to_input(images).to(where.device))
        size = images.shape[1]
        rows = []
        for xyz, sure in ((batch["xyz"], batch["known"]), (out.xyz.cpu(), out.confidence.cpu())):
            tiles = images.numpy().copy()
            for tile, p, c in zip(tiles, xyz.numpy(), sure.float().numpy(), strict=False):
                draw_skeleton(tile, ((p[:, :2] + 1) * size - 1) / 2, c)
            rows.append(sheet(list(tiles), 8))
        picture = np.ascontiguousarray(np.vstack(rows)[..., ::-1])
        self._writer.add_image("squares: labels, then prediction", picture, step,
                               dataformats="HWC")  # fmt: skip

    def close(self) -> None:
        if self._writer:
            self._writer.close()
