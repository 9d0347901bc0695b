"""A picture that is held, with a real session: pages and knobs have something to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from livepose.engine.session import Session
from livepose.models import store
from tests.engine.fakes import CALM

from .fakes import saved


@pytest.fixture
def held(make_window, until, tmp_path: Path):
    model = saved(tmp_path, "tiny")
    calm = {**CALM, "load": lambda name: store.load_model(name)[0]}

    def live(on_result, on_event) -> Session:
        return Session("synthetic:64x48@20", model, on_result=on_result, on_event=on_event, **calm)

    window = make_window(session=live)
    until(lambda: window.picture.result is not None and window.picture.result.poses, 60)
    window.actions_["pause"].trigger()
    until(lambda: window.session.idle)
    return window


def test_pages_and_knobs_work_on_a_held_picture(held, until, spin) -> None:
    spin(0.5)
    pages, frame = held.pages, held.picture.result.frame
    assert not held.picture.result.heatmaps
    held.actions_["heat"].trigger()
    until(lambda: held.picture.result.heatmaps, 30)
    pages.show_page("Inspector")
    until(lambda: pages.inspector.result is not None and pages.inspector.result.heatmaps, 30)
    assert "confidence" in pages.inspector.numbers.text()
    pages.show_page("Compare")
    until(lambda: "B  tiny@64/torch/float32" in pages.comparison.numbers.text(), 30)
    pages.show_page("Network")
    until(lambda: pages.network.unit.maximum() > 0, 30)
    held.actions_["tuning"].trigger()
    held.refresh()
    size = held.knobs.ways.size
    size.setCurrentIndex(size.findText("128 px"))
    size.activated.emit(size.currentIndex())
    until(lambda: "@128/" in held.picture.result.way, 30)
    assert held.picture.result.frame.id == frame.id
    assert held.picture.result.frame.timeline.start_ns == frame.timeline.start_ns


def test_live_shows_the_held_picture_again(held, until) -> None:
    inspector = held.pages.inspector
    held.pages.show_page("Inspector")
    until(lambda: inspector.result is not None, 30)
    for _ in range(2):
        before = inspector.history.at(99).frame.id
        held.actions_["step"].trigger()
        until(lambda before=before: inspector.history.at(99).frame.id > before, 30)
    newest = held.picture.result.frame.id
    inspector.slider.setValue(0)
    assert held.picture.result.frame.id < newest
    inspector.back.click()
    until(lambda: held.picture.result.frame.id == newest, 30)
    assert len({r.frame.id for r in map(inspector.history.at, range(len(inspector.history)))}) == (
        len(inspector.history)
    )
