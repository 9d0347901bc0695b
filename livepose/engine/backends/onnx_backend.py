"""ONNX Runtime on the CPU (extra ``onnxruntime``), in float32."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch

from livepose.crop import Square
from livepose.engine.backends.base import Raw, cut_all
from livepose.engine.backends.export import exported
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork
from livepose.timing.timeline import Timeline


class OnnxBackend:
    name, precision = "onnxruntime", "float32"

    def __init__(self, net: PoseNetwork, placement: Placement) -> None:
        net = net.float().cpu().eval()
        self.size = net.config.input_size
        self._convolutions, self._decoding = (_session(part) for part in exported(net))

    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        crops = cut_all(image, squares, self.size, timeline)
        mark = timeline.mark if timeline else lambda stage: None
        mark("upload")
        logits = self._convolutions.run(None, {self._convolutions.get_inputs()[0].name: crops})
        mark("forward")
        names = [i.name for i in self._decoding.get_inputs()]
        wanted = None if want_maps else [self._decoding.get_outputs()[0].name]
        flat, *maps = self._decoding.run(wanted, dict(zip(names, logits, strict=True)))
        mark("decode")
        raw = Raw(flat[..., :3], np.ascontiguousarray(flat[..., 3]), tuple(maps))
        mark("download")
        return raw


def _session(part: torch.export.ExportedProgram) -> onnxruntime.InferenceSession:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    program = torch.onnx.export(part, dynamo=True, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, ["CPUExecutionProvider"]
    )
