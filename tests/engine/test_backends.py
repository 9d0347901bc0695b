"""Every way to run the network gives the same poses; what does not work here is said."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from livepose.crop import Square
from livepose.cv import cv2
from livepose.engine import backends
from livepose.engine.backends import BACKENDS, BackendError, TorchBackend
from livepose.engine.device import Placement
from livepose.engine.loading import Choice, Loader
from livepose.models.margipose import Config
from livepose.models.multitask import MultiTaskConfig
from livepose.models.networks import PoseNetwork, build
from livepose.skeleton import J
from livepose.timing.timeline import Timeline, now_ns
from tests.engine.fakes import CPU, tiny

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


@pytest.mark.parametrize(("name", "kind", "usual"), [
    *(("openvino", kind, 1) for kind in sorted(CONFIGS)),
    *(("openvino", kind, 2) for kind in sorted(CONFIGS)), ("onnxruntime", "context", 1),
    ("onnxruntime", "context", 2),
])  # fmt: skip
def test_same_poses(name: str, kind: str, usual: int) -> None:
    pytest.importorskip(name)
    backend, note = backends.make(net(kind), replace(CPU, squares=usual), name)
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


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_half_precision_of_openvino_is_near(kind: str) -> None:
    pytest.importorskip("openvino")
    half = Placement(torch.device("cpu"), torch.bfloat16, asked=True)
    made, note = backends.make(net(kind), half, "openvino")
    assert (made.name, made.precision, note) == ("openvino", "bfloat16", "")
    got, wanted = made(IMAGE, SQUARES), TorchBackend(net(kind), CPU)(IMAGE, SQUARES)
    # A cell's height decides what is the highest: coordinates, but for that.
    off = np.abs(got.xyz - wanted.xyz)
    assert np.median(off) < 0.02
    assert np.quantile(off, 0.95) < 0.1


@pytest.mark.parametrize("kind", sorted(CONFIGS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_openvino_knows_all_shapes(kind: str, dtype: torch.dtype) -> None:
    """Otherwise every picture costs a tenth more."""
    ov = pytest.importorskip("openvino")
    from livepose.engine.backends.openvino_backend import graphs

    assert not any(graph.is_dynamic() for graph in graphs(ov.Core(), net(kind), dtype))


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
