"""Every way to run the network gives the same poses; what does not work here is said."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose.crop import Square, cut, to_input
from livepose.cv import cv2
from livepose.engine import backends
from livepose.engine.backends import BACKENDS, BackendError, TorchBackend, kept
from livepose.engine.backends.cuda_backend import CudaBackend, sample
from livepose.engine.backends.prepare import prepare
from livepose.engine.device import Placement
from livepose.engine.loading import Choice, Loader
from livepose.models.margipose import Config
from livepose.models.multitask import MultiTaskConfig
from livepose.models.networks import PoseNetwork, build
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
    "multitask": MultiTaskConfig("small", 64),
}


def net(kind: str) -> PoseNetwork:
    """No layer says nothing, as some of a fresh network do, and the picture gets through to all."""
    made = build(CONFIGS[kind]).eval().requires_grad_(False)
    noise = torch.Generator().manual_seed(0)
    for values in made.parameters():
        wide = values[0].numel() if values.dim() > 1 else 100
        values.copy_(torch.randn(values.shape, generator=noise) * max(0.05, (1.5 / wide) ** 0.5))
    return made


# Blobs: of neighbouring pixels that are all different, each way of scaling makes something else.
IMAGE = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8), (200, 120)
)  # fmt: skip
SQUARES = [Square(60 + 30 * k, 50, 64 + 30 * k) for k in range(3)]


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_every_part_of_the_test_networks_has_a_say(kind: str) -> None:
    """Else backends would be equal that leave it out."""
    whole = TorchBackend(net(kind), CPU)(IMAGE, SQUARES)
    assert np.ptp(whole.xyz, 0).max() > 0.02  # the pictures differ
    unseen = ("windows", "detect")  # they help the others to learn, no more
    for name, _ in net(kind).named_children():
        if name in unseen:
            continue
        without = net(kind)
        for values in without.get_submodule(name).parameters():
            values.zero_()
        other = TorchBackend(without, CPU)(IMAGE, SQUARES)
        changed = max(np.abs(other.xyz - whole.xyz).max(),
                      np.abs(other.confidence - whole.confidence).max())  # fmt: skip
        assert changed > 0.01, f"{name}: {changed}"


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


def test_what_is_warm_is_found_by_every_name_that_it_has() -> None:
    loads = []

    def load(name: str) -> PoseNetwork:
        loads.append(name)
        return tiny()

    loader = Loader(load)
    first = loader(Choice("tiny", "torch"), CPU)
    named = Choice("tiny", "torch", first.backend.precision, 64)
    again = loader(named, CPU)
    assert again.backend is first.backend
    assert again.choice == named
    assert loader(Choice("tiny", "torch"), CPU).backend is first.backend
    assert loads == ["tiny"]
    assert loader(Choice("tiny", "torch", threads=1), CPU).backend is not first.backend
    loader.forget()
    assert loader(named, CPU).backend is not first.backend


def test_a_choice_may_have_a_device_of_its_own() -> None:
    elsewhere = Placement(torch.device("meta"), torch.float16)
    ready = Loader(tiny)(Choice("tiny", "torch", "float32", device="cpu"), elsewhere)
    assert ready.device_name.startswith("CPU")
    assert ready.backend.precision == "float32"
    assert np.isfinite(ready.backend(IMAGE, SQUARES[:1]).xyz).all()


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
    got = sample(torch.from_numpy(smooth), places, 64)
    assert got.shape == wanted.shape
    assert (got - wanted).abs().mean() < 0.01
    assert got[1].min() == -1


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


@pytest.mark.parametrize(("name", "module"), [
    ("openvino", "openvino_backend"), ("onnxruntime", "onnx_backend"),
])  # fmt: skip
def test_a_network_is_exported_once(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name)
    module = f"livepose.engine.backends.{module}.exported"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert backends.exports_first(net("plain"), CPU, name)
    first = backends.make(net("plain"), CPU, name)[0](IMAGE, SQUARES)
    assert not backends.exports_first(net("plain"), CPU, name)
    with monkeypatch.context() as patch:
        patch.setattr(module, None)  # not needed any more
        again, note = backends.make(net("plain"), CPU, name)
    assert note == ""
    np.testing.assert_allclose(again(IMAGE, SQUARES).xyz, first.xyz, atol=1e-5)
    # A broken cache is made again; another network has its own.
    for file in [*tmp_path.rglob("*.xml"), *tmp_path.rglob("*.onnx")]:
        file.write_text("<net>")
    for kind in ("plain", "context"):
        assert backends.make(net(kind), CPU, name)[1] == ""
    assert len(list((tmp_path / "livepose" / name).iterdir())) == 2


def test_what_was_not_used_for_longest_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_MOST", 250)
    a, b, c = (tmp_path / name for name in "abc")
    for age, folder in enumerate((b, a)):
        kept.keep(folder, lambda fresh: (fresh / "graph").write_bytes(bytes(100)) and None)
        os.utime(folder, (1000 + age, 1000 + age))
    kept.mark_used(b)  # made before a, used after it
    kept.keep(c, lambda fresh: (fresh / "graph").write_bytes(bytes(100)) and None)
    assert sorted(tmp_path.iterdir()) == [b, c]

    def broken(fresh: Path) -> None:
        (fresh / "graph").write_bytes(bytes(1))
        raise OSError("the disk is full")

    kept.keep(b, broken)  # what was there stays, whole
    assert (b / "graph").stat().st_size == 100
    assert sorted(tmp_path.iterdir()) == [b, c]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_network_is_exported_by_another_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_model(tmp_path / "tiny.safetensors", tiny(), {}, {})
    monkeypatch.chdir(tmp_path)  # where the path holds; the other process is elsewhere
    loaded = load_model("tiny.safetensors")[0]
    assert backends.exports_first(loaded, CPU, name)
    assert prepare("tiny.safetensors", 96, "float32", name)
    assert backends.exports_first(loaded, CPU, name)
    assert not backends.exports_first(backends.at_size(loaded, 96), CPU, name)
    assert not prepare("nowhere.safetensors", None, "float32", name)


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


_STACKS = """
import ctypes
import torch
from livepose.engine import backends
from livepose.engine.device import Placement
from tests.engine.fakes import tiny

def stack():
    now = (ctypes.c_size_t * 3)()  # start, flags, size
    assert not ctypes.CDLL(None).sigaltstack(None, now)
    return list(now)

before = stack()
backend, note = backends.make(tiny(), Placement(torch.device("cpu"), torch.bfloat16), "openvino")
assert not note, note
assert stack() == before, (stack(), before)
"""


_ONE_THREAD = """
import torch
from livepose.engine import backends, device
from livepose.models.margipose import Config, MargiPose

device.set_cpu_threads(1)
net = MargiPose(Config("lightning", 64, context_layers=1, lift_layers=2)).eval()
backend, note = backends.make(net, device.Placement(torch.device("cpu"), torch.float32), "openvino")
assert not note, note
"""


def test_openvino_on_one_thread_does_not_end_the_process() -> None:
    pytest.importorskip("openvino")
    assert _ended(_ONE_THREAD) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="signal stacks as Linux has them")
def test_openvino_leaves_no_signal_stack_that_is_too_small_after_amx() -> None:
    pytest.importorskip("openvino")
    assert _ended(_STACKS) == (0, "")


def _ended(program: str) -> tuple[int, str]:
    """How a program ends in a process of its own: its status, and what it said if that is not 0."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    end = subprocess.run([sys.executable, "-c", program], env=environment, timeout=300,
                         capture_output=True, text=True, check=False)  # fmt: skip
    return end.returncode, end.stderr[-500:] if end.returncode else ""
