"""A against B in the window: the same frame, a wipe, a flicker key, numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtTest import QTest

from livepose.engine.loading import Choice

from .fakes import coloured, person, result


def both(number: int = 0, shift: float = 8.0):
    a = person((100, 110), 80)
    b = replace(a, joints=a.joints + np.float32([shift, 0]))
    first = result(coloured(), poses=(a,), number=number)
    first.frame.timeline.mark("compare")
    return replace(first, other=replace(first, poses=(b,), model="big"))


@pytest.fixture
def comparing(window, until):
    window.pages.show_page("Compare")
    shown = both()
    window.session.deliver(shown)
    until(lambda: window.pages.comparison.view.result is shown)
    return window


def test_the_rival_is_wanted_while_one_looks(window) -> None:
    window.pages.buttons["Compare"].click()
    assert ("compare", Choice("tiny")) in window.session.calls
    window.pages.comparison.choose("big")
    assert window.session.calls[-1] == ("compare", Choice("big"))
    window.pages.buttons["3D"].click()
    assert window.session.calls[-1] == ("compare", None)


def test_numbers_tell_both_times_and_the_distance(comparing) -> None:
    text = comparing.pages.comparison.numbers.text()
    assert "A tiny" in text
    assert "B big" in text
    assert "of a torso apart" in text
    assert "%" in comparing.pages.comparison.joints.text()


def _orange(comparing) -> np.ndarray:
    """Where the left side's colour is, as columns of the view."""
    image = comparing.pages.comparison.view.grab().toImage()
    found = []
    for x in range(0, image.width(), 1):
        for y in range(0, image.height(), 2):
            c = image.pixelColor(x, y)
            if c.red() > 220 and 120 < c.green() < 180 and c.blue() < 90:
                found.append(x)
    return np.array(found)


def test_the_wipe_shows_a_left_and_b_right_of_the_line(comparing) -> None:
    view = comparing.pages.comparison.view
    rect = view.frame_rect()
    edge = QPoint(round(rect.right()) - 1, round(rect.center().y()))
    QTest.mouseClick(view, Qt.LeftButton, pos=edge)
    assert view.wipe > 0.98
    only_a = _orange(comparing).mean()
    QTest.mouseClick(view, Qt.LeftButton, pos=QPoint(round(rect.left()) + 1, edge.y()))
    assert view.wipe < 0.02
    only_b = _orange(comparing).mean()
    shift = 8 * rect.width() / 320
    assert only_b - only_a == pytest.approx(shift, abs=2)


def test_the_flicker_key_shows_one_and_then_the_other(comparing) -> None:
    view = comparing.pages.comparison.view
    seen = []
    for _ in range(3):
        comparing.actions_["flicker"].trigger()
        seen.append(view.shown)
    assert seen == ["a", "b", ""]
    comparing.actions_["flicker"].trigger()
    a = _orange(comparing).mean()
    comparing.actions_["flicker"].trigger()
    assert _orange(comparing).mean() > a


def test_without_a_rival_the_picture_is_there(window, until) -> None:
    window.pages.show_page("Compare")
    shown = result(coloured(), poses=(person(),))
    window.session.deliver(shown)
    until(lambda: window.pages.comparison.view.result is shown)
    assert "loading" in window.pages.comparison.numbers.text()
    window.pages.comparison.view.grab()
