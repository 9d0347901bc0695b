"""Where the network runs, and what is said of it."""

from __future__ import annotations

import pytest
import torch

from livepose.engine import device


def test_cpu_is_chosen_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "nvidia_hardware", lambda: False)
    assert device.choose().device.type == "cpu"
    assert device.choose().note == ""  # nothing lost, nothing to say
    assert "nvidia-smi" in device.choose("cuda").note


def test_a_gpu_silently_unused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(device, "nvidia_hardware", lambda: True)
    note = device.choose().note
    assert "no CUDA" in note
    assert "pip install" in note
    assert device.choose("cpu").note == ""  # asked for


def test_a_gpu_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*a: object, **k: object) -> torch.Tensor:
        raise RuntimeError("no kernel image is available for execution\nmore")

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", broken)
    assert "no kernel image" in device.choose("cuda").note
    assert "there is no cuda:3" in device.choose("cuda:3").note


def test_precision_follows_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(device, "cpu_has_bfloat16", lambda has=has: has)
        assert device.choose("cpu").dtype == dtype
    assert device.choose("cpu", "float32").dtype == torch.float32


@pytest.mark.parametrize(("where", "how"), [("tpu", "auto"), ("cuda:x", "auto"), ("cpu", "int3")])
def test_meaningless_devices_are_refused(where: str, how: str) -> None:
    with pytest.raises(device.DeviceError, match="known:"):
        device.choose(where, how)
