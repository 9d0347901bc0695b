"""CUDA: the picture goes up once as bytes, joints come down once, the rest is one graph.

Cutting, scaling, normalising, the network and its decoding are captured as CUDA graphs for a few
numbers of squares, and replayed: a frame costs one copy up, one launch, one copy down. All of them
are captured when pictures of another shape come, not when one more person does. Capturing, warming
up and replaying happen on the thread that calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from livepose.crop import Square
from livepose.engine.backends.base import USUAL_SHAPE, Clock, Raw
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork
from livepose.timing.timeline import Timeline

# Squares that a graph takes: fewer ride in the next larger one, more go without a graph.
BATCHES = (1, 2, 3, 5, 10)
# Shapes of pictures whose graphs stay.
_KEPT = 3
_WARM_UP = 3
# Squares are cut from the picture at 1, 1/2, 1/4, ... of its size.
_COARSER = (2, 4, 8, 16)


def sample(image: Tensor, places: Tensor, size: int) -> Tensor:
    """Squares of a picture, as `livepose.crop.cut` makes them, on any device.

    Each is cut from the picture scaled down such that one of its pixels covers less than two: none
    of the picture's is left out, up to squares of 32 times `size`.

    Args:
        image: (H, W, 3) BGR bytes. places: (B, 3) float32 cx, cy and side in pixels.
        size: pixels along the side of the result.

    Returns:
        (B, 3, size, size) RGB in -1..1, float32, black outside the picture.
    """
    # Halved without a rest, the same place has the same normalised coordinates at every scale.
    h, w = (-(-side // _COARSER[-1]) * _COARSER[-1] for side in image.shape[:2])
    if (h, w) != image.shape[:2]:
        image = F.pad(image, (0, 0, 0, w - image.shape[1], 0, h - image.shape[0]))
    picture = image.permute(2, 0, 1)[None].float()
    last = 0.5 - 0.5 / size
    steps = torch.linspace(-last, last, size, device=image.device)
    at = torch.addcmul(places[:, :2, None], places[:, 2, None, None], steps)  # (B, 2, size) pixels
    x, y = (at[:, k] * (2 / side) + (1 / side - 1) for k, side in enumerate((w, h)))
    shape = -1, size, size
    grid = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], -1)
    out = _bilinear(picture, grid)
    for step in _COARSER:
        picture = F.avg_pool2d(picture, 2)
        shrinks = places[:, 2] >= step * size
        out = torch.where(shrinks[:, None, None, None], _bilinear(picture, grid), out)
    return out.flip(1) / 127.5 - 1


def _bilinear(picture: Tensor, grid: Tensor) -> Tensor:
    """(1, 3, H, W) at normalised coordinates (B, n, n, 2) -> (B, 3, n, n), 0 outside."""
    return F.grid_sample(picture.expand(len(grid), -1, -1, -1), grid,
                         mode="bilinear", padding_mode="zeros", align_corners=False)  # fmt: skip


@cache
def _stream(device: int) -> torch.cuda.Stream:
    """One for all captures on a device: libraries keep memory for every stream that they see."""
    return torch.cuda.Stream(device)


class _Graphs:
    """The whole way from the picture on the device to joints there, for pictures of one shape.

    pinned: the picture in page-locked memory, which the device reads from by itself. One is enough:
    every call waits for its joints.
    """

    def __init__(
        self, run: Callable[[Tensor, Tensor], tuple[Tensor, ...]], shape: tuple[int, ...],
        pool: Any,
    ) -> None:  # fmt: skip
        stream = _stream(torch.cuda.current_device())
        self.pinned = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        self._image = torch.zeros(shape, dtype=torch.uint8, device=stream.device)
        self._places = torch.ones(BATCHES[-1], 3, device=stream.device)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]] = {}
        stream.wait_stream(torch.cuda.current_stream())
        # A capture that fails leaves its stream current; here the one before is restored.
        with torch.cuda.stream(stream):
            for number in BATCHES:
                places = self._places[:number]
                for _ in range(_WARM_UP):
                    run(self._image, places)
                graph = torch.cuda.CUDAGraph()
                # What other threads do meanwhile, another network's upload say, is no error.
                with torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
                    out = run(self._image, places)
                self._graphs[number] = graph, out
        torch.cuda.current_stream().wait_stream(stream)

    def upload(self, places: Tensor) -> None:
        """Takes the picture in `pinned` and (B, 3) squares to the device."""
        self._image.copy_(self.pinned, non_blocking=True)
        self._places[: len(places)].copy_(places, non_blocking=True)

    def __call__(self, number: int) -> tuple[Tensor, ...]:
        """What `run` gives for the first squares; holds until the next call."""
        graph, out = self._graphs[next(n for n in BATCHES if n >= number)]
        graph.replay()
        return tuple(t[:number] for t in out)


class CudaBackend:
    """graphs: False runs the same way without graphs, on any device.

    Raises what a capture raises: not every network can be captured.
    """

    name = "cuda-graph"

    def __init__(
        self, net: PoseNetwork, placement: Placement, shape: tuple[int, ...] = USUAL_SHAPE,
        graphs: bool = True,
    ) -> None:  # fmt: skip
        self.net, self.placement = placement.place(net), placement
        self.config = net.config
        self.size, self.precision = net.config.input_size, placement.precision_name
        self._by_shape: OrderedDict[tuple[int, ...], _Graphs] | None = None
        if graphs:
            with self._here():
                self._by_shape = OrderedDict()
                # All share memory: one runs at a time, and nothing is kept that it gave before.
                self._pool = torch.cuda.graph_pool_handle()
                self._captured(shape)

    def _here(self) -> AbstractContextManager[object]:
        """Graphs, streams and page-locked memory belong to the current device."""
        device = self.placement.device
        return torch.cuda.device(device) if device.type == "cuda" else nullcontext()

    def run(self, image: Tensor, places: Tensor) -> tuple[Tensor, ...]:
        """(H, W, 3) bytes and (B, 3) squares on the device -> (B, J, 4) and the maps."""
        x = sample(image, places, self.size).to(self.placement.dtype)
        out = self.net(x.contiguous(memory_format=torch.channels_last))
        flat = torch.cat([out.xyz, out.confidence[..., None]], -1)
        return flat, out.xy, out.zy, out.xz

    @torch.inference_mode()
    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        with self._here():
            places = torch.tensor([[s.cx, s.cy, s.side] for s in squares])
            graphs = self._captured(image.shape) if len(squares) <= BATCHES[-1] else None
            if graphs is not None:
                graphs.pinned.numpy()[...] = image
            if timeline is not None:
                timeline.mark("preprocess")
            clock = Clock(timeline, self.placement.device)
            if graphs is not None:
                graphs.upload(places)
                clock.lap("upload")
                flat, *maps = graphs(len(squares))
            else:
                device = self.placement.device
                there = torch.from_numpy(np.ascontiguousarray(image)).to(device), places.to(device)
                clock.lap("upload")
                flat, *maps = self.run(*there)
            clock.lap("forward")
            raw = flat.cpu().numpy()  # waits for the device
            out = tuple(m.cpu().numpy() for m in maps) if want_maps else ()
            clock.done()
        return Raw(raw[..., :3], np.ascontiguousarray(raw[..., 3]), out)

    @torch.inference_mode()
    def _captured(self, shape: tuple[int, ...]) -> _Graphs | None:
        """Those for pictures of a shape, captured if they are new; the oldest ones go."""
        if self._by_shape is None:
            return None
        if shape not in self._by_shape:
            while len(self._by_shape) >= _KEPT:
                self._by_shape.popitem(last=False)
            self._by_shape[shape] = _Graphs(self.run, shape, self._pool)
        self._by_shape.move_to_end(shape)
        return self._by_shape[shape]
