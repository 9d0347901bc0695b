"""CUDA: the picture goes up once as bytes, joints come down once, the rest is one graph.

Cutting, scaling, normalising, the network and its decoding are captured as a CUDA graph for each
number of squares, and replayed: a frame costs one copy up, one launch, one copy down. Capturing,
warming up and replaying happen on the thread that calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from livepose.crop import Square
from livepose.engine.backends.base import Clock, Raw
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork
from livepose.timing.timeline import Timeline

# A graph stays for each of so many pairs of (squares, picture size).
_GRAPHS = 24
_WARM_UP = 3
# Samples along the side of a pixel of the square, where it covers more than one of the picture.
_FINEST = 4


def sample(image: Tensor, places: Tensor, size: int, fine: int) -> Tensor:
    """Squares of a picture, as `livepose.crop.cut` makes them, on any device.

    Args:
        image: (H, W, 3) BGR bytes. places: (B, 3) float32 cx, cy and side in pixels.
        size: pixels along the side of the result. fine: samples along the side of each.

    Returns:
        (B, 3, size, size) RGB in -1..1, float32, black outside the picture.
    """
    h, w = image.shape[:2]
    n = size * fine
    steps = (torch.arange(n, device=image.device, dtype=torch.float32) + 0.5) / n - 0.5
    at = places[:, :2, None] + places[:, 2, None, None] * steps  # (B, 2, n) pixels
    x = ((2 * at[:, 0] + 1) / w - 1)[:, None, :].expand(-1, n, n)
    y = ((2 * at[:, 1] + 1) / h - 1)[:, :, None].expand(-1, n, n)
    picture = (image.flip(-1).permute(2, 0, 1)[None].float()).expand(len(places), -1, -1, -1)
    grid = torch.stack([x, y], -1)
    out = F.grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    out = F.avg_pool2d(out, fine) if fine > 1 else out
    return out / 127.5 - 1


def fineness(squares: Sequence[Square], size: int) -> int:
    """So many samples along the side of a pixel that none of the picture's is left out: 1, 2, 4."""
    shrink = max(square.side for square in squares) / size
    return 1 if shrink < 2 else 2 if shrink < 4 else _FINEST


class _Graph:
    """The whole way from the picture on the device to joints there, for B squares."""

    def __init__(self, backend: CudaBackend, shape: tuple[int, ...], number: int, fine: int):
        device = backend.placement.device
        self.image = torch.zeros(shape, dtype=torch.uint8, device=device)
        self.places = torch.ones(number, 3, device=device)
        self._run = lambda: backend.run(self.image, self.places, fine)
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._run()
        torch.cuda.current_stream(device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.out = self._run()

    def __call__(self) -> tuple[Tensor, ...]:
        self._graph.replay()
        return self.out


class CudaBackend:
    name = "cuda-graph"

    def __init__(self, net: PoseNetwork, placement: Placement, graphs: bool = True) -> None:
        self.net = placement.place(net)
        self.placement, self._use_graphs = placement, graphs
        self.config = net.config
        self.size, self.precision = net.config.input_size, placement.precision_name
        self._graphs: dict[tuple[object, ...], _Graph] = {}
        self._ring: list[Tensor] = []
        self._turn = 0

    def run(self, image: Tensor, places: Tensor, fine: int) -> tuple[Tensor, ...]:
        """(H, W, 3) bytes and (B, 3) squares on the device -> (B, J, 4) and the maps."""
        x = sample(image, places, self.size, fine).to(self.placement.dtype)
        out = self.net(x.contiguous(memory_format=torch.channels_last))
        flat = torch.cat([out.xyz, out.confidence[..., None]], -1)
        return flat, out.xy, out.zy, out.xz

    @torch.inference_mode()
    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        device = self.placement.device
        fine = fineness(squares, self.size)
        places = torch.tensor([[s.cx, s.cy, s.side] for s in squares])
        pinned = self._pinned(image)
        if timeline is not None:
            timeline.mark("preprocess")
        clock = Clock(timeline, device)
        if self._use_graphs:
            graph = self._graph(image.shape, len(squares), fine)
            graph.image.copy_(pinned, non_blocking=True)
            graph.places.copy_(places, non_blocking=True)
            clock.lap("upload")
            flat, *maps = graph()
        else:
            there = pinned.to(device, non_blocking=True), places.to(device)
            clock.lap("upload")
            flat, *maps = self.run(*there, fine)
        clock.lap("forward")
        raw = flat.cpu().numpy()  # waits for the device
        out = tuple(m.cpu().numpy() for m in maps) if want_maps else ()
        clock.done()
        return Raw(raw[..., :3], np.ascontiguousarray(raw[..., 3]), out)

    def _pinned(self, image: np.ndarray) -> Tensor:
        """The picture in page-locked memory that the device reads from by itself."""
        if not self._ring or self._ring[0].shape != image.shape:
            lock = self.placement.device.type == "cuda"
            self._ring = [torch.empty(image.shape, dtype=torch.uint8, pin_memory=lock)
                          for _ in range(3)]  # fmt: skip
        self._turn = (self._turn + 1) % len(self._ring)
        pinned = self._ring[self._turn]
        pinned.numpy()[...] = image
        return pinned

    def _graph(self, shape: tuple[int, ...], number: int, fine: int) -> _Graph:
        key = (shape, number, fine)
        if key not in self._graphs:
            if len(self._graphs) >= _GRAPHS:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[key] = _Graph(self, shape, number, fine)
        return self._graphs[key]
