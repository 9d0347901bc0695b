"""The inspector in the window: maps of a chosen joint, numbers, and the last seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtTest import QTest

from livepose.inspection import joint_figures
from livepose.skeleton import INDEX
from livepose.ui.history import History

from .fakes import LEFT_WRIST, coloured, heatmaps, person, result

SHOWN = person((160, 110), 100)


def news(number: int = 0, **more):
    pose = replace(SHOWN, **more)
    return result(coloured(), poses=(pose,), heatmaps=(heatmaps(pose),), number=number)


@pytest.fixture
def looking(window, until):
    """The window with its inspector open on somebody."""
    window.pages.show_page("Inspector")
    shown = news()
    window.session.deliver(shown)
    until(lambda: window.pages.inspector.result is shown)
    return window


def test_opening_it_asks_for_heatmaps_and_closing_it_does_not(window) -> None:
    assert not window.session.want_heatmaps
    window.pages.buttons["Inspector"].click()
    assert window.session.want_heatmaps
    assert window.pages.inspector.isVisible()
    assert not window.view3d.isVisible()
    window.pages.buttons["3D"].click()
    assert not window.session.want_heatmaps
    assert len(window.pages.inspector.history) == 0


def test_the_numbers_are_those_of_the_maps(looking) -> None:
    inspector = looking.pages.inspector
    maps = inspector.result.heatmaps[0]
    x, y, z = joint_figures(maps, LEFT_WRIST).xyz
    text = inspector.numbers.text()
    assert f"x {x:+.3f}" in text
    assert f"y {y:+.3f}" in text
    assert f"z {z:+.3f}" in text
    assert "confidence 0.95" in text
    assert inspector.words.text()


def test_the_map_is_painted_where_the_joint_is(looking) -> None:
    view = looking.pages.inspector.maps
    image = view.grab().toImage()
    of = joint_figures(looking.pages.inspector.result.heatmaps[0], LEFT_WRIST).xy
    rect = view.rects()[0]

    def hot(x: float, y: float) -> int:
        at = (rect.left() + (x + 1) / 2 * rect.width(), rect.top() + (y + 1) / 2 * rect.height())
        ratio = view.devicePixelRatioF()
        colour = image.pixelColor(int(at[0] * ratio), int(at[1] * ratio))
        return colour.red() + colour.green()

    assert hot(of.mean[0] + 0.02, of.mean[1] + 0.02) > hot(-0.9, 0.9) + 100


def test_a_click_on_the_picture_chooses_the_joint(looking) -> None:
    at = SHOWN.joints[INDEX["right_knee"]]
    point = looking.picture.to_widget(float(at[0]), float(at[1]))
    QTest.mouseClick(looking.picture, Qt.LeftButton, pos=QPoint(round(point.x()), round(point.y())))
    assert looking.pages.inspector.joint.currentText() == "Right knee"
    # In mirrored pictures, too.
    looking.actions_["mirror"].trigger()
    at = SHOWN.joints[INDEX["left_wrist"]]
    point = looking.picture.to_widget(float(at[0]), float(at[1]))
    QTest.mouseClick(looking.picture, Qt.LeftButton, pos=QPoint(round(point.x()), round(point.y())))
    assert looking.pages.inspector.joint.currentText() == "Left wrist"


def test_looking_back_while_the_capture_goes_on(looking, until) -> None:
    inspector, session = looking.pages.inspector, looking.session
    past = [news(k) for k in range(1, 6)]
    for each in past:
        session.deliver(each)
        until(lambda each=each: inspector.result is each)
    painted = len(session.painted_results)
    inspector.slider.setValue(2)
    chosen = inspector.result
    assert chosen is past[1]
    assert looking.picture.result is chosen
    assert inspector.age.text().endswith("s ago")
    later = news(9)
    session.deliver(later)
    until(lambda: inspector.history.at(99) is later)
    assert looking.picture.result is chosen
    assert inspector.history.at(inspector.slider.value()) is chosen
    assert len(session.painted_results) == painted  # what is not seen has no latency
    inspector.back.click()
    last = news(10)
    session.deliver(last)
    until(lambda: looking.picture.result is last)
    assert inspector.age.text() == "live"


def test_nobody_is_nobody(looking, until) -> None:
    empty = result(coloured())
    looking.session.deliver(empty)
    until(lambda: looking.pages.inspector.result is empty)
    assert "Nobody" in looking.pages.inspector.words.text()
    assert looking.pages.inspector.numbers.text() == ""
    looking.pages.inspector.maps.grab()


def test_the_history_has_a_budget() -> None:
    history = History(budget_mb=1)
    results = [result(np.zeros((200, 200, 3), np.uint8), number=k) for k in range(20)]
    for each in results:
        history.add(each)
    assert len(history) == 8  # of 0.12 MB each
    assert history.at(0) is results[12]
    assert history.at(99) is results[19]
    assert history.find(results[15]) == 3
    assert history.find(results[2]) == 0
    history.clear()
    assert len(history) == 0
