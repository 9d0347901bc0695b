"""How the explorer's points are drawn, in the window and in a picture; what the marks mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livepose.bench.explore import Point, pareto
from livepose.palette import RGB

# Backends by colour (Okabe & Ito), output strategies by shape (as matplotlib calls them),
# precisions by size: fewer bits, smaller.
BACKENDS: dict[str, tuple[str, RGB]] = {
    "openvino": ("OpenVINO", (86, 180, 233)), "torch": ("torch", (230, 159, 0)),
    "onnxruntime": ("ONNX Runtime", (0, 178, 130)), "cuda-graph": ("CUDA graph", (224, 130, 184)),
}  # fmt: skip
OUTPUTS = {"dsnt": ("DSNT", "o"), "heatmap": ("heatmap matching", "s"),
           "fc": ("fully connected", "^"), "multitask": ("multi-task", "D")}  # fmt: skip
DIAMETERS = {"float32": 15, "bfloat16": 11, "float16": 11, "int8": 7}  # pixels
ACROSS, UP = "time of a picture, ms", "PCK@0.2, %"
RAIL, FRONT = "accuracy not measured", "none is faster and better"
_GREY = (140, 140, 140)


@dataclass(frozen=True, slots=True)
class Mark:
    """shape: as matplotlib calls it. diameter: in pixels."""

    label: str = ""
    shape: str = "o"
    colour: RGB = _GREY
    diameter: int = 11
    filled: bool = True


def mark(point: Point) -> Mark:
    """How a point is drawn."""
    colour = BACKENDS.get(point.backend, ("", _GREY))[1]
    shape = OUTPUTS.get(point.output, ("", "o"))[1]
    return Mark(point.key, shape, colour, DIAMETERS.get(point.precision, 11), point.pictures > 0)


def legend(found: Sequence[Point]) -> dict[str, list[Mark]]:
    """What the marks of these points mean, by what they tell apart."""
    backends, outputs = {p.backend for p in found}, {p.output for p in found}
    precisions = {p.precision for p in found}
    return {
        "Backend": [Mark(title, colour=colour) for name, (title, colour) in BACKENDS.items()
                    if name in backends],
        "Output": [Mark(title, shape) for name, (title, shape) in OUTPUTS.items()
                   if name in outputs],
        "Arithmetic": [Mark(name, diameter=size) for name, size in DIAMETERS.items()
                       if name in precisions],
        "Accuracy": [Mark("measured here"), Mark("quoted from the model's card", filled=False)],
    }  # fmt: skip


def rail(found: Sequence[Point]) -> float:
    """Height in % at which points are drawn whose accuracy nobody knows: below all others."""
    known = [100 * p.pck for p in found if p.ms is not None and p.pck is not None]
    return min(known) - 0.15 * max(10.0, max(known) - min(known)) if known else 0.0


def place(point: Point, below: float) -> tuple[float, float] | None:
    """ms and %, if there is a time. below: the `rail` of all points."""
    if point.ms is None:
        return None
    return point.ms, below if point.pck is None else 100 * point.pck


def save_plot(found: Sequence[Point], file: Path) -> None:
    """The plot as a picture, without a window.

    Raises:
        ValueError: matplotlib is not installed, or does not know this kind of file.
        OSError: the file cannot be written.
    """
    try:
        import matplotlib
    except ImportError:
        raise ValueError("no plot without matplotlib: pip install 'livepose[train]'") from None
    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    figure, axes = pyplot.subplots(figsize=(9, 7), layout="constrained")
    below = rail(found)
    places = [(mark(p), at) for p in found if (at := place(p, below))]
    for one, at in places:
        axes.plot(*at, **_style(one))
    front = [at for p in pareto(found) if (at := place(p, below))]
    axes.plot(*zip(*front, strict=True) if front else ([], []), color="0.6", zorder=1, label=FRONT)
    if any(p.pck is None and p.ms is not None for p in found):
        axes.axhline(below, color="0.8", zorder=0)
        axes.annotate(RAIL, (0.01, below), (0, -14), xycoords=("axes fraction", "data"),
                      textcoords="offset points", color="0.4")  # fmt: skip
    axes.margins(y=0.08)
    axes.set(xscale="log", xlabel=ACROSS, ylabel=UP)
    axes.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator(),
                   major_formatter="{x:g}")  # fmt: skip
    axes.grid(alpha=0.3)
    for name, group in legend(found).items():
        for one in group:
            axes.plot([], [], label=f"{name}: {one.label}", **_style(one))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    try:
        figure.savefig(file)
    finally:
        pyplot.close(figure)


def _style(one: Mark) -> dict[str, Any]:
    colour = tuple(c / 255 for c in one.colour)
    return {"marker": one.shape, "color": colour, "linestyle": "", "markersize": 0.6 * one.diameter,
            "fillstyle": "full" if one.filled else "none"}  # fmt: skip
