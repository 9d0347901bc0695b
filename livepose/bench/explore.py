"""Speed against accuracy: every model, input size, backend and precision that runs here.

Times are measured on this machine, in a process of their own (`Measurer`), and kept from one run
to the next. Accuracy is quoted from the models' cards, or measured on a data set.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

import torch

from livepose import __version__
from livepose.engine.device import cpu_has_bfloat16, cpu_has_int8
from livepose.models import store
from livepose.models.margipose import Config
from livepose.models.networks import NetworkConfig
from livepose.resources import cache_folder

SIZES = (128, 160, 192, 224, 256)


@dataclass(frozen=True, slots=True)
class Point:
    """One way to run one model. pck: PCK@0.2 on LSP's test half, quoted from the card or measured;
    None where nobody knows it. ms: median time of a picture on this machine, None until measured.
    """

    model: str
    size: int
    backend: str
    precision: str
    output: str
    heatmap: int
    pck: float | None = None
    pck_measured: bool = False
    ms: float | None = None
    problem: str = ""

    @property
    def key(self) -> str:
        return f"{self.model}@{self.size}/{self.backend}/{self.precision}"

    @property
    def native(self) -> bool:
        """Whether the model has this size by itself."""
        return self.size == store.read_card(store.find(self.model)).config.input_size


def available_backends(device: str = "cpu") -> list[tuple[str, str]]:
    """(backend, precision) that can be tried here, the fastest first."""
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


def points(models: Iterable[str], device: str = "cpu") -> list[Point]:
    """All points, without times. Raises `WeightsError` for a model that cannot be read."""
    out, ways = [], available_backends(device)
    for model in models:
        card = store.read_card(store.find(model))
        output, stride = _output(card.config)
        quoted = {card.config.input_size: card.measured.get("lsp_test_pck")}
        quoted |= {int(k): v for k, v in card.measured.get("lsp_test_sizes", {}).items()}
        rounded = {card.config.input_size: card.measured.get("lsp_test_int8", {}).get("pck")}
        for size in sorted(quoted):
            for backend, precision in ways:
                if precision == "int8" and not card.ranges:
                    continue
                known = rounded if precision == "int8" else quoted
                out.append(Point(model, size, backend, precision, output, size // stride,
                                 known.get(size)))  # fmt: skip
    return out


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


# ----------------------------------------------------------------- results, kept for this machine


def results_file() -> Path:
    """Where the times of this machine, with these versions, are kept."""
    here = f"{platform.node()} {platform.processor()} {platform.machine()} {__version__} "
    here += f"{torch.__version__} {torch.get_num_threads()}"
    return cache_folder("explorer", hashlib.sha256(here.encode()).hexdigest()[:16] + ".json")


def load(found: Sequence[Point], file: Path) -> list[Point]:
    """The points with the times that are known already."""
    try:
        kept = json.loads(file.read_text())
        times = {row["key"]: row for row in kept if row["sha256"] == _sha(row["model"])}
    except (OSError, ValueError, KeyError, TypeError):
        return list(found)
    return [replace(p, ms=row["ms"], problem=row["problem"]) if (row := times.get(p.key)) else p
            for p in found]  # fmt: skip


def save(found: Sequence[Point], file: Path) -> None:
    """Keeps the times; `load` takes them as long as the weights are the same."""
    rows = [{"key": p.key, "model": p.model, "ms": p.ms, "problem": p.problem,
             "sha256": _sha(p.model)} for p in found if p.ms is not None or p.problem]  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=2) + "\n")


def _sha(model: str) -> str:
    try:
        return store.read_card(store.find(model)).sha256
    except store.WeightsError:
        return ""


def export(found: Sequence[Point], file: Path) -> None:
    """Writes all points as .csv or .json, by the file's name.

    Raises:
        ValueError: another kind of file. OSError: it cannot be written.
    """
    rows = [asdict(p) for p in found]
    if file.suffix == ".json":
        file.write_text(json.dumps(rows, indent=2) + "\n")
    elif file.suffix == ".csv":
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, fieldnames=list(Point.__dataclass_fields__))
            writer.writeheader()
            writer.writerows(rows)
    else:
        raise ValueError(f"{file.name}: points are written as .csv or .json")


# ------------------------------------------------------------------------- measuring, beside all


class Measurer:
    """Measures points in a process of its own; callbacks come on a thread of this one.

    on_point: called with each point and its time (or its problem). on_end: with "" or what went
    wrong; after `cancel` too.
    """

    def __init__(
        self, found: Sequence[Point], device: str, on_point: Callable[[Point], None],
        on_end: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._points = list(found)
        self._on_point, self._on_end = on_point, on_end
        self._cancelled = False
        command = [sys.executable, "-m", "livepose.bench.explore_worker", "--device", device]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self._thread = threading.Thread(target=self._run, name="explorer", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ends it; what was measured stays measured."""
        self._cancelled = True
        self._process.kill()

    def wait(self, timeout_s: float | None = None) -> bool:
        """True once it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        process = self._process
        stdin, stdout, stderr = (_there(s) for s in (process.stdin, process.stdout, process.stderr))
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(stderr), daemon=True)
        reader.start()
        try:
            stdin.write(json.dumps([asdict(p) for p in self._points]) + "\n")
            stdin.close()
            for line in stdout:
                if line.startswith("{"):
                    row = json.loads(line)
                    point = self._points[row["index"]]
                    self._on_point(replace(point, ms=row.get("ms"), problem=row.get("problem", "")))
        except OSError:  # it has ended before it was asked
            pass
        status = process.wait()
        reader.join(1)
        failed = status != 0 and not self._cancelled
        last = errors[-1].strip() if errors else f"status {status}"
        self._on_end(f"measuring ended early: {last}" if failed else "")


def _there(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
