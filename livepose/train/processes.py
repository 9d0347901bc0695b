"""The processes of one training run: one, or under ``torchrun`` one for each GPU."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from livepose import dsnt
from livepose.engine.device import DeviceError, choose


def rank() -> int:
    """Which one this is; the first, 0, validates and writes."""
    return int(os.environ.get("RANK", 0))


def world() -> int:
    """How many there are."""
    return int(os.environ.get("WORLD_SIZE", 1))


def begin(device: str) -> torch.device:
    """The device of this process, which is from now on one of its group.

    Args:
        device: "auto", "cpu", "cuda" (for each process its own GPU) or "cuda:N".

    Raises:
        ValueError: it cannot be used.
    """
    # cuBLAS reads it once; without it, its results depend on what else runs.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    own = device
    if world() > 1 and device in ("auto", "cuda") and torch.cuda.is_available():
        own = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        placement = choose(own)
    except DeviceError as error:
        raise ValueError(str(error)) from error
    if placement.note and device != "auto":
        raise ValueError(f"--device {device}: {placement.note.rpartition(';')[0]}")
    chosen = placement.device
    if chosen.type == "cuda":
        if chosen.index is not None:
            torch.cuda.set_device(chosen)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    if world() > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return chosen


def meet() -> None:
    """Waits until all processes are here, before they end.

    Meanwhile gloo's threads let go of the tensors of the last message. They outlive the group where
    DDP has used it; if they did so while Python ends, the process would be aborted, its work done
    (https://github.com/pytorch/pytorch/pull/179291).
    """
    if world() > 1:
        distributed.barrier()


def end() -> None:
    """Leaves the group."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def from_first(value: Any) -> Any:
    """What the first process has, in all of them."""
    if world() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]


def any_of(flag: bool) -> bool:
    """Whether it is set in one of the processes."""
    if world() == 1:
        return flag
    flags: list[Any] = [None] * world()
    distributed.all_gather_object(flags, flag)
    return any(flags)


def average(losses: Tensor, mask: Tensor) -> Tensor:
    """`dsnt.average` over the labels of all processes.

    It is scaled so that the mean of the processes' gradients, which they take, is its gradient:
    those with few labels would weigh too much otherwise.
    """
    own = dsnt.average(losses, mask)
    if world() == 1:
        return own
    count = mask.to(own.dtype).sum()
    counted = count.clone()
    distributed.all_reduce(counted)
    return own * (world() * count / counted.clamp_min(torch.finfo(own.dtype).tiny))


def machine(device: torch.device) -> str:
    """For the card: what computes here, ``"2 x NVIDIA H100"`` or the name of the processor."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return name if world() == 1 else f"{world()} x {name}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads() * world()} threads"
