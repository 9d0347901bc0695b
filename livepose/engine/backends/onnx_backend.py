"""ONNX Runtime on the CPU, where it is installed, in float32."""

from __future__ import annotations

import logging

import numpy as np
import onnxruntime
import torch

from livepose.engine.backends.base import OneByOne
from livepose.engine.backends.export import exported
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork


class OnnxBackend(OneByOne):
    name, precision = "onnxruntime", "float32"

    def __init__(self, net: PoseNetwork, placement: Placement) -> None:
        self.config, self.size = net.config, net.config.input_size
        self._session = _session(exported(net)[0], placement.cpu_threads)

    def _run(self, crop: np.ndarray, want_maps: bool) -> list[np.ndarray]:
        wanted = None if want_maps else [self._session.get_outputs()[0].name]
        return list(self._session.run(wanted, {self._session.get_inputs()[0].name: crop}))


def _session(part: torch.export.ExportedProgram, threads: int) -> onnxruntime.InferenceSession:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    program = torch.onnx.export(part, dynamo=True, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, ["CPUExecutionProvider"]
    )
