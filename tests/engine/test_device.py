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
        assert device.has_bfloat16(torch.device("cpu")) == has
    assert device.choose("cpu", "float32").dtype == torch.float32


def test_bfloat16_is_of_use_where_it_is_not_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    for has in (True, False):
        # torch emulates it, and then says that it is there.
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported",
            lambda including_emulation=True, has=has: has or including_emulation,
        )  # fmt: skip
        assert device.has_bfloat16(torch.device("cuda")) == has
        monkeypatch.setattr(device, "cpu_has_bfloat16", lambda has=has: has)
        with device.autocast(torch.device("cpu")):
            half = torch.ones(2, 2) @ torch.ones(2, 2)
        with device.autocast(torch.device("cpu"), wanted=False):
            full = torch.ones(2, 2) @ torch.ones(2, 2)
        assert (half.dtype == torch.bfloat16, full.dtype) == (has, torch.float32)


@pytest.mark.parametrize(("where", "how"), [("tpu", "auto"), ("cuda:x", "auto"), ("cpu", "int3")])
def test_meaningless_devices_are_refused(where: str, how: str) -> None:
    with pytest.raises(device.DeviceError, match="known:"):
        device.choose(where, how)


def test_int8_gives_way_for_networks_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: False)
    asked = device.choose("cpu", "int8")
    assert asked.dtype == torch.int8
    other = asked.floating
    assert (other.dtype, other.asked) == (torch.float32, False)
    other.place(torch.nn.Linear(2, 2))
    half = device.choose("cpu", "bfloat16")
    assert half.floating is half


def test_the_cpu_that_takes_over_keeps_the_precision_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: True)
    gpu = torch.device("cuda")
    asked = device.Placement(gpu, torch.float32, asked=True, threads=3)
    after = device.on_cpu("it broke", asked)
    assert (after.device.type, after.dtype, after.asked) == ("cpu", torch.float32, True)
    assert after.threads == 3
    assert after.note == "it broke; running on the CPU"
    assert device.on_cpu("it broke", device.Placement(gpu, torch.float16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("cores", "told", "used"), [(2, 2, 2), (4, 8, 3), (16, 16, 15), (16, 1, 1)]
)
def test_painting_has_a_core_where_there_are_enough(
    cores: int, told: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = torch.get_num_threads()
    monkeypatch.setattr(device, "usable_cores", lambda: cores)
    try:
        torch.set_num_threads(told)
        device.set_cpu_threads()
        assert torch.get_num_threads() == used
        device.set_cpu_threads(5)
        assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(usual)
