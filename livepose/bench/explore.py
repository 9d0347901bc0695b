"""Speed against accuracy: every model, input size, backend and precision that runs here.

Times are measured on this machine (`livepose.bench.measurer`) and kept from one run to the next.
Accuracy is quoted from the models' cards, or measured on a data set.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from livepose import __version__
from livepose.engine.backends import takes_sizes
from livepose.engine.device import cpu_has_bfloat16, cpu_has_int8
from livepose.models import store
from livepose.models.margipose import Config
from livepose.models.networks import NetworkConfig
from livepose.resources import cache_folder

SIZES = (128, 160, 192, 224, 256)  # that networks are offered at, beside their own


@dataclass(frozen=True, slots=True)
class Point:
    """One way to run one model, and what is known of it.

    model: a shipped name, or an absolute path; sha256: of its weights. native: whether the size is
    the model's own. heatmap: cells along the side of a map. threads: on the CPU, 0 on a GPU.

    pck: PCK@0.2, None where nobody knows it; measured on so many `pictures` of the data set `data`,
    or with 0 pictures quoted from the model's card (LSP's test half).

    ms: median time of a picture of 1280x720, from its pixels to joints, None until measured.
    problem: why there is none. date: of measuring, year-month-day. beside: the live view was going
    on, by turns; else it was measured alone.
    """

    model: str
    size: int
    backend: str
    precision: str
    output: str
    heatmap: int
    pck: float | None = None
    data: str = ""
    pictures: int = 0
    ms: float | None = None
    problem: str = ""
    date: str = ""
    beside: bool = False
    device: str = "cpu"
    threads: int = 0
    native: bool = True
    sha256: str = ""

    @property
    def key(self) -> str:
        return key(self.model, self.size, self.device, self.backend, self.precision)

    @property
    def way(self) -> tuple[object, ...]:
        """What a time belongs to."""
        return self.key, self.threads, self.sha256

    @property
    def network(self) -> tuple[object, ...]:
        """What an accuracy belongs to: backends compute the same."""
        return self.model, self.size, self.precision, self.sha256


def key(model: str, size: int | None, device: str, backend: str, precision: str) -> str:
    """Of a point, for people and programs."""
    return f"{model}@{size}/{backend}/{precision} on {device}"


def named(model: str) -> str:
    """A shipped model's name as it is, a path so that it holds in every folder."""
    return str(Path(model).expanduser().resolve()) if model.endswith(".safetensors") else model


def available_backends(device: str = "cpu") -> list[tuple[str, str]]:
    """(backend, precision) that can be tried on a device, the fastest first."""
    if device != "cpu":
        return [("cuda-graph", "float16"), ("cuda-graph", "float32"), ("torch", "float16")]
    halves = ["bfloat16"] if cpu_has_bfloat16() else []
    small = ["int8"] if cpu_has_int8() else []
    pairs = [("torch", p) for p in (*halves, "float32")]
    for name in ("onnxruntime", "openvino"):
        if importlib.util.find_spec(name) is None:
            continue
        precisions = ("float32",) if name == "onnxruntime" else (*small, *halves, "float32")
        pairs = [(name, p) for p in precisions] + pairs
    return pairs


def points(models: Iterable[str], device: str = "cpu", threads: int = 0) -> list[Point]:
    """All points, without times: those of the device, and beside a GPU those of the CPU.

    threads: on the CPU, 0 for as many as torch uses.

    Raises:
        WeightsError: a model that cannot be read.
    """
    threads = threads or torch.get_num_threads()
    ways = [(place, *pair) for place in dict.fromkeys((device, "cpu"))
            for pair in available_backends(place)]  # fmt: skip
    out = []
    for model in map(named, models):
        card = store.read_card(store.find(model))
        output, stride = _output(card.config)
        own = card.config.input_size
        # Those of a study have seen one size.
        several = takes_sizes(card.config) and not card.shared
        for size in sorted({own, *SIZES} if several else {own}):
            for place, backend, precision in ways:
                if precision == "int8" and not card.ranges:
                    continue
                out.append(Point(
                    model, size, backend, precision, output, size // stride,
                    quoted(card, size, precision), device=place, native=size == own,
                    threads=threads if place == "cpu" else 0, sha256=card.sha256,
                ))  # fmt: skip
    return out


