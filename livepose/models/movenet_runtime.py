"""MoveNet on OpenVINO: several times as fast as in torch, for labelling and as a peer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from livepose.crop import to_input
from livepose.models.movenet import Keypoints, MoveNet


class _FromBytes(nn.Module):
    def __init__(self, net: MoveNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> Keypoints:
        out: Keypoints = self.net(to_input(crops))
        return out


def compiled(net: MoveNet) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function from one square (S, S, 3) of BGR bytes, S the network's input size, to what the
    network says: (17, 2) normalised coordinates (-1..1) and (17,) scores, float32.

    float32 is the faster one, too, where bfloat16 is not done by matrix units.
    """
    import openvino as ov

    crops = torch.zeros(1, net.input_size, net.input_size, 3, dtype=torch.uint8)
    with torch.no_grad():
        program = torch.export.export(_FromBytes(net).eval(), (crops,))
    model = ov.convert_model(program, input=[tuple(crops.shape)])  # else any shape, and slower
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()

    def run(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xy, score = request.infer([np.ascontiguousarray(crop)[None]], share_inputs=True).values()
        return (2 * xy[0] + 1) / net.input_size - 1, score[0]

    return run
