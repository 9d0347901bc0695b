"""The panel of live knobs, in the window."""

from __future__ import annotations

from dataclasses import replace

import pytest

from livepose.engine.settings import EngineSettings
from livepose.engine.steady import View
from livepose.ui.tuning import KNOBS, get, put

from .fakes import FakeSession, person, result

ALL = [knob for knobs in KNOBS.values() for knob in knobs]


@pytest.mark.parametrize("knob", ALL, ids=lambda k: k.key)
def test_a_knob_reaches_from_end_to_end_and_finds_its_value(knob) -> None:
    low, high = knob.at(0), knob.at(200)
    assert (low, high) == (knob.low, knob.high)
    for position in range(0, 201, 20):
        value = knob.at(position)
        assert knob.at(knob.position(value)) == pytest.approx(value, rel=0.05, abs=0.02)
        assert get(put(EngineSettings(), knob.key, value), knob.key) == value


def test_moving_a_slider_changes_the_session_at_once(window) -> None:
    panel, session = window.tuning, window.session
    assert not panel.isVisible()
    window.actions_["tuning"].trigger()
    assert panel.isVisible()
    panel.sliders["smoothing.beta"].setValue(200)
    assert session.settings.smoothing.beta == 50
    panel.sliders["people"].setValue(200)
    assert session.settings.people == 10
    assert session.settings.smoothing.beta == 50
    panel.switches["smoothing.on"].click()
    assert not session.settings.smoothing.on
    assert not panel.sliders["smoothing.beta"].isEnabled()
    assert panel.lag.text() == "adds no lag" or panel.lag.text().startswith("lag")


def test_settings_from_outside_are_shown(make_window) -> None:
    wanted = EngineSettings(people=4, view=View(fov=90))

    class Tuned(FakeSession):
        settings = wanted

    window = make_window(session=Tuned)
    assert window.tuning.sliders["people"].value() == pytest.approx(200 / 9 * 3, abs=1)
    assert window.tuning.sliders["view.fov"].value() == pytest.approx(200 * 70 / 110, abs=1)


def test_the_lag_of_smoothing_is_said(window, until) -> None:
    window.actions_["tuning"].trigger()
    news = result(poses=(replace(person(), lag_s=0.0234),))
    window.session.deliver(news)
    until(lambda: window.picture.result is news)
    window.refresh()
    assert window.tuning.lag.text() == "adds 23 ms of lag"
    window.tuning.set_poses((replace(person(), lag_s=-0.05),))
    assert window.tuning.lag.text() == "50 ms ahead"
    window.tuning.set_poses(())
    assert "nobody" in window.tuning.lag.text()


def test_the_legend_of_sides_is_for_one_person_only(window) -> None:
    assert ("left" in window._legend.text()) == (window.session.settings.people == 1)
    window.tuning.sliders["people"].setValue(200)
    assert window._legend.text() == ""
    window.tuning.sliders["people"].setValue(0)
    assert "left" in window._legend.text()