def quoted(card: store.Card, size: int, precision: str) -> float | None:
    """PCK@0.2 on LSP's test half by the card, as `livepose eval --card` writes it.

    Half precision without a figure of its own has that of float32.
    """
    measured = card.measured
    pck = measured.get("lsp_test_at", {}).get(f"{size}/{precision}", {}).get("pck")
    if pck is None and size == card.config.input_size:
        pck = {"float32": measured.get("lsp_test_pck"),
               "int8": measured.get("lsp_test_int8", {}).get("pck")}.get(precision)  # fmt: skip
    if pck is None and precision in ("bfloat16", "float16"):
        return quoted(card, size, "float32")
    return pck


def _output(config: NetworkConfig) -> tuple[str, int]:
    """Output strategy and pixels along the side of a heatmap's cell."""
    if isinstance(config, Config):
        return config.output, config.heatmap_stride
    return "multitask", 16


def pareto(found: Sequence[Point]) -> list[Point]:
    """Those that no other one beats in both, the fastest first."""
    known = [p for p in found if p.ms is not None and p.pck is not None]
    front: list[Point] = []
    for point in sorted(known, key=lambda p: (p.ms, -p.pck)):  # type: ignore[operator, arg-type]
        if not front or point.pck > front[-1].pck:  # type: ignore[operator]
            front.append(point)
    return front


def updated(found: Sequence[Point], new: Point) -> list[Point]:
    """The points with what has been measured of one of them.

    A time measured alone is not replaced by one beside the live view. An accuracy is that of all
    points with the same network.
    """
    return [_judged_as(_timed_as(p, new) if p.way == new.way else p, new) for p in found]


def _timed_as(old: Point, new: Point) -> Point:
    tried = new.ms is not None or new.problem
    if not tried or (new.beside and old.ms is not None and not old.beside):
        return old
    return replace(old, ms=new.ms, problem=new.problem, date=new.date, beside=new.beside)


def _judged_as(old: Point, new: Point) -> Point:
    if not new.pictures or new.network != old.network:
        return old
    return replace(old, pck=new.pck, data=new.data, pictures=new.pictures)


# ----------------------------------------------------------------- results, kept for this machine


def results_file() -> Path:
    """Where the results of this machine, with these versions, are kept."""
    here = f"{platform.node()} {platform.processor()} {platform.machine()} {__version__} "
    here += torch.__version__
    return cache_folder("explorer", hashlib.sha256(here.encode()).hexdigest()[:16] + ".json")


def load(found: Sequence[Point], file: Path) -> list[Point]:
    """The points with what is known already of the same weights and threads."""
    rows = _rows(file)
    times = {row.way: row for row in rows}
    judged = {row.network: row for row in rows}
    timed = [_timed_as(p, times.get(p.way, p)) for p in found]
    return [_judged_as(p, judged.get(p.network, p)) for p in timed]


def save(found: Sequence[Point], file: Path) -> None:
    """Adds what was measured to what is kept; raises OSError where it cannot be."""
    rows = {row.way: row for row in _rows(file)}
    for point in found:
        if point.ms is not None or point.problem or point.pictures:
            rows[point.way] = _judged_as(_timed_as(rows.get(point.way, point), point), point)
    judged = {p.network: p for p in found if p.pictures}
    kept = [_judged_as(row, judged.get(row.network, row)) for row in rows.values()]
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as fresh:
        fresh.write(as_json(kept))
    os.replace(fresh.name, file)  # whole, or not at all


def _rows(file: Path) -> list[Point]:
    try:
        return [Point(**row) for row in json.loads(file.read_text())]
    except (OSError, ValueError, TypeError):  # none yet, or of another version
        return []


def as_json(found: Sequence[Point]) -> str:
    return json.dumps([asdict(p) for p in found], indent=2) + "\n"


def export(found: Sequence[Point], file: Path) -> None:
    """Writes all points as .csv or .json, by the file's name.

    Raises:
        ValueError: another kind of file. OSError: it cannot be written.
    """
    if file.suffix == ".json":
        file.write_text(as_json(found))
    elif file.suffix == ".csv":
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, fieldnames=list(Point.__dataclass_fields__))
            writer.writeheader()
            writer.writerows(map(asdict, found))
    else:
        raise ValueError(f"{file.name}: points are written as .csv, .json or .png")
