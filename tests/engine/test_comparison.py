"""A against B: the same frame, the same people, the distance of their joints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livepose import cli
from livepose.bench.compare import parse
from livepose.cv import cv2
from livepose.engine.comparison import difference, matched
from livepose.engine.loading import Choice
from livepose.frames import Pose, Region, Result
from livepose.models.store import save_model
from livepose.skeleton import INDEX, J
from tests.engine.fakes import frame, tiny
from tests.lift.test_lift import standing


def somebody(x: float, shift: float = 0.0, confidence: float = 0.9) -> Pose:
    joints = standing()[:, :2] * 100 + np.array([x + shift, 120])
    return Pose(joints, np.zeros((J, 3)), np.full(J, confidence), 0.9, Region(x, 120, 200))


def test_the_difference_of_each_joint_in_torsos() -> None:
    f = frame()
    a, b = somebody(100), somebody(100)
    b.joints[INDEX["left_wrist"]] += (30, 40)
    of = difference(Result(f, (a,)), Result(f, (b,)))
    torso = np.linalg.norm(a.joints[INDEX["left_shoulder"]] - a.joints[INDEX["right_hip"]])
    assert of.pixels[INDEX["left_wrist"]] == pytest.approx(50)
    assert of.torsos[INDEX["left_wrist"]] == pytest.approx(50 / torso)
    assert np.delete(of.pixels, INDEX["left_wrist"]).max() == 0
    assert of.people == (1, 1, 1)
    assert of.mean == pytest.approx(50 / torso / J)


def test_people_are_matched_whatever_their_order() -> None:
    f = frame()
    a = Result(f, (somebody(100), somebody(250)))
    b = Result(f, (somebody(250, 4), somebody(100, 2), somebody(900)))
    assert [(p.region.cx, q.region.cx) for p, q in matched(a, b)] == [(100, 100), (250, 250)]
    of = difference(a, b)
    assert of.people == (2, 3, 2)
    assert of.pixels == pytest.approx(np.full(J, 3))


def test_what_one_of_them_does_not_see_is_not_compared() -> None:
    f = frame()
    blind = somebody(100)
    blind.confidence[INDEX["nose"]] = 0.1
    of = difference(Result(f, (somebody(100),)), Result(f, (blind,)))
    assert np.isnan(of.pixels[INDEX["nose"]])
    none = difference(Result(f, ()), Result(f, (blind,)))
    assert np.isnan(none.mean)
    assert none.people == (0, 1, 0)


def test_different_frames_are_not_compared() -> None:
    with pytest.raises(ValueError, match="not the same"):
        difference(Result(frame(), ()), Result(replace(frame(), id=7), ()))


def test_what_shall_run_is_read_from_one_word() -> None:
    assert parse("base") == Choice("base")
    assert parse("base@192/torch/float32") == Choice("base", "torch", "float32", 192)
    assert parse("dir/x.safetensors") == Choice("dir/x.safetensors")
    assert parse("dir/x.safetensors/torch") == Choice("dir/x.safetensors", "torch")
    for wrong in ("base@big", "base/abacus", "base/torch/int3", "a/torch/float32/more"):
        with pytest.raises(ValueError, match=r"unknown|is not"):
            parse(wrong)


def test_the_command_writes_table_figures_and_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, model = tmp_path / "in.avi", tmp_path / "tiny.safetensors"
    out = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 30, (96, 64))
    for k in range(8):
        out.write(np.full((64, 96, 3), 20 * k, np.uint8))
    out.release()
    net = tiny()
    net.presence_bias.data.fill_(50.0)
    save_model(model, net, {}, {})
    video, figures = tmp_path / "ab.mp4", tmp_path / "ab.json"
    assert cli.main(["compare", f"{model}/torch/float32", f"{model}/torch/bfloat16",
                     "--source", str(clip), "--video", str(video), "--json", str(figures),
                     "--device", "cpu"]) == 0  # fmt: skip
    found = json.loads(figures.read_text())
    assert found["frames"] == 8
    assert found["both_found"] == 1
    assert found["difference_torsos"] >= 0
    assert found["a"]["median_ms"] > 0
    read = cv2.VideoCapture(str(video))
    assert read.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert read.get(cv2.CAP_PROP_FRAME_WIDTH) == 192
    assert "of a torso apart" in capsys.readouterr().out
    assert cli.main(["compare", "nowhere", "base"]) == 2
    assert cli.main(["compare", str(model), str(model), "--source", str(tmp_path / "no")]) == 2
