"""Running the window for long, in a few seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from livepose import cli
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import save_model
from livepose.ui import soak

from .fakes import result


def test_figures_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter(100 + k / 100 for k in range(1000))
    monkeypatch.setattr(soak, "memory_mb", lambda: next(sizes))
    queued, stolen = [2.0], [100.0]
    monkeypatch.setattr(soak, "queued_ms", lambda: queued[0])
    monkeypatch.setattr(soak, "stolen_ms", lambda: stolen[0])
    log = soak.Log(0.0)
    for k in range(1, 6001):  # a minute of ticks, with one that is 90 ms late
        if k == 500:
            queued[0], stolen[0] = 62.0, 120.0
        log.tick(k / 100 + (0.09 if k == 500 else 0))
    news = result()
    news.frame.timeline.mark_parts([("handover", 3), ("paint", 2)])
    for _ in range(1800):
        log.painted(news)
    figures = log.figures(60.0, dropped=4)
    assert figures["pictures_per_second"] == 30
    spent = news.frame.timeline.ms()
    assert figures["added_ms"]["median"] == pytest.approx(
        spent["wait"] + spent["handover"] + spent["paint"]
    )
    assert figures["stalls_over_50_ms"] == 1
    assert figures["longest_stall_ms"] == pytest.approx(90, abs=0.1)
    assert figures["longest_stall"]["queueing_ms"] == 60
    assert figures["longest_stall"]["stolen_ms"] == 20
    assert 0 <= figures["longest_stall"]["computing_ms"] < 50
    assert "longest stall: 90 ms (" in soak.as_text({"model": "tiny", **figures})
    assert figures["memory_mb_an_hour"] == pytest.approx(0.01 * 3600, rel=0.02)


@pytest.mark.skipif(not Path("/proc/thread-self").exists(), reason="not Linux")
def test_a_thread_that_waits_for_a_core_knows() -> None:
    before, end = soak.queued_ms(), time.monotonic() + 20
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(2 * len(os.sched_getaffinity(0)))]  # fmt: skip
    try:
        while soak.queued_ms() - before < 10:  # ms, among so many soon
            assert time.monotonic() < end
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert soak.stolen_ms() >= 0


@pytest.mark.parametrize("fast", [False, True])
def test_the_window_runs_for_so_long(
    fast: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: object
) -> None:
    torch.manual_seed(0)
    model = tmp_path / "tiny.safetensors"
    save_model(model, MargiPose(Config("small", 64, heatmap_stride=8)), {}, {})
    monkeypatch.setattr(soak, "_WARM_S", 1.0)
    out = tmp_path / "new" / "soak.json"  # its folder is made
    assert cli.main(["soak", "--minutes", "0.05", "--model", str(model), "--backend", "torch",
                     "--json", str(out), *["--fast"] * fast]) == 0  # fmt: skip
    figures = json.loads(out.read_text())
    assert figures["painted"] > 5
    assert figures["seconds"] == pytest.approx(3, abs=2)
    assert 0 < figures["ui_share_of_a_core"] < 1.1
    assert figures["memory_mb"]["end"] > 0
    assert figures["dropped"] == 0 or not fast


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "livepose", "soak", "--minutes", "0.01"]
    hidden = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    for extra, environment, text in (
        ([], hidden, "no window can be opened"),
        (["--model", str(tmp_path / "no.safetensors")], dict(os.environ), "no model"),
    ):
        done = subprocess.run([*command, *extra], env=environment, capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert done.returncode == 2
        assert text in done.stderr
