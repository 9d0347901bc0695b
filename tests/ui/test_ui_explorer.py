"""The explorer in the window: points, measuring beside the live view, and a click."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from PyQt5.QtCore import QEvent, QPoint, Qt
from PyQt5.QtGui import QMouseEvent
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QDialogButtonBox, QWidget

from livepose.bench import explore
from livepose.bench.explore import Point
from livepose.bench.measurer import DataSet
from livepose.engine.loading import Choice
from livepose.engine.session import Session
from livepose.frames import Result
from livepose.models.store import WeightsError, load_model, save_model
from livepose.timing.timeline import now_ns
from livepose.ui import explorer as module
from livepose.ui.data_dialog import DataDialog
from livepose.ui.explorer import describe
from tests.engine.fakes import CALM, tiny

from .fakes import coloured, result


def point(model: str, ms: float | None, pck: float | None, **more) -> Point:
    return replace(Point(model, 64, "torch", "float32", "dsnt", 16, pck, ms=ms), **more)


class FakeMeasurer:
    """Says nothing by itself."""

    made: ClassVar[list[FakeMeasurer]] = []

    def __init__(self, found, on_point, on_end, *, data, turns, on_progress) -> None:
        self.found, self.on_point, self.on_end = found, on_point, on_end
        self.data, self.turns, self.on_progress = data, turns, on_progress
        self.cancelled = False
        FakeMeasurer.made.append(self)

    def cancel(self) -> None:
        self.cancelled = True
        self.on_end("")

    def wait(self, timeout_s: float | None = None) -> bool:
        return True


FOUND = (point("slow", 20.0, 0.9), point("fast", 2.0, 0.6, output="fc"), point("new", None, 0.8))


@pytest.fixture
def exploring(window, monkeypatch: pytest.MonkeyPatch, app, tmp_path: Path):
    """The window on its explorer, with three points, one of them not measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(explore, "points", lambda *a: list(FOUND))
    FakeMeasurer.made.clear()
    window.pages.explorer._start = FakeMeasurer
    window.pages.show_page("Explorer")
    app.processEvents()
    return window


def spot(window, wanted: Point) -> QPoint:
    place = window.pages.explorer.at(wanted)
    return QPoint(round(place.x()), round(place.y()))


def click(window, wanted: Point) -> None:
    QTest.mouseClick(window.pages.explorer.plot.viewport(), Qt.LeftButton, pos=spot(window, wanted))


def move(widget: QWidget, to: QPoint) -> None:
    """The mouse, without the one of the display."""
    for place in (to + QPoint(1, 1), to):
        event = QMouseEvent(QEvent.MouseMove, place, Qt.NoButton, Qt.NoButton, Qt.NoModifier)
        QApplication.sendEvent(widget, event)


def kept() -> list[Point]:
    """What another livepose would find."""
    return explore.load(list(FOUND), explore.results_file())


def test_points_are_on_the_plot_and_a_click_runs_one(exploring, until) -> None:
    explorer = exploring.pages.explorer
    slow, fast, new = explorer.points
    assert explorer.at(new) is None
    assert explorer.at(fast).x() < explorer.at(slow).x()
    assert explorer.at(fast).y() > explorer.at(slow).y()
    assert "1 of 3" in explorer.about.text()
    click(exploring, fast)
    until(lambda: ("use", Choice("fast", "torch", "float32", 64)) in exploring.session.calls)
    before = len(exploring.session.calls)
    QTest.mouseClick(explorer.plot.viewport(), Qt.LeftButton, pos=QPoint(3, 3))
    assert len(exploring.session.calls) == before


def test_a_click_leaves_the_number_of_threads(exploring, until) -> None:
    exploring.session.choice = Choice("tiny", "torch", "float32", threads=1)
    exploring.refresh()
    click(exploring, exploring.pages.explorer.points[1])
    until(lambda: ("use", Choice("fast", "torch", "float32", 64, threads=1))
          in exploring.session.calls)  # fmt: skip


def test_a_point_of_another_device_runs_there(exploring, until) -> None:
    explorer = exploring.pages.explorer
    explorer._take(replace(FOUND[1], ms=2.0))
    explorer.points = [replace(p, device="cuda") for p in explorer.points]
    click(exploring, explorer.points[1])
    wanted = Choice("fast", "torch", "float32", 64, device="cuda")
    until(lambda: ("use", wanted) in exploring.session.calls)


def test_points_without_accuracy_are_below_the_others_and_can_be_clicked(exploring, until) -> None:
    explorer = exploring.pages.explorer
    assert not explorer._rail.isVisible()
    explorer.points.append(point("unknown", 5.0, None))
    explorer._draw()
    assert explorer._rail.isVisible()
    assert explorer.at(explorer.points[-1]).y() > explorer.at(explorer.points[1]).y()
    click(exploring, explorer.points[-1])
    until(lambda: ("use", Choice("unknown", "torch", "float32", 64)) in exploring.session.calls)


