"""A against B: the same frame, the same people, the distance of their joints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livepose import cli
from livepose.bench.compare import parse
from livepose.cv import cv2
from livepose.engine import building
from livepose.engine.comparison import Running, difference, matched
from livepose.engine.loading import Choice
from livepose.engine.predictor import Predictor
from livepose.engine.settings import EngineSettings
from livepose.frames import Pose, Region, Result
from livepose.models.store import save_model
from livepose.skeleton import INDEX, J
from tests.engine.fakes import TINY, frame, nobody, predictor, sure
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
    assert parse("dir@home/x.safetensors") == Choice("dir@home/x.safetensors")
    assert parse("dir@home/x.safetensors@160") == Choice("dir@home/x.safetensors", size=160)
    for wrong in ("base@big", "@160", "base/abacus", "base/torch/int3", "a/torch/float32/more"):
        with pytest.raises(ValueError, match=r"unknown|is not"):
            parse(wrong)


def test_a_mean_begins_anew_when_one_of_the_two_changes() -> None:
    f, apart = frame(), Running()
    for shift, way in ((10.0, "b@64"), (0.0, "b@96")):
        b = Result(f, (somebody(100, shift),), "b", way=way)
        apart.add(Result(f, (somebody(100),), "a", way="a@64"), b)
        assert apart.last is not None
        assert np.array_equal(apart.torsos, apart.last.torsos)  # nothing of what was before
    b = Result(f, (somebody(100, 10),), "b", way="b@96")
    apart.add(Result(f, (somebody(100),), "a", way="a@64"), b)
    assert 0 < apart.torsos.max() < apart.last.torsos.max()


def test_who_joins_follows_the_same_people() -> None:
    class Everybody:
        def __call__(self, image: np.ndarray) -> list[Region]:
            return [Region(x, 120, 60) for x in (60, 160, 260)]

    class Nobody:
        def __call__(self, image: np.ndarray) -> list[Region]:
            return []

    a = predictor(sure(), Everybody(), settings=EngineSettings(people=3))
    b = predictor(sure(), Nobody(), settings=EngineSettings(people=3))
    f = frame()
    followed = a(f).poses
    assert len(followed) == 3
    assert not b(f).poses
    b.join(a)
    assert [p.id for p in b(f).poses] == [p.id for p in followed]
    assert [p.region for p in b(f).poses] == [p.region for p in followed]


def test_the_command_follows_people_as_a_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, files = _clip(tmp_path / "in.avi"), [tmp_path / f"{n}.safetensors" for n in "ab"]
    for file in files:
        save_model(file, sure(config=replace(TINY, input_size=256)), {}, {})
    called: list[Spied] = []

    class Spied(Predictor):
        def __call__(self, *more: Any, **named: Any) -> Result:
            called.append(self)
            return super().__call__(*more, **named)

    three = [Region(x, 32, 30) for x in (20, 48, 76)]
    monkeypatch.setattr(building, "Predictor", Spied)
    monkeypatch.setattr(building.PersonDetector, "ready", lambda load, place: lambda image: three)
    models = [f"{file}/torch/float32" for file in files]
    command = ["compare", *models, "--source", str(clip), "--device", "cpu", "--frames", "4"]
    assert cli.main([*command, "--people", "3", "--no-smooth"]) == 0
    a, b = called[0], called[1]
    assert called == [a, b, b, a, a, b, b, a]  # in turns
    for predict in (a, b):
        assert (predict.settings.people, predict.settings.smoothing.on) == (3, False)
        assert {n: backend.size for n, backend in predict.smaller.items()} == {3: 224}
    assert "3.00 people found by both" in capsys.readouterr().out
    assert cli.main([*command, "--people", "0"]) == 2
    assert "people must be 1 to" in capsys.readouterr().err


def _clip(file: Path) -> Path:
    out = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 30, (96, 64))
    for k in range(8):
        out.write(np.full((64, 96, 3), 20 * k, np.uint8))
    out.release()
    return file


def test_the_command_writes_table_figures_and_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Without a detector: the whole picture is looked at.
    monkeypatch.setattr(building.PersonDetector, "ready", lambda load, place: nobody())
    clip, model = _clip(tmp_path / "in.avi"), tmp_path / "tiny.safetensors"
    save_model(model, sure(), {}, {})
    video, figures = tmp_path / "ab.mp4", tmp_path / "ab.json"
    assert cli.main(["compare", f"{model}/torch/float32", f"{model}/torch/bfloat16",
                     "--source", str(clip), "--video", str(video), "--json", str(figures),
                     "--device", "cpu"]) == 0  # fmt: skip
    found = json.loads(figures.read_text())
    assert found["frames"] == 8
    assert found["both_found"] == 1
    assert found["difference_torsos"] >= 0
    assert found["a"]["median_ms"] > 0
    assert found["b"]["name"] == "tiny@64/torch/bfloat16"
    read = cv2.VideoCapture(str(video))
    assert read.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert read.get(cv2.CAP_PROP_FRAME_WIDTH) == 192
    assert "of a torso apart" in capsys.readouterr().out
    assert cli.main(["compare", "nowhere", "base"]) == 2
    assert cli.main(["compare", str(model), str(model), "--source", str(tmp_path / "no")]) == 2
