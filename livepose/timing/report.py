"""The latency report (JSON, text) and the trace of every stage of every frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from livepose.timing.stats import Stats
from livepose.timing.timeline import Timeline

# Which thread works on a stage: a row each in the trace viewer.
_ROWS = {"capture": 1, "wait": 2, "handover": 2, "paint": 4}
_ROW_NAMES = {1: "capture", 2: "waiting", 3: "inference", 4: "painting"}
_ENGINE_ROW = 3


def report(stats: Stats, *, frames: int, seconds: float, model: str) -> dict[str, Any]:
    """The figures as plain JSON: ``stages``, ``end_to_end`` (ms), ``fps``, ``dropped``, ..."""

    def row(s: Any) -> dict[str, float]:
        return {k: round(v, 3) for k, v in asdict(s).items() if k != "last"}

    return {
        "stages": {name: row(s) for name, s in stats.stages.items()},
        "end_to_end": row(stats.end_to_end),
        "fps": round(frames / seconds, 2) if seconds > 0 else 0.0,
        "capture_fps": round(stats.capture_fps, 2),
        "frames": frames,
        "captured": stats.captured,
        "dropped": stats.dropped,
        "seconds": round(seconds, 3),
        "model": model,
        "device": stats.device,
        "precision": stats.precision,
        "note": stats.note,
        "source": stats.source,
    }


def as_text(figures: dict[str, Any]) -> str:
    """The report as a table for the terminal."""
    lines = [f"{'stage':<12}{'median':>9}{'p95':>9}{'max':>9}   ms"]
    rows = {**figures["stages"], "end to end": figures["end_to_end"]}
    lines += [
        f"{n:<12}{s['median']:>9.2f}{s['p95']:>9.2f}{s['max']:>9.2f}" for n, s in rows.items()
    ]
    lines.append(
        f"{figures['frames']} frames in {figures['seconds']:.1f} s, "
        f"{figures['fps']:.1f} per second, {figures['dropped']} dropped; "
        f"{figures['model']} on {figures['device']}, "
        f"{figures['precision']}"
    )
    return "\n".join(lines)


def write_json(file: Path, figures: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=2) + "\n")


def write_trace(file: Path, frames: Sequence[tuple[int, Timeline]]) -> None:
    """All stages of all frames in the Chrome trace event format; opens in ui.perfetto.dev.

    Args:
        frames: frame id and timeline, each.
    """
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": {"name": name}}
        for tid, name in _ROW_NAMES.items()
    ]
    for frame, timeline in frames:
        events += [
            {"ph": "X", "pid": 1, "tid": _ROWS.get(span.stage, _ENGINE_ROW), "name": span.stage,
             "ts": span.begin_ns / 1e3, "dur": (span.end_ns - span.begin_ns) / 1e3,
             "args": {"frame": frame}}
            for span in timeline.spans
        ]  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))
