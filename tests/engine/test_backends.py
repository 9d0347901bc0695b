"""Every way to run the network gives the same poses; what does not work here is said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose.crop import Square, cut, to_input
from livepose.cv import cv2
from livepose.engine import backends
from livepose.engine.backends import BACKENDS, BackendError, TorchBackend
from livepose.engine.backends.cuda_backend import CudaBackend, fineness, sample
from livepose.engine.device import Placement
from livepose.engine.loading import Choice, Loader
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import load_model, save_model
from livepose.skeleton import J
from livepose.timing.timeline import Timeline, now_ns
from tests.engine.fakes import CPU, Log, session, tiny, wait_for

CONFIGS = {
    "plain": Config("lightning", 64),
    "context": Config(
        "lightning",
        64,
        24,
        0,
        context_layers=1,
        context_width=16,
        lean_depth=True,
        lift_layers=1,
        lift_width=16,
    ),
    "heatmap": Config("small", 64, output="heatmap", heatmap_stride=8),
    "fc": Config("small", 64, output="fc", heatmap_stride=8),
}


def net(kind: str) -> MargiPose:
    torch.manual_seed(0)
    return MargiPose(CONFIGS[kind]).eval().requires_grad_(False)


IMAGE = np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)
SQUARES = [Square(60 + 30 * k, 50, 64 + 30 * k) for k in range(3)]


@pytest.mark.parametrize(("name", "kind"), [
    *(("openvino", kind) for kind in sorted(CONFIGS)), ("onnxruntime", "context"),
])  # fmt: skip
def test_same_poses(name: str, kind: str) -> None:
    pytest.importorskip(name)
    backend, note = backends.make(net(kind), CPU, name)
    assert (backend.name, note) == (name, "")
    plain = TorchBackend(net(kind), CPU)
    for number in (1, 3):  # as many squares as there are people
        got, wanted = (b(IMAGE, SQUARES[:number], want_maps=True) for b in (backend, plain))
        np.testing.assert_allclose(got.xyz, wanted.xyz, atol=2e-3)
        np.testing.assert_allclose(got.confidence, wanted.confidence, atol=1e-3)
        for a, b in zip(got.maps, wanted.maps, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
        assert got.stages == ()  # compiled: the last maps only
    assert backend(IMAGE, SQUARES).maps == ()


def test_torch_gives_the_stages_where_maps_are_wanted() -> None:
    backend = TorchBackend(net("context"), CPU)
    attention, lifting = backend(IMAGE, SQUARES, want_maps=True).stages
    assert (attention.name, lifting.name) == ("before attention", "before lifting")
    assert attention.xy is not None
    assert attention.xy.shape == (3, J, 16, 16)
    assert attention.zy is attention.xz is None
    assert lifting.zy is not None
    assert lifting.zy.shape == (3, J, 8, 24)
    assert lifting.xz is not None
    np.testing.assert_allclose(lifting.xz.sum((2, 3)), 1, atol=1e-4)
    assert backend(IMAGE, SQUARES).stages == ()
    assert TorchBackend(net("plain"), CPU)(IMAGE, SQUARES, want_maps=True).stages == ()


@pytest.mark.parametrize("name", ["torch", "openvino", "onnxruntime"])
def test_stages_are_marked(name: str) -> None:
    pytest.importorskip(name)
    timeline = Timeline(now_ns())
    backend, _ = backends.make(tiny(), CPU, name)
    backend(IMAGE, SQUARES, timeline)
    stages = ["preprocess", "upload", "forward", "decode", "download"]
    assert list(timeline.ms()) == (stages if name == "torch" else ["preprocess", "forward"])


def test_half_precision_of_openvino_is_near() -> None:
    pytest.importorskip("openvino")
    half = Placement(torch.device("cpu"), torch.bfloat16, asked=True)
    got, wanted = (backends.make(net("context"), p, n)[0](IMAGE, SQUARES)
                   for p, n in ((half, "openvino"), (CPU, "torch")))  # fmt: skip
    np.testing.assert_allclose(got.xyz, wanted.xyz, atol=0.1)


def test_openvino_takes_the_precision_that_suits_it_unless_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("openvino")
    half = Placement(torch.device("cpu"), torch.bfloat16)
    for units, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(backends, "cpu_has_matrix_units", lambda units=units: units)
        assert backends.make(tiny(), half)[0].precision == precision
    asked = Placement(torch.device("cpu"), torch.bfloat16, asked=True)
    assert backends.make(tiny(), asked, "openvino")[0].precision == "bfloat16"


def test_a_choice_may_have_threads_of_its_own() -> None:
    usual = torch.get_num_threads()
    loader, crop = Loader(tiny), [SQUARES[0]]
    try:
        one = loader(Choice("tiny", "torch", threads=1), CPU)
        all_of_them = loader(Choice("tiny", "torch"), CPU)
        assert one.device_name == "CPU (1 thread)"
        assert all_of_them.device_name == CPU.device_name
        one.backend(IMAGE, crop)
        assert torch.get_num_threads() == 1
        all_of_them.backend(IMAGE, crop)  # by turns, as when they are compared
        assert torch.get_num_threads() == usual
    finally:
        torch.set_num_threads(usual)


def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "livepose.engine.backends.openvino_backend", raising=False)
    backend, note = backends.make(tiny(), CPU)
    assert backend.name == "torch"
    assert "openvino cannot be used" in note


@pytest.mark.parametrize("name", [b for b in BACKENDS if b not in ("auto", "torch")])
def test_backends_of_another_device_are_named(name: str) -> None:
    other = Placement(torch.device("cpu" if name == "cuda-graph" else "meta"), torch.float32)
    backend, note = backends.make(tiny(), other, name)
    assert backend.name == "torch"
    assert f"{name} cannot be used (it does not run on {other.device.type})" in note


def test_unknown_backends_are_refused() -> None:
    with pytest.raises(BackendError, match="known: auto"):
        backends.make(tiny(), CPU, "abacus")


@pytest.mark.parametrize("side", [40, 64, 90, 200, 300])
def test_squares_cut_on_the_device_are_those_of_the_cpu(side: int) -> None:
    smooth = cv2.GaussianBlur(cv2.resize(IMAGE, (640, 384)), (0, 0), 3)
    squares = [Square(300.3, 180.7, side), Square(20, 10, side)]  # the second lies half outside
    wanted = to_input([cut(smooth, square, 64) for square in squares])
    places = torch.tensor([[s.cx, s.cy, s.side] for s in squares])
    got = sample(torch.from_numpy(smooth), places, 64, fineness(squares, 64))
    assert got.shape == wanted.shape
    assert (got - wanted).abs().mean() < 0.01
    assert got[1].min() == -1


def test_the_way_of_cuda_gives_the_same_poses_without_a_graph_on_the_cpu() -> None:
    got, wanted = (
        b(IMAGE, SQUARES, want_maps=True)
        for b in (CudaBackend(net("context"), CPU, graphs=False), TorchBackend(net("context"), CPU))
    )
    np.testing.assert_allclose(got.xyz, wanted.xyz, atol=0.02)
    assert [m.shape for m in got.maps] == [m.shape for m in wanted.maps]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_graph_and_eager_give_the_same_poses() -> None:
    placement = Placement(torch.device("cuda"), torch.float16)
    graph, eager = (CudaBackend(net("context"), placement, graphs=g) for g in (True, False))
    plain = TorchBackend(net("context"), CPU)
    for number in (1, 3, 1):
        a, b, c = (x(IMAGE, SQUARES[:number]) for x in (graph, eager, plain))
        np.testing.assert_allclose(a.xyz, b.xyz, atol=1e-3)
        np.testing.assert_allclose(a.xyz, c.xyz, atol=0.03)


def test_a_network_is_exported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    from livepose.engine.backends import openvino_backend

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = backends.make(net("plain"), CPU, "openvino")[0](IMAGE, SQUARES)
    monkeypatch.setattr(openvino_backend, "exported", None)  # not needed any more
    again, note = backends.make(net("plain"), CPU, "openvino")
    assert note == ""
    np.testing.assert_allclose(again(IMAGE, SQUARES).xyz, first.xyz, atol=1e-5)
    monkeypatch.undo()
    # A broken cache is made again; another network has its own.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for file in tmp_path.rglob("*.xml"):
        file.write_text("<net>")
    for kind in ("plain", "context"):
        assert backends.make(net(kind), CPU, "openvino")[1] == ""
    assert len(list((tmp_path / "livepose/openvino").iterdir())) == 2


def test_a_network_that_is_new_here_runs_in_torch_until_it_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = tmp_path / "tiny.safetensors"
    save_model(model, tiny(), {}, {})
    log = Log()
    s = session("synthetic:64x48@50", log, load=lambda name: load_model(str(model))[0],
                backend="auto")  # fmt: skip
    s.use(Choice(str(model), "auto"))
    s.start()
    try:
        wait_for(lambda: log.results, 120)
        assert "openvino" not in log.results[0].device
        wait_for(lambda: "openvino" in log.results[-1].device, 300)
    finally:
        assert s.stop()
    gaps = np.diff([r.frame.timeline.end_ns for r in log.results]) / 1e6
    assert np.median(gaps) < 500  # the live picture went on meanwhile
    # The next time it is there at once.
    again = Log()
    s = session("synthetic:64x48@50", again, load=lambda name: load_model(str(model))[0],
                backend="auto")  # fmt: skip
    s.start()
    wait_for(lambda: again.results, 120)
    assert "openvino" in again.results[0].device
    assert s.stop()
