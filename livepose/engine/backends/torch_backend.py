"""PyTorch, on the CPU and on CUDA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from livepose.crop import Square, to_input
from livepose.engine.backends.base import Clock, Raw, cut_all
from livepose.engine.device import Placement
from livepose.frames import Stage
from livepose.models.margipose import Logits, Output
from livepose.models.networks import PoseNetwork
from livepose.timing.timeline import Timeline


class TorchBackend:
    name = "torch"

    def __init__(self, net: PoseNetwork, placement: Placement) -> None:
        self.net = placement.place(net)
        self.placement, self.config = placement, net.config
        self.size, self.precision = net.config.input_size, placement.precision_name

    @torch.inference_mode()
    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        if self.placement.threads not in (0, torch.get_num_threads()):
            torch.set_num_threads(self.placement.threads)
        crops = cut_all(image, squares, self.size, timeline)
        device, dtype = self.placement.device, self.placement.dtype
        clock = Clock(timeline, device)
        x = to_input(torch.from_numpy(crops).to(device), dtype)
        clock.lap("upload")
        logits = self.net.logits(x)
        clock.lap("forward")
        out: Output = self.net.decode(logits)
        clock.lap("decode")
        # One download, which waits for the device.
        flat = torch.cat([out.xyz, out.confidence[..., None]], -1).cpu().numpy()
        maps = tuple(m.cpu().numpy() for m in (out.xy, out.zy, out.xz)) if want_maps else ()
        stages = self._stages(logits, out) if want_maps else ()
        clock.done()
        return Raw(flat[..., :3], np.ascontiguousarray(flat[..., 3]), maps, stages)

    def _stages(self, logits: Logits, out: Output) -> tuple[Stage, ...]:
        given = zip(self.config.stages, self.net.stages(logits, out), strict=True)
        return tuple(
            Stage(stage.name, *(None if m is None else m.cpu().numpy() for m in maps),
                  presence=stage.presence)
            for stage, maps in given
        )  # fmt: skip
