"""The benchmark: the same pictures for all, honest sums, and errors in one line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from livepose import cli
from livepose.bench import command, peers
from livepose.bench.measure import (
    HEIGHT,
    WARM_UP,
    WIDTH,
    Seen,
    memory_mb,
    pictures,
    table,
    timed,
)
from livepose.cv import cv2
from livepose.engine.device import Placement
from livepose.models.store import save_model
from tests.engine.fakes import tiny


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures, each lighter than the one before."""
    file = tmp_path_factory.mktemp("clip") / "clip.avi"
    out = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for k in range(6):
        out.write(np.full((240, 320, 3), 30 + 30 * k, np.uint8))
    out.release()
    return file


def test_pictures_are_of_one_size_and_go_on_backwards(clip: Path) -> None:
    images = [image for image, _ in pictures(str(clip), 12)]
    assert {image.shape for image in images} == {(HEIGHT, WIDTH, 3)}
    levels = [int(image[HEIGHT // 2, WIDTH // 2].mean()) for image in images]
    assert levels == pytest.approx([30, 60, 90, 120, 150, 180, 150, 120, 90, 60, 30, 60], abs=3)
    assert images[0][:, :100].max() == 0  # letterboxed: 4 to 3 in 16 to 9


def test_times_are_those_of_the_clip(tmp_path: Path) -> None:
    slow = tmp_path / "slow.avi"
    out = cv2.VideoWriter(str(slow), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(3):
        out.write(np.zeros((240, 320, 3), np.uint8))
    out.release()
    assert [t for _, t in pictures(str(slow), 5)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_several_people_are_copies_side_by_side(clip: Path) -> None:
    ((image, _),) = pictures(str(clip), 1, people=5)
    bright = image[HEIGHT // 4 :: HEIGHT // 2, WIDTH // 6 :: WIDTH // 3].max(-1) > 20
    assert bright.tolist() == [[True, True, True], [True, True, False]]


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a video"):
        next(pictures(str(tmp_path / "nothing.avi"), 3))


def test_times_leave_the_warm_up_out() -> None:
    calls = []

    def step(image: np.ndarray, time_s: float) -> Seen:
        calls.append(time_s)
        time.sleep(0.002)
        return Seen(1, device_ms=time_s)

    images = [(np.zeros((2, 2, 3), np.uint8), float(k)) for k in range(WARM_UP + 4)]
    result = timed(step, images)
    assert calls == [time_s for _, time_s in images]
    assert result["on_device"] == calls[WARM_UP:]
    assert len(result["wall"]) == len(result["cpu"]) == 4
    assert min(result["wall"]) >= 2
    assert result["found"] == [1] * 4


def test_memory_is_that_of_who_looks_and_not_of_the_pictures(clip: Path) -> None:
    kept = []

    def greedy(image: np.ndarray, time_s: float) -> Seen:
        if len(kept) < 3:  # so large that nothing freed by other tests is taken again
            kept.append(np.ones(40_000_000, np.uint8))
        return Seen(1)

    before = memory_mb()
    modest = timed(lambda image, time_s: Seen(1), pictures(str(clip), 60))  # of 166 MB
    assert modest["memory_mb"] - before < 80
    assert timed(greedy, pictures(str(clip), 60))["memory_mb"] - modest["memory_mb"] > 80


def test_the_table_compares_with_mediapipe_where_it_is() -> None:
    entry = {"people": 1, "p95_ms": 1.0, "fps": 1.0, "cpu_ms": 1.0, "memory_mb": 1.0, "found": 1.0}
    rows = [{"name": "livepose lite", "median_ms": 2.0, **entry},
            {"name": "mediapipe pose full", "median_ms": 16.0, **entry}]  # fmt: skip
    broken = {"name": "movenet", "people": 1, "median_ms": None, "problem": "no weights"}
    text = table([*rows, broken]).splitlines()
    assert text[0].endswith("times faster than mediapipe pose full")
    assert text[1].split()[-1] == "8.00"
    assert text[2].split()[-1] == "1.00"
    assert text[3].split() == ["movenet", "no", "weights"]
    assert "no weights" in table([broken])  # nothing to compare with
    on_gpu = {**rows[0], "device_ms": 0.25}
    assert table([on_gpu]).splitlines()[1].split()[-4] == "0.25"


def test_the_command_measures_in_turns_and_writes_a_list(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(model, tiny(), {}, {})
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--source", str(clip), "--models", f"{model}@64",
                     "--backends", "torch", "--pictures", "3", "--rounds", "2",
                     "--device", "cpu", "--json", str(out)]) == 0  # fmt: skip
    (entry,) = json.loads(out.read_text())
    assert {"name", "people", "median_ms", "p95_ms", "cpu_ms"} <= set(entry)
    assert entry["pictures"] == 6
    assert 0 < entry["median_ms"] <= entry["p95_ms"]
    assert entry["name"].startswith("livepose tiny@64 (torch")
    printed = capsys.readouterr()
    assert printed.err.count("round") == 2
    assert "median" in printed.out


def test_a_candidate_that_fails_is_named_and_the_others_are_measured(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(model, tiny(), {}, {})
    out = tmp_path / "bench.json"
    command = [
        "bench",
        "--source",
        str(clip),
        "--pictures",
        "2",
        "--rounds",
        "2",
        "--device",
        "cpu",
        "--models",
        str(model),
        "--json",
        str(out),
        "--mediapipe",
        str(tmp_path / "no"),
    ]
    assert cli.main([*command, "--backends", "cuda-graph", "torch"]) == 0
    failed, good, peer = json.loads(out.read_text())
    assert failed["name"] == "livepose tiny (cuda-graph)"
    assert "does not run on cpu" in failed["problem"]
    assert failed["median_ms"] is None
    assert good["median_ms"] > 0
    assert "problem" not in good
    assert "No such file" in peer["problem"]
    printed = capsys.readouterr()
    assert printed.err.count("does not run on cpu") == 1  # not tried again
    assert "does not run on cpu" in printed.out
    assert cli.main([*command, "--backends", "cuda-graph"]) == 2


def test_peers_say_what_they_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[dict[str, Any]] = []
    monkeypatch.setattr(command, "_run", lambda line: {
        "name": "livepose", "device": "CPU", "wall": [1.0], "cpu": [1.0], "on_device": [],
        "found": [5], "memory_mb": 1.0})  # fmt: skip
    monkeypatch.setattr(command, "table", lambda found: entries.extend(found) or "")
    assert cli.main(["bench", "--models", "base", "--people", "5", "--mediapipe", "python",
                     "--device", "cpu"]) == 0  # fmt: skip
    assert [e.get("problem") for e in entries] == [None, None, "follows one person only"]


@pytest.mark.parametrize(("device", "backends"), [
    ("cpu", ["openvino", "torch"]), ("cuda", ["cuda-graph", "torch"]),
])  # fmt: skip
def test_the_backends_are_those_of_the_device(
    device: str, backends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def run(line: Sequence[str]) -> dict[str, Any]:
        tried.append(line[line.index("--backend") + 1])
        raise RuntimeError("enough")

    monkeypatch.setattr(command, "_run", run)
    monkeypatch.setattr(command, "choose",
                        lambda *a: Placement(torch.device(device), torch.float32))  # fmt: skip
    monkeypatch.setattr(command, "mediapipe_python", lambda wanted: None)
    assert cli.main(["bench", "--models", "base"]) == 2
    assert tried == backends


def test_unknown_devices_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--device", "abacus"]) == 2
    assert "known: auto, cpu, cuda" in capsys.readouterr().err


def test_mediapipe_is_used_where_it_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for here, wanted, used in ((True, None, sys.executable), (True, "other", "other"),
                               (False, None, None), (False, "other", "other")):  # fmt: skip
        found = ModuleSpec("mediapipe", None) if here else None
        monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name, found=found: found)
        assert peers.mediapipe_python(wanted) == used
