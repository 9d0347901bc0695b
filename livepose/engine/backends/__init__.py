"""Ways to run the pose network: the same poses from each, at different speeds.

``torch`` runs everywhere and on CUDA; ``openvino`` is the fastest on CPUs that it knows;
``onnxruntime`` is there to compare. What cannot be used here is said by name, and torch takes over.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from livepose.crop import WIDTHS
from livepose.engine.backends.base import USUAL_SHAPE, Backend, BackendError, Raw
from livepose.engine.backends.cuda_backend import CudaBackend
from livepose.engine.backends.torch_backend import TorchBackend
from livepose.engine.device import Placement, cpu_has_int8, cpu_has_matrix_units
from livepose.models.movenet import STRIDE
from livepose.models.multitask import MultiTaskConfig
from livepose.models.networks import NetworkConfig, PoseNetwork

BACKENDS = ("auto", "torch", "openvino", "onnxruntime", "cuda-graph")

__all__ = ["BACKENDS", "USUAL_SHAPE", "Backend", "BackendError", "Raw", "TorchBackend", "make"]


def takes_sizes(config: NetworkConfig) -> bool:
    """Whether a network takes squares of other sizes than it was trained with."""
    return not isinstance(config, MultiTaskConfig) and config.output != "fc"


def columns(config: NetworkConfig) -> dict[float, int]:
    """{part of a square's width: pixels} of its middle, such as the network takes them: none of
    networks that take nothing but squares.
    """
    size = config.input_size
    pixels = {width: STRIDE * math.ceil(width * size / STRIDE) for width in WIDTHS}
    return {w: n for w, n in pixels.items() if n < size and takes_sizes(config)}


def config_at(config: NetworkConfig, size: int | None) -> NetworkConfig:
    """Of the same network for squares of so many pixels, None for its own.

    Raises:
        ValueError: it cannot take them.
    """
    if size is None or size == config.input_size:
        return config
    if not takes_sizes(config):
        raise ValueError(f"this network takes {config.input_size} pixels only")
    return replace(config, input_size=size)


def at_size(net: PoseNetwork, size: int | None) -> PoseNetwork:
    """The network, for squares of another size from now on, see `config_at`."""
    net.config = config_at(net.config, size)
    return net


def for_openvino(net: PoseNetwork, placement: Placement) -> Placement:
    """In the precision that suits OpenVINO and the network, unless one was asked for.

    int8 is the fastest where the CPU can. Without matrix units its bfloat16 is slower than its
    float32 (unlike torch's).
    """
    if placement.asked:
        return placement
    if net.ranges and cpu_has_int8():
        return replace(placement, dtype=torch.int8)
    return replace(placement, dtype=torch.bfloat16 if cpu_has_matrix_units() else torch.float32)


def _without_int8(net: PoseNetwork, placement: Placement, name: str) -> tuple[Placement, str]:
    """Another precision, and why, where int8 was asked for and cannot be."""
    if placement.dtype != torch.int8:
        return placement, ""
    if name != "openvino":
        why = f"{name} has none"
    elif not net.ranges:
        why = "`livepose quantise` prepares a network for it"
    elif not cpu_has_int8():
        why = "this processor is not known to be faster in it"
    else:
        return placement, ""
    other = placement.floating
    return other, f"int8 cannot be used ({why}); {other.precision_name} takes over"


def exports_first(
    net: PoseNetwork, placement: Placement, name: str, middles: bool = False
) -> bool:  # fmt: skip
    """Whether `make` would take seconds, because the network has not run here in this way yet; with
    middles, whether it would because of these.
    """
    if placement.device.type != "cpu":
        return False
    try:
        if name in ("auto", "openvino"):
            from livepose.engine.backends import openvino_backend

            return not openvino_backend.is_kept(net, for_openvino(net, placement), middles)
        if name == "onnxruntime" and not middles:
            from livepose.engine.backends import onnx_backend

            return not onnx_backend.is_kept(net)
    except ImportError:  # `make` will say so
        pass
    return False


def add_middles(backend: Backend, net: PoseNetwork) -> None:
    """As `make` with middles, of a backend that was made without, and may be in use."""
    from livepose.engine.backends.openvino_backend import OpenVINOBackend

    if isinstance(backend, OpenVINOBackend):
        backend.add_middles(net)


def make(
    net: PoseNetwork, placement: Placement, name: str = "auto",
    shape: tuple[int, ...] = USUAL_SHAPE, middles: bool = False,
) -> tuple[Backend, str]:  # fmt: skip
    """The network, ready to run, and why it is not the way that was hoped for (or nothing).

    shape: of the pictures that will come, to be ready for them; others may come as well. middles:
    ready for those (`columns`), too, where that makes a difference.

    Raises:
        BackendError: a name that means nothing.
    """
    if name not in BACKENDS:
        raise BackendError(f"unknown backend {name!r}; known: {', '.join(BACKENDS)}")
    on_cpu = placement.device.type == "cpu"
    if name == "auto":
        name = "openvino" if on_cpu else "cuda-graph"
    placement, note = _without_int8(net, placement, name)
    if name == "torch":
        return TorchBackend(net, placement), note
    try:
        if on_cpu == (name == "cuda-graph"):
            raise BackendError(f"it does not run on {placement.device.type}")
        if name == "openvino":
            from livepose.engine.backends.openvino_backend import OpenVINOBackend

            return OpenVINOBackend(net, for_openvino(net, placement), middles), note
        if name == "onnxruntime":
            from livepose.engine.backends.onnx_backend import OnnxBackend

            return OnnxBackend(net, placement), note
        return CudaBackend(net, placement, shape), note
    except Exception as error:  # not installed, or does not know this machine or network
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        note = f"{name} cannot be used ({text}); torch runs the network"
        return TorchBackend(net, _without_int8(net, placement, "torch")[0]), note
