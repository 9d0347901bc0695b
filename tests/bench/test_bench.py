"""The benchmark: the same pictures for all, honest sums, and errors in one line."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from livepose import cli
from livepose.bench import command
from livepose.bench.measure import HEIGHT, WARM_UP, WIDTH, pictures, table, timed
from livepose.cv import cv2
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
    images = pictures(str(clip), 12)
    assert {image.shape for image in images} == {(HEIGHT, WIDTH, 3)}
    levels = [int(image[HEIGHT // 2, WIDTH // 2].mean()) for image in images]
    assert levels == pytest.approx([30, 60, 90, 120, 150, 180, 150, 120, 90, 60, 30, 60], abs=3)
    assert images[0][:, :100].max() == 0  # letterboxed: 4 to 3 in 16 to 9


def test_several_people_are_copies_side_by_side(clip: Path) -> None:
    (image,) = pictures(str(clip), 1, people=5)
    bright = image[HEIGHT // 4 :: HEIGHT // 2, WIDTH // 6 :: WIDTH // 3].max(-1) > 20
    assert bright.tolist() == [[True, True, True], [True, True, False]]


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a video"):
        pictures(str(tmp_path / "nothing.avi"), 3)


def test_times_leave_the_warm_up_out() -> None:
    calls = []

    def step(image: np.ndarray, time_s: float) -> int:
        calls.append(time_s)
        time.sleep(0.002)
        return 1

    result = timed(step, [np.zeros((2, 2, 3), np.uint8)] * (WARM_UP + 4))
    assert len(calls) == WARM_UP + 4
    assert len(result["wall"]) == len(result["cpu"]) == 4
    assert min(result["wall"]) >= 2
    assert result["found"] == [1] * 4


def test_the_table_compares_with_mediapipe_where_it_is() -> None:
    entry = {"people": 1, "p95_ms": 1.0, "fps": 1.0, "cpu_ms": 1.0, "memory_mb": 1.0, "found": 1.0}
    rows = [{"name": "livepose lite", "median_ms": 2.0, **entry},
            {"name": "mediapipe pose full", "median_ms": 16.0, **entry}]  # fmt: skip
    text = table(rows).splitlines()
    assert text[0].endswith("times faster than mediapipe pose full")
    assert text[1].split()[-1] == "8.00"
    assert text[2].split()[-1] == "1.00"


def test_the_command_measures_in_turns_and_writes_a_list(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(model, tiny(), {}, {})
    out = tmp_path / "bench.json"
    assert cli.main(["bench", "--source", str(clip), "--models", str(model), "--backends", "torch",
                     "--pictures", "3", "--rounds", "2", "--device", "cpu", "--json", str(out)]
                    ) == 0  # fmt: skip
    (entry,) = json.loads(out.read_text())
    assert {"name", "people", "median_ms", "p95_ms", "cpu_ms"} <= set(entry)
    assert entry["pictures"] == 6
    assert 0 < entry["median_ms"] <= entry["p95_ms"]
    assert "torch" in entry["name"]
    printed = capsys.readouterr()
    assert printed.err.count("round") == 2
    assert "median" in printed.out


def test_a_candidate_that_fails_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_candidates", lambda args, people: [
        [sys.executable, "-c", "raise SystemExit('it broke')", "livepose", "x"]])  # fmt: skip
    assert cli.main(["bench", "--rounds", "1"]) == 2
    assert "it broke" in capsys.readouterr().err
