"""Runs without a window, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from livepose import cli
from livepose.cv import cv2
from livepose.engine import headless
from livepose.engine.draw import annotated
from livepose.engine.session import Session
from livepose.frames import Result
from livepose.skeleton import J
from tests.engine.fakes import CALM, TINY, SlowNet, frame, pose, tiny


def run(source: str | None, lossless: bool = False, load=tiny, **options) -> dict:  # type: ignore[no-untyped-def,type-arg]
    def make(on_result, on_event):  # type: ignore[no-untyped-def]
        return Session(source, "tiny", on_result=on_result, on_event=on_event, window=None,
                       lossless=lossless, **{**CALM, "load": load})  # fmt: skip

    return headless.run(make, headless.HeadlessOptions(**options))


def video(file: Path, frames: int = 12, size: tuple[int, int] = (96, 64)) -> Path:
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 30, size)
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), 20 * i % 255, np.uint8))
    writer.release()
    return file


def test_headless_writes_video_report_and_trace(tmp_path: Path) -> None:
    clip = video(tmp_path / "in.avi")
    figures = run(str(clip), lossless=True, video=tmp_path / "out.mp4", trace=tmp_path / "t.json")
    assert figures["frames"] == 12
    assert figures["dropped"] == 0
    assert list(figures["stages"]) == [
        "capture", "wait", "preprocess", "upload", "forward", "decode", "download",
        "track"]  # fmt: skip
    for row in (*figures["stages"].values(), figures["end_to_end"]):
        assert 0 <= row["median"] <= row["p95"] <= row["max"]
    read = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert read.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert read.get(cv2.CAP_PROP_FPS) == pytest.approx(30, abs=1)
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    spans = Counter(e["name"] for e in events if e["ph"] == "X")
    assert {spans[stage] for stage in ("capture", "wait", "track")} == {12}
    # Whoever is new is looked at twice in a picture.
    assert all(spans[stage] >= 12 for stage in ("preprocess", "upload", "forward", "download"))


def test_the_video_keeps_the_time_of_the_source_when_pictures_are_dropped(tmp_path: Path) -> None:
    clip = video(tmp_path / "in.avi", frames=90)
    figures = run(str(clip), load=lambda name: SlowNet(TINY).eval(), video=tmp_path / "out.mp4")
    assert figures["frames"] < 40  # ten a second
    read = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    # It begins with the first picture that the network took, when that was loaded.
    assert 60 < read.get(cv2.CAP_PROP_FRAME_COUNT) <= 91


def test_the_video_goes_on_when_the_source_begins_again(tmp_path: Path) -> None:
    writer = headless._Video(tmp_path / "out.mp4", 10)
    for at_s in (0.0, 0.1, 0.4, 0.0, 0.1):
        writer.add(np.zeros((48, 64, 3), np.uint8), at_s)
    writer.close()
    read = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert read.get(cv2.CAP_PROP_FRAME_COUNT) == 1 + 3 + 1 + 1 + 1


def test_headless_stops_after_frames_or_seconds() -> None:
    assert run("synthetic:64x48@100", frames=7)["frames"] == 7
    begin = time.monotonic()
    assert run("synthetic:64x48@100", seconds=0.5)["frames"] > 0
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize(
    "source", ["/nowhere/clip.mp4", "/dev/video97", "http://127.0.0.1:9/x", "@"]
)
def test_headless_ends_with_one_line_where_the_source_is_none(source: str) -> None:
    with pytest.raises(headless.HeadlessError) as error:
        run(source)
    assert len(str(error.value).splitlines()) == 1


def test_headless_with_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"\x00" * 5000)
    with pytest.raises(headless.HeadlessError):
        run(str(tmp_path / "clip.mp4"))


def test_drawing_leaves_the_frame_alone() -> None:
    f = frame()
    before = f.image.copy()
    joints = np.random.default_rng(0).uniform(-20, 260, (J, 2)).astype("f4")
    joints[:3] = np.nan_to_num(joints[:3]) + 1e4  # far outside
    out = annotated(Result(f, (pose(joints, np.linspace(0, 1, J)),)))
    assert np.array_equal(f.image, before)
    assert (out != before).any()
    flipped = annotated(Result(f, ()), mirror=True)
    assert np.array_equal(flipped[100:], before[100:, ::-1])


# --- the command


@pytest.mark.parametrize(
    "arguments",
    [
        ["--source", "/nowhere/clip.mp4"],
        ["--source", "/dev/video97"],
        ["--source", "synthetic", "--device", "tpu"],
        ["--source", "synthetic", "--model", "nonsense"],
        ["--source", "synthetic", "--model", "lite@many"],
        ["--source", "synthetic", "--model", "lite@100"],  # not a multiple of its stride
        ["--source", "synthetic", "--fps", "-3"],
    ],
)
def test_command_says_what_is_wrong_in_one_line(arguments: list[str], capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["run", "--headless", *arguments]) == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) == 1
    assert err.startswith("livepose: ")


def test_command_headless_on_the_synthetic_source(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "report.json"
    assert cli.main(["run", "--headless", "--source", "synthetic:320x240@30", "--frames", "5",
                     "--json", str(out)]) == 0  # fmt: skip
    figures = json.loads(out.read_text())
    assert {"stages", "end_to_end", "fps", "dropped"} <= set(figures)
    assert figures["frames"] == 5
    assert "forward" in capsys.readouterr().out


def test_a_model_may_look_at_smaller_squares(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    way = ["--model", "lite@96", "--backend", "torch", "--device", "cpu"]
    assert cli.main(["run", "--headless", "--source", "synthetic:320x240@30", "--frames", "3",
                     "--json", str(out), *way]) == 0  # fmt: skip
    assert json.loads(out.read_text())["model"] == "lite@96"


def test_without_display_a_fresh_process_writes_video_and_report(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["PYTHONPATH"] = str(Path(cli.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "livepose", "run", "--frames", "5"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no display" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert (tmp_path / "livepose.mp4").stat().st_size > 1000
    assert json.loads((tmp_path / "livepose.json").read_text())["frames"] == 5


def test_engine_and_model_know_no_qt() -> None:
    code = (
        "import sys, livepose.run, livepose.engine.session, livepose.train.loop;"
        "assert not any(m.startswith(('PyQt5', 'vispy', 'livepose.ui')) for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(cli.__file__).parents[1])
