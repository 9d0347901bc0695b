"""Smaller squares where several people share the time: five cost about twice as much as one."""

from __future__ import annotations

from dataclasses import replace

from livepose.engine.backends import takes_sizes
from livepose.engine.loading import Choice, Ready
from livepose.models.movenet import STRIDE

# From so many people on, squares of this part of the network's own size.
_STEPS = ((3, 0.75), (5, 0.625))


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


def choices(ready: Ready, people: int) -> dict[int, Choice]:
    """{from so many people on: the same network for smaller squares}, {} where it takes none."""
    config = ready.net.config
    if people == 1 or not takes_sizes(config):
        return {}
    return {least: replace(ready.choice, size=size)
            for least, size in smaller(config.input_size, people).items()}  # fmt: skip
