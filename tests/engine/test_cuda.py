"""The way of a GPU: cutting out on the device, graphs, half precision, memory."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from livepose.crop import Square, cut, to_input
from livepose.cv import cv2
from livepose.engine import backends
from livepose.engine.backends import TorchBackend
from livepose.engine.backends.cuda_backend import CudaBackend, sample
from livepose.engine.device import Placement
from livepose.timing.timeline import Timeline, now_ns
from tests.engine.fakes import CPU, tiny
from tests.engine.test_backends import CONFIGS, IMAGE, SQUARES, net


@pytest.mark.parametrize("shape", [(640, 384), (637, 379)])
@pytest.mark.parametrize("side", [40, 64, 90, 200, 300])
def test_squares_cut_on_the_device_are_those_of_the_cpu(side: int, shape: tuple[int, int]) -> None:
    smooth = cv2.GaussianBlur(cv2.resize(IMAGE, shape), (0, 0), 3)
    # The last two lie half outside.
    squares = [Square(300.3, 180.7, side), Square(20, 10, side), Square(630, 375, side)]
    wanted = to_input([cut(smooth, square, 64) for square in squares])
    places = torch.tensor([[s.cx, s.cy, s.side] for s in squares])
    got = sample(torch.from_numpy(smooth), places, 64)
    assert got.shape == wanted.shape
    assert (got - wanted).abs().mean() < 0.01
    assert got[1].min() == got[2].min() == -1


@pytest.mark.parametrize("shrink", [2, 5, 8, 20])
def test_no_pixel_is_left_out_however_large_the_square(shrink: int) -> None:
    side = 64 * shrink
    lines = np.zeros((side, side, 3), np.uint8)
    lines[:, :: 2 * shrink] = 255  # one in so many, which samples could all miss or all hit
    small = Square((side - 1) / 2, (side - 1) / 2, 64)
    squares = [Square((side - 1) / 2, (side - 1) / 2, side), small]
    places = torch.tensor([[s.cx, s.cy, s.side] for s in squares])
    got = sample(torch.from_numpy(lines), places, 64)
    assert float(got[0].mean()) == pytest.approx(lines.mean() / 127.5 - 1, abs=0.02)
    # Somebody near does not blur somebody far away.
    wanted = to_input([cut(lines, small, 64)])[0]
    torch.testing.assert_close(got[1], wanted, atol=0.02, rtol=0)


def test_the_way_of_cuda_gives_the_same_poses_without_a_graph_on_the_cpu() -> None:
    got, wanted = (
        b(IMAGE, SQUARES, want_maps=True)
        for b in (CudaBackend(net("context"), CPU, graphs=False), TorchBackend(net("context"), CPU))
    )
    np.testing.assert_allclose(got.xyz, wanted.xyz, atol=0.02)
    assert [m.shape for m in got.maps] == [m.shape for m in wanted.maps]


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@needs_cuda
@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_graph_and_eager_give_the_same_poses(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    exact = Placement(torch.device("cuda"), torch.float32)
    graph, eager, on_cpu = (CudaBackend(net(kind), place, IMAGE.shape, graphs) for place, graphs in
                            ((exact, True), (exact, False), (CPU, False)))  # fmt: skip
    many = [Square(40 + 10 * k, 60, 60 + 5 * k) for k in range(12)]
    for number in (1, 3, 4, 10, 2, 12, 1):  # as they come and go, 12 without a graph
        a, b, c = (x(IMAGE, many[:number], want_maps=True) for x in (graph, eager, on_cpu))
        assert a.xyz.shape == (number, *c.xyz.shape[1:])
        for other in (b, c):
            np.testing.assert_allclose(a.xyz, other.xyz, atol=2e-3, rtol=1e-3)
            np.testing.assert_allclose(a.confidence, other.confidence, atol=1e-3)
        for x, y in zip(a.maps, b.maps, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-3)


@needs_cuda
@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_half_precision_on_the_gpu_is_near(kind: str) -> None:
    half = Placement(torch.device("cuda"), torch.float16)
    graph, eager = (CudaBackend(net(kind), half, IMAGE.shape, g) for g in (True, False))
    exact = CudaBackend(net(kind), CPU, graphs=False)
    a, b, c = (x(IMAGE, SQUARES) for x in (graph, eager, exact))
    # Of two peaks that are nearly alike, either may be the higher one: not every joint is near.
    assert np.median(np.abs(a.xyz - b.xyz)) < 0.005
    assert np.median(np.abs(a.xyz - c.xyz)) < 0.02


@needs_cuda
def test_pictures_of_other_shapes_come_and_go() -> None:
    graph, eager = (CudaBackend(net("plain"), Placement(torch.device("cuda"), torch.float32),
                                IMAGE.shape, g) for g in (True, False))  # fmt: skip
    for width in (200, 180, 160, 140, 200, 180):
        picture = IMAGE[:, :width]
        a, b = (x(picture, SQUARES[:2]) for x in (graph, eager))
        np.testing.assert_allclose(a.xyz, b.xyz, atol=2e-3, rtol=1e-3)


@needs_cuda
def test_a_backend_gives_its_memory_back() -> None:
    placement = Placement(torch.device("cuda"), torch.float16)

    def used() -> int:
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    CudaBackend(net("plain"), placement, IMAGE.shape)(IMAGE, SQUARES)  # libraries' own
    before = used()
    gc.disable()  # without waiting for the collector
    try:
        backend = CudaBackend(net("plain"), placement, IMAGE.shape)
        backend(IMAGE, SQUARES)
        assert used() > before
        del backend
        assert used() <= before
    finally:
        gc.enable()


@needs_cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device only")
@pytest.mark.parametrize("name", ["torch", "cuda-graph"])
def test_the_second_gpu_is_used_alone(name: str) -> None:
    placement = Placement(torch.device("cuda:1"), torch.float32)
    before, timeline = torch.cuda.memory_allocated(0), Timeline(now_ns())
    backend, note = backends.make(net("plain"), placement, name, IMAGE.shape)
    assert (backend.name, note) == (name, "")
    got = backend(IMAGE, SQUARES, timeline)
    assert timeline.ms()["forward"] > 0
    assert torch.cuda.memory_allocated(0) == before
    assert torch.cuda.current_device() == 0
    wanted = CudaBackend(net("plain"), CPU, graphs=False)(IMAGE, SQUARES)
    assert np.median(np.abs(got.xyz - wanted.xyz)) < 0.02


@needs_cuda
def test_a_network_that_cannot_be_captured_runs_in_torch_on_the_gpu() -> None:
    made = net("plain")
    forward, stream = made.logits, torch.cuda.current_stream()

    def stubborn(x: torch.Tensor) -> object:
        return forward(x + torch.tensor(0.0).to(x.device))  # a copy from the host

    made.logits = stubborn  # type: ignore[method-assign, assignment]
    placement = Placement(torch.device("cuda"), torch.float16)
    backend, note = backends.make(made, placement, "auto", IMAGE.shape)
    assert backend.name == "torch"
    assert "cuda-graph cannot be used" in note
    assert torch.cuda.current_stream() == stream
    wanted = CudaBackend(net("plain"), CPU, graphs=False)(IMAGE, SQUARES)
    assert np.median(np.abs(backend(IMAGE, SQUARES).xyz - wanted.xyz)) < 0.02


def test_what_capturing_trips_over_is_known_before_the_first_picture() -> None:
    """Here that there are no CUDA graphs on this device: torch takes over on the same one."""
    meta = Placement(torch.device("meta"), torch.float32)
    backend, note = backends.make(tiny(), meta, "cuda-graph")
    assert isinstance(backend, TorchBackend)
    assert backend.placement.device.type == "meta"
    assert "cuda-graph cannot be used" in note
