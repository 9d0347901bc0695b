"""Points, the Pareto front, measuring in a process of its own, and what is kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from livepose import cli
from livepose.bench import explore
from livepose.bench.explore import Measurer, Point, export, load, pareto, points, save
from livepose.bench.explore_command import table
from livepose.models.store import save_model, update_measured
from tests.engine.fakes import tiny


def point(model: str, ms: float | None, pck: float | None, backend: str = "torch") -> Point:
    return Point(model, 64, backend, "float32", "dsnt", 16, pck, ms=ms)


@pytest.fixture
def model(tmp_path: Path) -> str:
    file = tmp_path / "tiny.safetensors"
    save_model(file, tiny(), {}, {"lsp_test_pck": 0.5})
    update_measured(file, {"lsp_test_sizes": {"96": 0.6}})
    return str(file)


def test_points_are_all_ways_with_what_the_card_says(model: str) -> None:
    found = points([model])
    assert {p.size for p in found} == {64, 96}
    assert {p.pck for p in found if p.size == 96} == {0.6}
    assert ("torch", "float32") in {(p.backend, p.precision) for p in found}
    assert len({p.key for p in found}) == len(found)
    assert found[0].output == "dsnt"
    assert {p.heatmap for p in found} == {16, 24}
    assert {p.native for p in found if p.size == 64} == {True}


def test_the_front_is_what_nothing_beats() -> None:
    a, b, c = point("a", 1, 0.5), point("b", 2, 0.7), point("c", 3, 0.6)
    d, e = point("d", 2, 0.65), point("e", None, 0.9)
    f = point("f", 0.5, None)
    assert pareto([e, d, c, b, a, f]) == [a, b]
    assert pareto([]) == []
    text = table([c, b, a, e])
    assert [line[0] for line in text.splitlines()[1:3]] == ["*", "*"]
    assert "50.0q" in text


def test_times_are_kept_as_long_as_the_weights_are_the_same(model: str, tmp_path: Path) -> None:
    found, file = points([model]), tmp_path / "kept.json"
    timed = [explore.replace(found[0], ms=1.5), explore.replace(found[1], problem="no")]
    save(timed, file)
    again = load(found, file)
    assert (again[0].ms, again[1].problem) == (1.5, "no")
    assert all(p.ms is None for p in again[2:])
    save_model(Path(model), tiny(), {"other": 1}, {})
    net = tiny()
    net.presence_bias.data.fill_(1)
    save_model(Path(model), net, {}, {})
    assert all(p.ms is None for p in load(found, file))
    file.write_text("{broken")
    assert load(found, file) == found
    assert load(found, tmp_path / "none.json") == found


def test_points_are_exported(tmp_path: Path) -> None:
    found = [point("a", 1, 0.5), point("b", None, None)]
    export(found, tmp_path / "p.csv")
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [r["model"] for r in rows] == ["a", "b"]
    export(found, tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text())[0]["ms"] == 1
    with pytest.raises(ValueError, match="csv or"):
        export(found, tmp_path / "p.txt")


def test_measuring_goes_on_after_a_point_that_fails(model: str) -> None:
    found = [p for p in points([model]) if (p.backend, p.precision) == ("torch", "float32")]
    broken = explore.replace(found[0], model="nowhere.safetensors")
    seen: list[Point] = []
    ended: list[str] = []
    measurer = Measurer([broken, *found], "cpu", seen.append, ended.append)
    assert measurer.wait(120)
    assert ended == [""]
    assert "no model" in seen[0].problem
    assert [p.key for p in seen[1:]] == [p.key for p in found]
    assert all(p.ms is not None and p.ms > 0 for p in seen[1:])


def test_measuring_is_cancelled_half_way(model: str) -> None:
    ended: list[str] = []
    measurer = Measurer(points([model]) * 50, "cpu", lambda p: None, ended.append)
    measurer.cancel()
    assert measurer.wait(20)
    assert ended == [""]


def test_the_command(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(explore, "available_backends", lambda device: [("torch", "float32")])
    out = tmp_path / "points.json"
    assert cli.main(["explore", "--models", model, "--json", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert [r["size"] for r in rows] == [64, 96]
    assert all(r["ms"] > 0 for r in rows)
    printed = capsys.readouterr().out
    assert printed.count("torch") == 2
    # Known already: nothing is measured again.
    assert cli.main(["explore", "--models", model, "--json", str(out)]) == 0
    assert json.loads(out.read_text()) == rows
    assert cli.main(["explore", "--models", "nowhere"]) == 2