def test_the_legend_says_what_the_marks_on_the_plot_mean(exploring) -> None:
    text = exploring.pages.explorer.legend.text().replace("&nbsp;", " ")
    for label in ("torch", "DSNT", "fully connected", "float32", "measured here",
                  "quoted from the model's card", "none is faster and better"):  # fmt: skip
        assert label in text
    for label in ("OpenVINO", "multi-task", "int8"):  # there are none
        assert label not in text


def test_measuring_goes_on_beside_the_live_view(exploring, until) -> None:
    explorer, session = exploring.pages.explorer, exploring.session
    explorer.measure.click()
    (measurer,) = FakeMeasurer.made
    assert [p.model for p in measurer.found] == ["new"]
    assert measurer.turns is session.turns
    assert measurer.data is None
    assert explorer.cancel.isVisible()
    shown = result(coloured())
    session.deliver(shown)
    until(lambda: exploring.picture.result is shown)
    measurer.on_point(replace(measurer.found[0], ms=5.0, beside=True))
    measurer.on_progress(0.5)
    until(lambda: explorer.progress.value() == explorer.progress.maximum() / 2)
    assert explorer.points[2].ms == 5.0
    assert explorer.at(explorer.points[2]) is not None
    measurer.on_end("")
    until(explorer.measure.isVisible)
    assert "Click a point" in explorer.about.text()
    # All are known: those that were measured beside the live view are measured again.
    explorer.measure.click()
    assert [p.model for p in FakeMeasurer.made[1].found] == ["new"]


def test_what_failed_is_measured_again(exploring, until) -> None:
    explorer = exploring.pages.explorer
    explorer.measure.click()
    FakeMeasurer.made[0].on_point(replace(FOUND[2], problem="out of memory"))
    FakeMeasurer.made[0].on_end("")
    until(explorer.measure.isVisible)
    assert kept()[2].problem == "out of memory"
    assert "1 failed" in explorer.about.text()
    assert "out of memory" in explorer.about.text()
    explorer.measure.click()
    assert [p.model for p in FakeMeasurer.made[1].found] == ["new"]


def test_times_that_were_measured_alone_stay(exploring) -> None:
    explorer = exploring.pages.explorer
    explorer.points.pop()  # the one that has none
    explorer.measure.click()
    assert FakeMeasurer.made == []
    assert "measured alone" in explorer.about.text()
    assert explorer.measure.isVisible()


def test_accuracy_is_measured_on_a_data_set_of_the_users(exploring, until, tmp_path: Path) -> None:
    explorer = exploring.pages.explorer
    explorer.judge.click()
    (dialog,) = explorer.findChildren(DataDialog)
    until(dialog.isVisible)
    measure = dialog.buttons.button(QDialogButtonBox.Ok)
    assert not measure.isEnabled()  # there is no folder yet
    QTest.keyClicks(dialog.folder, str(tmp_path / "nowhere"))
    assert not measure.isEnabled()
    dialog.folder.clear()
    QTest.keyClicks(dialog.folder, str(tmp_path))
    dialog.pictures.setValue(50)
    QTest.mouseClick(measure, Qt.LeftButton)
    (measurer,) = FakeMeasurer.made
    assert measurer.data == DataSet("lsp", tmp_path, "test", 50)
    assert [p.model for p in measurer.found] == ["slow", "fast", "new"]
    measurer.on_point(replace(FOUND[0], pck=0.95, data="lsp test", pictures=50))
    until(lambda: explorer.points[0].pictures == 50)
    assert (explorer.points[0].pck, explorer.points[0].ms) == (0.95, 20.0)
    assert kept()[0].pck == 0.95
    measurer.on_end("no joints.mat")
    until(lambda: "joints.mat" in explorer.about.text())


def test_cancelled_half_way_and_failed_the_window_goes_on(exploring, until) -> None:
    explorer, session = exploring.pages.explorer, exploring.session

    def goes_on(number: int) -> None:
        session.deliver(result(coloured(), number=number))
        until(lambda: [r.frame.id for r in session.painted_results[-1:]] == [number])

    explorer.measure.click()
    FakeMeasurer.made[0].on_point(replace(FOUND[2], ms=5.0))
    until(lambda: explorer.points[2].ms == 5.0)
    explorer.cancel.click()
    assert FakeMeasurer.made[0].cancelled
    until(explorer.measure.isVisible)
    assert kept()[2].ms == 5.0
    goes_on(1)
    explorer.points[2] = FOUND[2]
    explorer.measure.click()
    FakeMeasurer.made[1].on_end("measuring ended early: killed")
    until(lambda: "ended early" in explorer.about.text())
    goes_on(2)
    explorer.measure.click()
    exploring.close()  # with measuring under way
    assert FakeMeasurer.made[2].cancelled


def test_the_point_below_the_mouse_stays_described(exploring, until) -> None:
    explorer = exploring.pages.explorer
    explorer.measure.click()
    move(explorer.plot.viewport(), spot(exploring, FOUND[0]))
    until(lambda: explorer.about.text().startswith("slow:"))
    FakeMeasurer.made[0].on_point(replace(FOUND[2], ms=5.0))
    until(lambda: explorer.points[2].ms == 5.0)
    assert explorer.about.text().startswith("slow:")


