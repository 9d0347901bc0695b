"""The explorer in the window: points, measuring beside the live view, and a click."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtTest import QTest

from livepose.bench import explore
from livepose.bench.explore import Point
from livepose.engine.loading import Choice
from livepose.models.store import WeightsError
from livepose.ui import explorer as module
from livepose.ui.explorer import describe

from .fakes import coloured, result


def point(model: str, ms: float | None, pck: float | None, **more) -> Point:
    return replace(Point(model, 64, "torch", "float32", "dsnt", 16, pck, ms=ms), **more)


class FakeMeasurer:
    """Says nothing by itself."""

    made: ClassVar[list[FakeMeasurer]] = []

    def __init__(self, found, device, on_point, on_end) -> None:
        self.found, self.on_point, self.on_end = found, on_point, on_end
        self.cancelled = False
        FakeMeasurer.made.append(self)

    def cancel(self) -> None:
        self.cancelled = True
        self.on_end("")

    def wait(self, timeout_s: float | None = None) -> bool:
        return True


@pytest.fixture
def exploring(window, monkeypatch: pytest.MonkeyPatch, app):
    """The window on its explorer, with three points, one of them not measured."""
    found = [point("slow", 20.0, 0.9), point("fast", 2.0, 0.6, output="fc"),
             point("new", None, 0.8)]  # fmt: skip
    monkeypatch.setattr(explore, "points", lambda *a: found)
    monkeypatch.setattr(explore, "load", lambda found, file: found)
    monkeypatch.setattr(explore, "save", lambda *a: None)
    monkeypatch.setattr(Point, "native", property(lambda self: True))
    FakeMeasurer.made.clear()
    window.pages.explorer._start = FakeMeasurer
    window.pages.show_page("Explorer")
    app.processEvents()
    return window


def click(window, wanted: Point) -> None:
    place = window.pages.explorer.at(wanted)
    QTest.mouseClick(window.pages.explorer.plot.viewport(), Qt.LeftButton,
                     pos=QPoint(round(place.x()), round(place.y())))  # fmt: skip


def test_points_are_on_the_plot_and_a_click_runs_one(exploring, until) -> None:
    explorer = exploring.pages.explorer
    slow, fast, new = explorer.points
    assert explorer.at(new) is None
    assert explorer.at(fast).x() < explorer.at(slow).x()
    assert explorer.at(fast).y() > explorer.at(slow).y()
    assert "1 of 3" in explorer.about.text()
    click(exploring, fast)
    until(lambda: ("use", Choice("fast", "torch", "float32")) in exploring.session.calls)
    before = len(exploring.session.calls)
    QTest.mouseClick(explorer.plot.viewport(), Qt.LeftButton, pos=QPoint(3, 3))
    assert len(exploring.session.calls) == before


def test_measuring_goes_on_beside_the_live_view(exploring, until) -> None:
    explorer, session = exploring.pages.explorer, exploring.session
    explorer.measure.click()
    (measurer,) = FakeMeasurer.made
    assert [p.model for p in measurer.found] == ["new"]
    assert explorer.cancel.isVisible()
    shown = result(coloured())
    session.deliver(shown)
    until(lambda: exploring.picture.result is shown)
    measurer.on_point(replace(measurer.found[0], ms=5.0))
    until(lambda: explorer.points[2].ms == 5.0)
    assert explorer.progress.value() == 1
    assert explorer.at(explorer.points[2]) is not None
    measurer.on_end("")
    until(explorer.measure.isVisible)
    assert "Click a point" in explorer.about.text()


def test_cancelled_half_way_and_failed_the_window_goes_on(exploring, until) -> None:
    explorer = exploring.pages.explorer
    explorer.measure.click()
    explorer.cancel.click()
    assert FakeMeasurer.made[0].cancelled
    until(explorer.measure.isVisible)
    explorer.measure.click()
    FakeMeasurer.made[1].on_end("measuring ended early: killed")
    until(lambda: "ended early" in explorer.about.text())
    explorer.measure.click()
    exploring.close()  # with measuring under way
    assert FakeMeasurer.made[2].cancelled


def test_points_that_cannot_be_listed_are_told(window, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*a):
        raise WeightsError("base.json is missing")

    monkeypatch.setattr(module.explore, "points", broken)
    window.pages.show_page("Explorer")
    assert "base.json is missing" in window.pages.explorer.about.text()


def test_export(exploring, tmp_path: Path) -> None:
    for name in ("p.csv", "p.json", "p.png"):
        exploring.pages.explorer.write(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100
    exploring.pages.explorer.write(tmp_path / "p.txt")
    assert ".csv or .json" in exploring.pages.explorer.about.text()


def test_a_point_in_words() -> None:
    text = describe(point("lite", 2.5, 0.86))
    assert "2.50 ms" in text
    assert "86.0 % PCK (quoted)" in text
    assert "measured)" in describe(point("lite", 2.5, 0.86, pck_measured=True))
    assert "not measured yet" in describe(point("lite", None, None))
    assert "no kernel" in describe(point("lite", None, 0.5, problem="no kernel"))
