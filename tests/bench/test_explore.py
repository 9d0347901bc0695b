"""Points, the Pareto front, measuring in a process of its own, and what is kept."""

from __future__ import annotations

import csv
import json
import os
import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from livepose import cli
from livepose.bench import explore, measurer
from livepose.bench.explore import SIZES, Point, export, load, pareto, points, save, updated
from livepose.bench.explore_command import table
from livepose.bench.explore_plot import legend, place, rail
from livepose.bench.measurer import DataSet, Measurer
from livepose.cv import cv2
from livepose.data.readers import read
from livepose.engine.turns import Turns
from livepose.evaluate import command as evaluation
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import Trained, save_family, save_model, update_measured
from tests.engine.fakes import tiny, wait_for

# In place of `time_of`: backends that are called "crash" and "hang" do so; others take 1.5 ms, in
# 20 turns, whose begins and ends go to a file. Two lines are no rows.
TRAPS = """
import os, sys, time
from livepose.bench import explore_worker

def time_of(wanted, turn):
    if wanted["backend"] == "crash":
        print("out of memory", file=sys.stderr, flush=True)
        os._exit(9)
    if wanted["backend"] == "hang":
        time.sleep(1000)
    for k in range(20):
        with turn():
            begin = time.monotonic()
            time.sleep(0.002)
            with open(os.environ["PASSES"], "a") as file:
                print(begin, time.monotonic(), file=file)
    return 1.5

print("{no row", 7, sep="\\n", flush=True)
explore_worker.time_of = time_of
explore_worker.main()
"""


def point(model: str, ms: float | None, pck: float | None, backend: str = "torch") -> Point:
    return Point(model, 64, backend, "float32", "dsnt", 16, pck, ms=ms)


class Said:
    """What a measurer says."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.ended: list[str] = []
        self.progress: list[float] = []

    def measure(self, found: list[Point], **more) -> Measurer:  # type: ignore[no-untyped-def]
        return Measurer(found, self.points.append, self.ended.append,
                        on_progress=self.progress.append, **more)  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> str:
    file = tmp_path / "tiny.safetensors"
    save_model(file, tiny(), {}, {"lsp_test_pck": 0.5, "lsp_test_int8": {"pck": 0.4}})
    others = {"128/float32": {"pck": 0.6}, "128/int8": {"pck": 0.55}}
    update_measured(file, {"lsp_test_at": others})
    return str(file)


@pytest.fixture
def one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "available_backends", lambda device: [("torch", "float32")])


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file for the passes of a worker with `TRAPS`."""
    monkeypatch.setattr(measurer, "WORKER", (sys.executable, "-c", TRAPS))
    monkeypatch.setenv("PASSES", str(tmp_path / "passes"))
    return tmp_path / "passes"


