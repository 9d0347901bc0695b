"""Ways to run the pose network: the same poses from each, at different speeds.

``torch`` runs everywhere and on CUDA; ``openvino`` is the fastest on CPUs that it knows;
``onnxruntime`` is there to compare. What cannot be used here is said by name, and torch takes over.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from livepose.engine.backends.base import Backend, BackendError, Raw
from livepose.engine.backends.cuda_backend import CudaBackend
from livepose.engine.backends.torch_backend import TorchBackend
from livepose.engine.device import Placement, cpu_has_matrix_units
from livepose.models.multitask import MultiTaskConfig
from livepose.models.networks import PoseNetwork

BACKENDS = ("auto", "torch", "openvino", "onnxruntime")

__all__ = ["BACKENDS", "Backend", "BackendError", "Raw", "TorchBackend", "make"]


def make(
    net: PoseNetwork, placement: Placement, name: str = "auto", size: int | None = None
) -> tuple[Backend, str]:
    """The network, ready to run, and why it is not the way that was hoped for (or nothing).

    size: of the squares in pixels, in place of the network's own.

    Raises:
        BackendError: a name that means nothing. ValueError: the network cannot take the size.
    """
    if size is not None and size != net.config.input_size:
        if isinstance(net.config, MultiTaskConfig) or net.config.output == "fc":
            raise ValueError(f"this network takes {net.config.input_size} pixels only")
        net.config = replace(net.config, input_size=size)
    if name not in BACKENDS:
        raise BackendError(f"unknown backend {name!r}; known: {', '.join(BACKENDS)}")
    on_cpu = placement.device.type == "cpu"
    if name == "auto":
        name = "openvino" if on_cpu else "cuda graph"
    try:
        if name == "openvino" and on_cpu:
            from livepose.engine.backends.openvino_backend import OpenVINOBackend

            own = placement
            if not placement.asked:
                # Without matrix units its bfloat16 is slower than its float32 (unlike torch's).
                dtype = torch.bfloat16 if cpu_has_matrix_units() else torch.float32
                own = replace(placement, dtype=dtype)
            return OpenVINOBackend(net, own), ""
        if name == "onnxruntime" and on_cpu:
            from livepose.engine.backends.onnx_backend import OnnxBackend

            return OnnxBackend(net, placement), ""
        if name == "cuda graph":
            return CudaBackend(net, placement), ""
    except Exception as error:  # not installed, or does not know this machine or network
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        note = f"{name} cannot be used ({text}); torch runs the network"
        return TorchBackend(net, placement), note
    return TorchBackend(net, placement), ""
