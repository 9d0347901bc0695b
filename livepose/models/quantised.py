"""Arithmetic in 8-bit integers for the convolutions and the attention's linear layers, which is
twice as fast on most CPUs.

What goes into a layer is rounded to 256 steps between two ends that were seen on pictures
(`observe`), its weights to 255 steps about 0 for each output channel: Jacob et al. 2018,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
section 2. Rounding the few weights of a depthwise channel moves all that it puts out to one side;
by how much, follows from the mean of what goes in, and the bias takes it back: Nagel et al. 2019,
"Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2.

Processors without VNNI (AVX2 alone) add up pairs of products in 16 bits and clip what is larger,
which spoils a network without a word; their products of small matrices are slow, too. For them
weights have 7 bits, so that no pair can be too large, and linear layers stay in float32 (`vnni`).

`quantised` rounds in float32, and so shows in torch how exact it is; a runtime that finds the
rounding in a graph multiplies in integers (`livepose.engine.backends`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from livepose.models.context import Context
from livepose.models.movenet import Block, Conv


class Range(NamedTuple):
    """What goes into a layer: lowest and highest number, and for a depthwise one the mean of each
    channel; () if it is not known."""

    low: float
    high: float
    mean: tuple[float, ...] = ()


Ranges = Mapping[str, Range]  # by the layer's name
_CUT = 1e-4  # of the numbers at either end: they are clipped, and leave finer steps to the others

Net = TypeVar("Net", bound=nn.Module)


def layers(net: nn.Module) -> dict[str, nn.Module]:
    """The layers whose input is rounded; a residual block's, once for both of its branches."""
    weighted = _weighted(net)
    return {
        name: module for name, module in net.named_modules()
        if (isinstance(module, Block) and module.expands)
        or (module in weighted and not name.endswith(".expand"))
    }  # fmt: skip


def _weighted(net: nn.Module) -> set[Conv | nn.Linear]:
    """The layers whose weights are rounded; not those of the lifting, which takes coordinates."""
    linear = {layer for module in net.modules() if isinstance(module, Context)
              for layer in module.modules() if isinstance(layer, nn.Linear)}  # fmt: skip
    return linear | {module for module in net.modules() if isinstance(module, Conv)}


@torch.inference_mode()
def observe(net: nn.Module, batches: Iterable[Tensor]) -> dict[str, Range]:
    """What goes into the layers of a network that looks at (B, 3, H, W) pictures in -1..1."""
    ends: dict[str, list[tuple[float, float]]] = {name: [] for name in layers(net)}
    means: dict[str, list[Tensor]] = {name: [] for name in ends}

    def hook(name: str) -> torch.utils.hooks.RemovableHandle:
        def see(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].float()
            # Elsewhere so many weights are added up that their errors hardly matter.
            if isinstance(layer, Conv) and layer.groups > 1:
                means[name].append(x.mean((0, 2, 3)))
            x = x.flatten()
            k = max(1, int(_CUT * x.numel()))
            ends[name].append((-float(torch.topk(-x, k, sorted=False).values.min()),
                               float(torch.topk(x, k, sorted=False).values.min())))  # fmt: skip

        return layers(net)[name].register_forward_pre_hook(see)

    hooks = [hook(name) for name in ends]
    try:
        for batch in batches:
            net(batch)
    finally:
        for each in hooks:
            each.remove()
    # As exact as they are kept on disk.
    mean = {name: tuple(torch.stack(seen).mean(0).half().tolist()) for name, seen in means.items()
            if seen}  # fmt: skip
    return {name: Range(min(0.0, *(low for low, _ in seen)), max(1e-6, *(high for _, high in seen)),
                        mean.get(name, ()))
            for name, seen in ends.items()}  # fmt: skip


def quantised(net: Net, ranges: Ranges, vnni: bool = True) -> Net:
    """A copy of the network that rounds, in float32; layers without ranges stay as they are.

    vnni: as for processors that have it; without, see the module's text.

    Raises:
        ValueError: the ranges are those of another network.
    """
    net = copy.deepcopy(net).float()
    found, weighted = layers(net), _weighted(net)
    if not ranges or set(ranges) - set(found):
        raise ValueError("the ranges for int8 are those of another network")
    if not vnni:
        ranges = {k: ends for k, ends in ranges.items() if not isinstance(found[k], nn.Linear)}
    for name, (low, high, _) in ranges.items():
        found[name].register_forward_pre_hook(_Rounded(low, high))
    rounded = {name: module for name, module in net.named_modules()
               if module in weighted and name.removesuffix(".expand") in ranges}  # fmt: skip
    for name, module in rounded.items():
        assert isinstance(module, Conv | nn.Linear)
        exact = module.weight.detach().clone()
        rounding = _RoundedWeight(exact, most=127 if vnni else 63)
        parametrize.register_parametrization(module, "weight", rounding)
        if mean := ranges[name.removesuffix(".expand")].mean:
            # What rounding adds on the average.
            added = (module.weight.detach() - exact).flatten(1).sum(1) * torch.tensor(mean)
            bias = -added if module.bias is None else module.bias.detach() - added
            module.bias = nn.Parameter(bias, requires_grad=False)
    return net


class _Rounded:
    """Rounds what goes into a layer (equations 1 and 12)."""

    def __init__(self, low: float, high: float) -> None:
        self.scale = (high - low) / 255
        self.zero = round(-low / self.scale)

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = torch.fake_quantize_per_tensor_affine(inputs[0], self.scale, self.zero, 0, 255)
        return (x, *inputs[1:])


class _RoundedWeight(nn.Module):
    """To whole numbers up to `most` on either side of 0, for each output channel."""

    def __init__(self, weight: Tensor, most: int) -> None:
        super().__init__()
        scale = weight.detach().abs().flatten(1).amax(1).clamp(min=1e-8) / most
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros(len(weight), dtype=torch.int32))

    def forward(self, weight: Tensor) -> Tensor:
        return torch.fake_quantize_per_channel_affine(
            weight, self.scale, self.zero, 0, -127, 127)  # type: ignore[arg-type]  # fmt: skip
