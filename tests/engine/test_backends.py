"""Every way to run the network gives the same poses; what does not work here is said."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from livepose.engine import backends
from livepose.engine.backends import BackendError, TorchBackend
from livepose.engine.device import Placement
from livepose.models.margipose import Config, MargiPose
from livepose.timing.timeline import Timeline, now_ns
from tests.engine.fakes import CPU, tiny

CONFIGS = {
    "plain": Config("lightning", 64),
    "context": Config("lightning", 64, 24, 0, context_layers=1, context_width=16, lean_depth=True),
    "heatmap": Config("small", 64, output="heatmap", heatmap_stride=8),
    "fc": Config("small", 64, output="fc", heatmap_stride=8),
}


def net(kind: str) -> MargiPose:
    torch.manual_seed(0)
    return MargiPose(CONFIGS[kind]).eval().requires_grad_(False)


def crops(number: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (number, 64, 64, 3), np.uint8)


@pytest.mark.parametrize(("name", "kind"), [
    *(("openvino", kind) for kind in sorted(CONFIGS)), ("onnxruntime", "context"),
])  # fmt: skip
def test_same_poses(name: str, kind: str) -> None:
    pytest.importorskip(name)
    backend, note = backends.make(net(kind), CPU, name)
    assert (backend.name, note) == (name, "")
    plain = TorchBackend(net(kind), CPU)
    for number in (1, 3):  # as many squares as there are people
        got, wanted = (b(crops(number), want_maps=True) for b in (backend, plain))
        np.testing.assert_allclose(got.xyz, wanted.xyz, atol=2e-3)
        np.testing.assert_allclose(got.confidence, wanted.confidence, atol=1e-3)
        for a, b in zip(got.maps, wanted.maps, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
    assert backend(crops(1)).maps == ()


@pytest.mark.parametrize("name", ["torch", "openvino", "onnxruntime"])
def test_stages_are_marked(name: str) -> None:
    pytest.importorskip(name)
    timeline = Timeline(now_ns())
    backend, _ = backends.make(tiny(), CPU, name)
    backend(crops(1), timeline)
    assert list(timeline.ms()) == ["upload", "forward", "decode", "download"]


def test_half_precision_of_openvino_is_near() -> None:
    pytest.importorskip("openvino")
    half = Placement(torch.device("cpu"), torch.bfloat16)
    got, wanted = (backends.make(net("context"), p, n)[0](crops(2))
                   for p, n in ((half, "openvino"), (CPU, "torch")))  # fmt: skip
    np.testing.assert_allclose(got.xyz, wanted.xyz, atol=0.1)


def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "livepose.engine.backends.openvino_backend", raising=False)
    backend, note = backends.make(tiny(), CPU)
    assert backend.name == "torch"
    assert "openvino cannot be used" in note


def test_unknown_backends_are_refused() -> None:
    with pytest.raises(BackendError, match="known: auto"):
        backends.make(tiny(), CPU, "abacus")