def test_points_are_all_ways_with_what_the_card_says(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = points([model])
    assert {p.size for p in found} == {64, *SIZES}
    assert ("torch", "float32") in {(p.backend, p.precision) for p in found}
    assert len({p.key for p in found}) == len(found)
    assert found[0].output == "dsnt"
    assert {p.heatmap for p in found if p.size == 128} == {128 // 4}
    assert {p.size for p in found if p.native} == {64}
    pck = {(p.size, p.precision): p.pck for p in found}
    assert (pck[64, "float32"], pck[128, "float32"], pck[256, "float32"]) == (0.5, 0.6, None)
    # int8 has figures of its own, half precision those of float32.
    card = explore.store.read_card(Path(model))
    assert [explore.quoted(card, 64, p) for p in ("int8", "bfloat16")] == [0.4, 0.5]
    assert [explore.quoted(card, 128, p) for p in ("int8", "float16")] == [0.55, 0.6]
    assert explore.quoted(card, 256, "int8") is None
    # Where there is a GPU, the CPU is there as well.
    both = points([model], "cuda")
    assert {p.device for p in both} == {"cuda", "cpu"}
    assert len({p.key for p in both}) == len(both)
    # A path holds in every folder.
    monkeypatch.chdir(Path(model).parent)
    assert [p.model for p in points(["tiny.safetensors"])] == [p.model for p in found]


def test_a_network_with_one_size_has_one(tmp_path: Path) -> None:
    net = MargiPose(Config("small", 64, output="fc", heatmap_stride=8))
    save_model(tmp_path / "fc.safetensors", net, {}, {})
    assert {p.size for p in points([str(tmp_path / "fc.safetensors")])} == {64}
    nets = {name: MargiPose(Config("small", 64)) for name in ("one", "other")}
    nets["other"].trunk = nets["one"].trunk
    save_family(tmp_path, {name: Trained(each, {}, {}) for name, each in nets.items()}, "study")
    assert {p.size for p in points([str(tmp_path / "one.safetensors")])} == {64}


def test_the_front_is_what_nothing_beats() -> None:
    a, b, c = point("a", 1, 0.5), point("b", 2, 0.7), point("c", 3, 0.6)
    d, e = point("d", 2, 0.65), point("e", None, 0.9)
    f = point("f", 0.5, None)
    assert pareto([e, d, c, b, a, f]) == [a, b]
    assert pareto([]) == []
    text = table([c, b, a, e])
    assert [line[0] for line in text.splitlines()[1:3]] == ["*", "*"]
    assert "50.0q" in text


def test_points_without_accuracy_lie_on_a_rail_below_all_others() -> None:
    a, b, unknown = point("a", 1, 0.5), point("b", 2, 0.7), point("c", 3, None)
    below = rail([a, b, unknown])
    assert below < 50
    assert place(unknown, below) == (3, below)
    assert place(a, below) == (1, 50)
    assert place(point("d", None, 0.5), below) is None
    labels = {name: [one.label for one in group] for name, group in legend([a, b]).items()}
    assert labels["Backend"] == ["torch"]
    assert labels["Output"] == ["DSNT"]
    assert labels["Arithmetic"] == ["float32"]


def test_what_was_measured_is_kept_as_long_as_the_weights_are_the_same(
    model: str, tmp_path: Path
) -> None:
    found, file = points([model]), tmp_path / "kept.json"
    save([replace(found[0], ms=1.5), replace(found[1], problem="no")], file)
    again = load(found, file)
    assert (again[0].ms, again[1].problem) == (1.5, "no")
    assert all(p.ms is None for p in again[2:])
    # Another call adds to it; other threads have times of their own.
    save([replace(found[2], ms=2.5)], file)
    save([replace(found[0], ms=9.0, threads=99)], file)
    assert [p.ms for p in load(found, file)[:3]] == [1.5, None, 2.5]
    assert list(tmp_path.glob("tmp*")) == []
    net = tiny()
    net.presence_bias.data.fill_(1)
    save_model(Path(model), net, {}, {})
    assert all(p.ms is None for p in load(points([model]), file))
    for broken in ("{broken", "[1]", '[{"model": "a"}]', '{"a": 1}'):
        file.write_text(broken)
        assert load(found, file) == found
    assert load(found, tmp_path / "none.json") == found


def test_an_accuracy_that_was_measured_is_kept_and_is_that_of_the_network(tmp_path: Path) -> None:
    found = [point("a", None, 0.5), point("a", 2.0, 0.5, "openvino"), point("b", None, 0.5)]
    told = updated(found, replace(found[0], pck=0.7, data="lsp test", pictures=20))
    assert [(p.pck, p.pictures, p.ms) for p in told] == [(0.7, 20, None), (0.7, 20, 2.0),
                                                         (0.5, 0, None)]  # fmt: skip
    file = tmp_path / "kept.json"
    save(told, file)
    assert load(found, file) == told
    # With other threads as well: they compute the same.
    other = [replace(p, threads=7, ms=None) for p in found]
    assert [(p.pck, p.data, p.ms) for p in load(other, file)[:2]] == [(0.7, "lsp test", None)] * 2


def test_a_time_measured_alone_stays(tmp_path: Path) -> None:
    alone, beside = point("a", 1.0, None), replace(point("a", 3.0, None), beside=True)
    unknown, failed = point("a", None, None), replace(point("a", None, None), problem="no")
    assert updated([alone], beside) == [alone]
    assert updated([alone], replace(failed, beside=True)) == [alone]
    assert updated([beside], alone) == [alone]
    assert updated([beside], replace(beside, ms=4.0))[0].ms == 4.0
    assert updated([alone], failed) == [failed]
    assert updated([failed], alone) == [alone]
    file = tmp_path / "kept.json"
    for each in (alone, beside):
        save([each], file)
    assert load([unknown], file) == [alone]


def test_points_are_exported(tmp_path: Path) -> None:
    found = [point("a", 1, 0.5), point("b", None, None)]
    export(found, tmp_path / "p.csv")
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [r["model"] for r in rows] == ["a", "b"]
    export(found, tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text())[0]["ms"] == 1
    with pytest.raises(ValueError, match="csv, "):
        export(found, tmp_path / "p.txt")


def test_measuring_goes_on_after_a_point_that_fails(model: str, one_way: None) -> None:
    found = points([model])[:2]
    broken = replace(found[0], model="nowhere.safetensors")
    said = Said()
    assert said.measure([broken, *found]).wait(300)
    assert said.ended == [""]
    assert "no model" in said.points[0].problem
    assert [p.key for p in said.points[1:]] == [p.key for p in found]
    assert all(p.ms is not None and p.ms > 0 and p.date and not p.beside for p in said.points[1:])
    assert said.progress == pytest.approx([1 / 3, 2 / 3, 1])


def test_measuring_goes_on_after_a_point_that_takes_the_process_with_it(traps: Path) -> None:
    found = [point(k, None, None, k) for k in ("crash", "torch", "hang", "openvino", "crash")]
    said = Said()
    assert said.measure(found, limit_s=3).wait(120)
    assert said.ended == [""]
    assert [p.ms for p in said.points] == [None, 1.5, None, 1.5, None]
    assert [p.problem for p in said.points] == ["out of memory", "", "nothing came for 3 s", "",
                                                "out of memory"]  # fmt: skip
    assert traps.exists()


def test_measuring_is_cancelled_half_way(traps: Path) -> None:
    found = [point("a", None, None), point("b", None, None), point("c", None, None, "hang")]
    said = Said()
    process = said.measure(found)
    wait_for(lambda: len(said.points) == 2, 60)
    assert not said.ended
    process.cancel()
    assert process.wait(20)
    assert said.ended == [""]
    assert [p.ms for p in said.points] == [1.5, 1.5]


def test_a_process_that_never_begins_is_told_once(
    traps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurer, "WORKER", (sys.executable, "-c", "import nonsense"))
    said = Said()
    assert said.measure([point("a", None, None)] * 3).wait(60)
    assert said.points == []
    assert "No module named 'nonsense'" in said.ended[0]
    monkeypatch.setattr(measurer, "WORKER", ("/nowhere/python",))
    assert said.measure([point("a", None, None)]).wait(60)
    assert "/nowhere/python" in said.ended[1]


def test_the_end_is_told_even_if_nobody_can_take_a_point(traps: Path) -> None:
    ended: list[str] = []

    def broken(point: Point) -> None:
        raise RuntimeError("the window has gone")

    before, threading.excepthook = threading.excepthook, lambda args: None
    try:
        assert Measurer([point("a", None, None)], broken, ended.append).wait(60)
    finally:
        threading.excepthook = before
    assert ended == ["measuring ended early"]


def test_passes_and_live_frames_take_turns(traps: Path) -> None:
    turns, over, frames = Turns(), threading.Event(), []

    def live() -> None:
        while not over.is_set():
            with turns:  # again at once, as a network that is slower than its source
                begin = time.monotonic()
                time.sleep(0.002)
                frames.append((begin, time.monotonic()))

    thread = threading.Thread(target=live)
    thread.start()
    said = Said()
    try:
        assert said.measure([point("a", None, None)], turns=turns).wait(120)
    finally:
        over.set()
        thread.join()
    assert said.points[0].ms == 1.5
    assert said.points[0].beside
    passes = [tuple(map(float, line.split())) for line in traps.read_text().splitlines()]
    assert len(passes) == 20
    for begin, end in passes:
        assert not any(a < end and begin < b for a, b in frames), "both at the same time"
    # The live view had a turn between any two passes.
    assert all(any(end <= a < begin for a, _ in frames)
               for (_, end), (begin, _) in pairwise(passes))  # fmt: skip


def test_accuracy_is_measured_once_for_each_network(tmp_path: Path, model: str) -> None:
    synthetic_lsp(tmp_path / "lsp")
    data = DataSet("lsp", tmp_path / "lsp", "test", 3)
    one = next(p for p in points([model]) if p.precision == "float32" and p.native)
    found = [one, replace(one, backend="openvino"), replace(one, model="nowhere.safetensors")]
    said = Said()
    assert said.measure(found, data=data).wait(300)
    assert [(p.data, p.pictures) for p in said.points] == [("lsp test", 3)]
    assert 0 <= (said.points[0].pck or 0) <= 1
    assert "no accuracy of nowhere" in said.ended[0]
    assert said.progress[-1] == 1
    nothing = replace(data, root=tmp_path / "nothing")
    assert said.measure(found, data=nothing).wait(300)
    assert str(tmp_path / "nothing") in said.ended[1]


def test_the_card_keeps_accuracy_by_size_and_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic_lsp(tmp_path / "lsp")
    three = read("lsp", tmp_path / "lsp", "test").take(np.arange(3))
    monkeypatch.setattr(evaluation, "read", lambda *_: three)
    file = tmp_path / "tiny.safetensors"
    save_model(file, tiny(), {}, {})
    command = ["eval", "--dataset", "lsp", "--root", str(tmp_path / "lsp"),
               "--model", str(file), "--device", "cpu", "--card", "--size", "64", "96"]  # fmt: skip
    out = tmp_path / "figures.json"
    assert cli.main([*command, "--json", str(out)]) == 0
    first = explore.store.read_card(file)
    assert [figures["size"] for figures in json.loads(out.read_text())] == [64, 96]
    assert explore.quoted(first, 64, "float32") == first.measured["lsp_test_pck"]
    assert set(first.measured["lsp_test_at"]) == {"96/float32"}
    assert cli.main([*command, "--precision", "bfloat16"]) == 0
    card = explore.store.read_card(file)
    assert card.measured["lsp_test"] == first.measured["lsp_test"]
    at = card.measured["lsp_test_at"]
    assert set(at) == {"96/float32", "64/bfloat16", "96/bfloat16"}
    assert at["96/float32"] == first.measured["lsp_test_at"]["96/float32"]
    assert "--size 96 --precision bfloat16" in at["96/bfloat16"]["command"]


def synthetic_lsp(root: Path) -> None:
    """Grey pictures in the layout of Leeds Sports Pose, one joint where all others are."""
    scipy_io = pytest.importorskip("scipy.io")
    (root / "images").mkdir(parents=True)
    for k in range(2000):
        file = root / f"images/im{k + 1:04d}.jpg"
        if k == 0:
            cv2.imwrite(str(file), np.full((48, 64, 3), 128, np.uint8))
        else:
            os.link(root / "images/im0001.jpg", file)
    joints = np.random.default_rng(0).uniform(5, 40, (3, 14, 2000))
    joints[2] = 0
    scipy_io.savemat(root / "joints.mat", {"joints": joints})


def test_the_command(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    one_way: None,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(explore, "SIZES", (96,))
    monkeypatch.chdir(tmp_path)
    out, png = tmp_path / "points.json", tmp_path / "points.png"
    # A path that holds in this folder only.
    command = ["explore", "--models", "tiny.safetensors"]
    assert cli.main([*command, "--json", str(out), "--png", str(png)]) == 0
    rows = json.loads(out.read_text())
    assert [r["size"] for r in rows] == [64, 96]
    assert all(r["ms"] > 0 for r in rows)
    assert capsys.readouterr().out.count("torch") == 2
    assert cv2.imread(str(png)).std() > 1
    # Known already: nothing is measured again. Without a file, JSON is all there is.
    monkeypatch.setattr(measurer, "WORKER", ("/nowhere/python",))
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    assert cli.main([*command, "--again"]) == 2
    assert cli.main(["explore", "--models", "nowhere"]) == 2
