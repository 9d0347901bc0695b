"""OpenVINO on the CPU (extra ``openvino``): the same network, its layers fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov
import torch

from livepose.crop import Square
from livepose.engine.backends.base import Raw, cut_all
from livepose.engine.backends.export import exported
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork
from livepose.timing.timeline import Timeline

_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


class OpenVINOBackend:
    name = "openvino"

    def __init__(self, net: PoseNetwork, placement: Placement) -> None:
        net = net.float().cpu().eval()
        self.size, self.precision = net.config.input_size, placement.precision_name
        core = ov.Core()
        convolutions, decoding = (ov.convert_model(part) for part in exported(net))
        self._convolutions = self._compiled(core, convolutions, _PRECISIONS[placement.dtype])
        self._decoding = self._compiled(core, decoding, "f32")

    @staticmethod
    def _compiled(core: ov.Core, model: ov.Model, precision: str) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }  # fmt: skip
        return core.compile_model(model, "CPU", settings).create_infer_request()

    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        crops = cut_all(image, squares, self.size, timeline)
        mark = timeline.mark if timeline else lambda stage: None
        mark("upload")
        logits = self._convolutions.infer([crops], share_inputs=True, share_outputs=True)
        mark("forward")
        out = self._decoding.infer(list(logits.values()), share_inputs=True)
        flat, *maps = out.values()
        mark("decode")
        raw = Raw(flat[..., :3], np.ascontiguousarray(flat[..., 3]),
                  tuple(np.array(m) for m in maps) if want_maps else ())  # fmt: skip
        mark("download")
        return raw
