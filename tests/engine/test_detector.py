"""The network that finds people, in torch and on OpenVINO."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose.engine.detector import PersonDetector
from livepose.models.detector import PersonNet
from tests.engine.fakes import CPU


@pytest.fixture
def net() -> PersonNet:
    """One that finds something everywhere."""
    net = PersonNet().eval()
    torch.nn.init.normal_(net.head.out.weight, std=0.5)
    assert net.head.out.bias is not None
    net.head.out.bias.data[0] = 1.0
    return net


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def places(detector: PersonDetector, image: np.ndarray) -> np.ndarray:
    return np.array([[r.cx, r.cy, r.side] for r in detector(image)])


def test_openvino_and_torch_find_the_same(
    net: PersonNet, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    pytest.importorskip("openvino")
    fast = PersonDetector(net, CPU)
    again = PersonDetector(net, CPU)  # from the disk
    cache = Path(os.environ["XDG_CACHE_HOME"])
    assert list((cache / "livepose/openvino").glob("*-detector/net.xml"))
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "livepose.engine.backends.openvino_detector")
    slow = PersonDetector(net, CPU)  # as where it is not installed
    for size in ((1280, 720), (480, 640), (1280, 720)):
        image = picture(*size)
        own = places(slow, image)
        assert len(own) > 3
        assert places(fast, image) == pytest.approx(own, rel=1e-2, abs=0.1)
        assert places(again, image) == pytest.approx(own, rel=1e-2, abs=0.1)
    assert type(slow._run) is not type(fast._run)


def test_a_pose_network_in_int8_does_not_concern_it(
    net: PersonNet, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("livepose.engine.detector._on_openvino", lambda net, placement: None)
    assert PersonDetector(net, replace(CPU, dtype=torch.int8))(picture(320, 192))
