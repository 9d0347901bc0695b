"""Smaller squares where several people share the time: five cost about twice as much as one."""

from __future__ import annotations

from dataclasses import replace

from livepose.engine.backends import takes_sizes
from livepose.engine.device import Placement
from livepose.engine.loading import Choice
from livepose.models.movenet import STRIDE
from livepose.models.networks import NetworkConfig

# From so many people on, squares of this part of the network's own size: they take as long as two
# people in full. At 3/4 for three, people who are small in the picture were lost to neighbours.
_STEPS = ((3, 0.875), (4, 0.75), (5, 0.625))


def smaller(size: int, people: int) -> dict[int, int]:
    """{from so many people on: pixels of the squares} for up to `people`, for a network of `size`.

    Sides are rounded up to what networks take; {} where nothing gets smaller.
    """
    steps: dict[int, int] = {}
    for least, share in _STEPS:
        side = STRIDE * -(-int(share * size) // STRIDE)
        if least <= people and side < min([size, *steps.values()]):
            steps[least] = side
    return steps


def choices(
    choice: Choice, config: NetworkConfig, people: int, placement: Placement
) -> dict[int, Choice]:
    """{from so many people on: the network of `choice` for smaller squares}.

    On the CPU only: a GPU looks at all squares at once.
    """
    if placement.device.type != "cpu" or not takes_sizes(config):
        return {}
    steps = smaller(config.input_size, people)
    return {n: replace(choice, size=size, squares=n) for n, size in steps.items()}
