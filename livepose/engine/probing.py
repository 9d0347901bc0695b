"""One unit of a layer at work on the live picture."""

from __future__ import annotations

from dataclasses import dataclass

from livepose.crop import Square, cut, to_input
from livepose.engine import region as regions
from livepose.frames import Activation, Result
from livepose.models.networks import PoseNetwork
from livepose.models.units import activations, layers


@dataclass(frozen=True, slots=True)
class Probe:
    """layer: one of `livepose.models.units.layers` or the name of a module. unit: from 0 on."""

    layer: str
    unit: int


def probed(net: PoseNetwork, probe: Probe, result: Result) -> Activation:
    """What the unit answers to the first person of a result, or to the whole picture.

    The network runs once more, in torch, whatever backend gave the result.

    Raises:
        ValueError: there is no such layer.
    """
    frame = result.frame
    look = (result.poses[0].region if result.poses
            else regions.whole(frame.width, frame.height))  # fmt: skip
    crop = cut(frame.image, Square.of(look), net.config.input_size)
    where = next(net.parameters())
    x = to_input([crop]).to(where.device, where.dtype)
    maps = activations(net, x, layers(net).get(probe.layer, probe.layer))[0].cpu().numpy()
    unit = min(max(probe.unit, 0), len(maps) - 1)
    return Activation(probe.layer, unit, len(maps), maps[unit], look)
