"""ONNX Runtime on the CPU, where it is installed, in float32."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from livepose.engine.backends import kept
from livepose.engine.backends.base import OneByOne
from livepose.engine.backends.export import exported
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork


class OnnxBackend(OneByOne):
    name, precision = "onnxruntime", "float32"

    def __init__(self, net: PoseNetwork, placement: Placement) -> None:
        self.config, self.size = net.config, net.config.input_size
        self._session = _session(net, placement.cpu_threads)

    def _run(self, crops: np.ndarray, want_maps: bool) -> list[np.ndarray]:
        wanted = None if want_maps else [self._session.get_outputs()[0].name]
        return list(self._session.run(wanted, {self._session.get_inputs()[0].name: crops}))


def is_kept(net: PoseNetwork) -> bool:
    """Whether the network has been exported before."""
    return _file(net).exists()


def _file(net: PoseNetwork) -> Path:
    return kept.folder_of(net, "onnxruntime", onnxruntime.__version__) / "whole.onnx"


def _session(net: PoseNetwork, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    file, providers = _file(net), ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers)
        kept.mark_used(file.parent)
        return session
    except Exception:  # not there yet, or broken: each is an exception of its own
        graph = _exported(net)

    def write(fresh: Path) -> None:
        (fresh / file.name).write_bytes(graph)

    kept.keep(file.parent, write)
    return onnxruntime.InferenceSession(graph, options, providers)


def _exported(net: PoseNetwork) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    program = torch.onnx.export(exported(net)[0], dynamo=True, verbose=False)
    assert program is not None
    return program.model_proto.SerializeToString()
