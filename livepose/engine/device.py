"""Where the network runs and how precisely: chosen automatically, never silently worse."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

from livepose.timing.cores import to_spare, usable_cores

Net = TypeVar("Net", bound=torch.nn.Module)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16,
              "int8": torch.int8}  # fmt: skip


class DeviceError(Exception):
    """A device or precision that was asked for does not exist; the message says what does."""


@dataclass(frozen=True, slots=True)
class Placement:
    """device and dtype of the network; note says why it is not the fastest that was hoped for.

    asked: the dtype is one that was asked for, not what suits torch on this device. threads: that
    the network uses on the CPU, 0 for as many as torch does. squares: so many at once are usual.
    """

    device: torch.device
    dtype: torch.dtype
    note: str = ""
    asked: bool = False
    threads: int = 0
    squares: int = 1

    @property
    def device_name(self) -> str:
        """For people: ``"CPU (2 threads)"``, ``"CUDA NVIDIA H100"``."""
        if self.device.type == "cuda":
            return f"CUDA {torch.cuda.get_device_name(self.device)}"
        return f"CPU ({self.cpu_threads} thread{'s' * (self.cpu_threads > 1)})"

    @property
    def cpu_threads(self) -> int:
        return self.threads or torch.get_num_threads()

    @property
    def precision_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    @property
    def floating(self) -> Placement:
        """The same, but int8 gives way to what suits the device: for networks without ranges."""
        if self.dtype.is_floating_point:
            return self
        return replace(self, dtype=_suited(self.device), asked=False)

    def place(self, net: Net) -> Net:
        """The network, moved there; channels_last, the layout that convolutions are fastest in."""
        return net.to(  # type: ignore[call-overload, no-any-return]
            device=self.device, dtype=self.dtype, memory_format=torch.channels_last
        )


def choose(device: str = "auto", precision: str = "auto") -> Placement:
    """CUDA where it works, else the CPU; half precision where the hardware computes in it.

    Args:
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        precision: ``"auto"`` or a key of `PRECISIONS`.

    Raises:
        DeviceError: for a name that means nothing. A GPU that was asked for but cannot be used is
            no error: the CPU takes over, and the note says why.
    """
    if precision != "auto" and precision not in PRECISIONS:
        known = ", ".join(["auto", *PRECISIONS])
        raise DeviceError(f"unknown precision {precision!r}; known: {known}")
    if device not in ("auto", "cpu", "cuda") and not device.removeprefix("cuda:").isdigit():
        raise DeviceError(f"unknown device {device!r}; known: auto, cpu, cuda, cuda:N")
    problem = "" if device == "cpu" else _cuda_problem(device)
    if device == "cpu" or problem:
        # Without any NVIDIA hardware, "auto" has lost nothing that would be worth a note.
        hoped = device != "auto" or nvidia_hardware()
        note = f"{problem}; running on the CPU" if problem and hoped else ""
        where = torch.device("cpu")
    else:
        note, where = "", torch.device("cuda" if device == "auto" else device)
    dtype = PRECISIONS[precision] if precision != "auto" else _suited(where)
    return Placement(where, dtype, note, precision != "auto")


def on_cpu(reason: str, before: Placement) -> Placement:
    """The CPU in place of what has failed, in the same precision if one was asked for."""
    cpu = torch.device("cpu")
    dtype = before.dtype if before.asked else _suited(cpu)
    return replace(before, device=cpu, dtype=dtype, note=f"{reason}; running on the CPU")


def _suited(device: torch.device) -> torch.dtype:
    """The floating precision that torch is fastest in there."""
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if has_bfloat16(device) else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes in bfloat16.

    Then it is twice as fast as float32; emulated, ten times slower.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return cpu_has_bfloat16()


def autocast(device: torch.device, wanted: bool = True) -> torch.autocast:
    """bfloat16 where it is wanted and `has_bfloat16`; elsewhere nothing changes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and has_bfloat16(device))


def set_cpu_threads(threads: int | None = None) -> None:
    """How many CPU threads torch, and with it every network, uses.

    None: one for each core, but of four cores and more one is left to painting. Fewer if torch has
    been told so (``OMP_NUM_THREADS``). On two cores painting gets by: both are faster than one.
    """
    if threads is None:
        cores = usable_cores()
        threads = min(torch.get_num_threads(), cores - to_spare(cores))
    torch.set_num_threads(max(1, threads))


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16 (AVX512-BF16 or AMX on x86)."""
    return _cpu_has(" avx512_bf16") or cpu_has_matrix_units()


def cpu_has_matrix_units() -> bool:
    """Whether the CPU multiplies whole tiles of bfloat16 (AMX on x86)."""
    return _cpu_has(" amx_bf16")


def cpu_has_int8() -> bool:
    """Whether 8-bit integers are faster than float32 (x86 from AVX2 on)."""
    return cpu_has_vnni() or _cpu_has(" avx2")


def cpu_has_vnni() -> bool:
    """Whether the CPU multiplies and adds up 8-bit integers in one go (VNNI on x86).

    Without it, networks run in int8 in another way, see `livepose.models.quantised`.
    """
    return any(_cpu_has(flag) for flag in (" avx512_vnni", " avx_vnni", " amx_int8"))


@cache
def _cpu_has(flag: str) -> bool:
    try:
        return flag in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def nvidia_hardware() -> bool:
    """Whether an NVIDIA GPU is in the machine, working or not."""
    if Path("/proc/driver/nvidia/gpus").is_dir() or Path("/dev/nvidia0").exists():
        return True
    if shutil.which("nvidia-smi") is None:
        return False
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and b"GPU" in listed.stdout


def _cuda_problem(device: str) -> str:
    """Why CUDA cannot be used, in one clause; empty if it can."""
    if torch.version.cuda is None:
        return (
            "this build of torch has no CUDA: "
            "reinstall torch with `pip install --force-reinstall torch` to use a GPU"
        )
    if not torch.cuda.is_available():
        return "torch finds no usable CUDA device: check the driver with `nvidia-smi`"
    index = int(device[5:]) if device.startswith("cuda:") else 0
    if index >= torch.cuda.device_count():
        return f"there is no {device}: {torch.cuda.device_count()} CUDA device(s) found"
    try:
        # A driver or an architecture that does not fit shows up with the first kernel.
        torch.ones(8, device=f"cuda:{index}").sum().item()
    except RuntimeError as error:
        return f"CUDA does not work ({str(error).splitlines()[0]})"
    return ""