def test_points_that_cannot_be_listed_are_told(window, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*a):
        raise WeightsError("base.json is missing")

    monkeypatch.setattr(module.explore, "points", broken)
    window.pages.show_page("Explorer")
    assert "base.json is missing" in window.pages.explorer.about.text()


def test_results_that_cannot_be_kept_are_told(
    exploring, until, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    exploring.pages.explorer.measure.click()
    FakeMeasurer.made[0].on_point(replace(FOUND[2], ms=5.0))
    until(lambda: "cannot be kept" in exploring.pages.explorer.about.text())


@pytest.fixture
def live(make_window, monkeypatch: pytest.MonkeyPatch, app, tmp_path: Path, until):
    """A window with a real session and three small models, which are points of the explorer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = [str(tmp_path / f"{name}.safetensors") for name in "abc"]
    for file in files:
        save_model(Path(file), tiny(), {}, {"lsp_test_pck": 0.5})
    monkeypatch.setattr(module, "available", lambda everywhere: files)
    monkeypatch.setattr(explore, "available_backends", lambda device: [("torch", "float32")])
    monkeypatch.setattr(explore, "SIZES", ())

    def make(on_result, on_event):
        calm = {**CALM, "load": lambda name: load_model(name)[0]}
        return Session("synthetic:320x240@30", files[0], on_result=on_result, on_event=on_event,
                       **calm)  # fmt: skip

    window = make_window(session=make)
    until(lambda: window.picture.result is not None, 60)
    window.pages.show_page("Explorer")
    explorer = window.pages.explorer
    explorer.points = [replace(p, ms=2.0 + k) for k, p in enumerate(explorer.points)]
    explorer._draw()
    app.processEvents()
    return window


def test_a_click_loads_a_warm_model_at_once_with_fresh_frames(live, until, spin) -> None:
    shown: list[tuple[float, str]] = []  # age in ms when it is painted, and the model

    def painted(result: Result) -> None:
        shown.append(((now_ns() - result.frame.timeline.start_ns) / 1e6, result.model))

    live.picture.painted.connect(painted)
    a, b, _ = live.pages.explorer.points
    assert live.session.choice.model == a.model
    click(live, b)  # loads it for the first time; the way back is warm
    until(lambda: shown and shown[-1][1] == b.model, 60)
    shown.clear()
    spin(1)
    # Where other programs hold up all frames, they hold up this one as well.
    busy = max(1.0, max(age for age, _ in shown) / 60)
    for suffix in (".safetensors", ".json"):  # nothing is read again
        Path(a.model).with_suffix(suffix).unlink()
    shown.clear()
    begin = now_ns()
    click(live, a)
    until(lambda: any(model == a.model for _, model in shown))
    switched_ms = (now_ns() - begin) / 1e6
    assert switched_ms < 300 * busy
    assert max(age for age, _ in shown) < 200 * busy


def test_a_machine_is_measured_while_frames_come(live, until) -> None:
    explorer = live.pages.explorer
    explorer.points[2] = replace(explorer.points[2], ms=None)
    first = live.picture.result.frame.id
    explorer.measure.click()
    until(lambda: explorer.points[2].ms, 120)
    assert explorer.points[2].beside
    until(explorer.measure.isVisible, 60)
    assert "Click a point" in explorer.about.text()
    assert live.picture.result.frame.id > first
    assert explore.load(explorer.points, explore.results_file())[2] == explorer.points[2]


def test_a_click_on_a_model_that_has_gone_is_told_and_the_live_view_goes_on(live, until) -> None:
    gone = live.pages.explorer.points[2]
    for suffix in (".safetensors", ".json"):
        Path(gone.model).with_suffix(suffix).unlink()
    running = live.session.choice.model
    click(live, gone)
    until(lambda: gone.model in live.banner.text, 60)
    frame = live.picture.result.frame.id
    until(lambda: live.picture.result.frame.id > frame + 3, 60)
    assert live.session.choice.model == running


def test_export(exploring, tmp_path: Path) -> None:
    for name in ("p.csv", "p.json", "p.png"):
        exploring.pages.explorer.write(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100
    exploring.pages.explorer.write(tmp_path / "p.txt")
    assert ".csv, .json" in exploring.pages.explorer.about.text()


def test_a_point_in_words() -> None:
    text = describe(point("lite", 2.5, 0.86, threads=2, date="2026-01-31"))
    assert "2 threads: 2.50 ms (alone, 2026-01-31)" in text
    assert "86.0 % PCK (quoted)" in text
    measured = point("/far/lite.safetensors", 2.5, 0.86, data="lsp test", pictures=9, beside=True)
    assert describe(measured).startswith("lite: DSNT, 64 px")
    assert "beside the live view" in describe(measured)
    assert "(on 9 pictures of lsp test)" in describe(measured)
    assert "not measured yet" in describe(point("lite", None, None))
    assert "no kernel" in describe(point("lite", None, 0.5, problem="no kernel"))
