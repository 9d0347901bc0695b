"""The inspector in the window: maps of a chosen joint, numbers, and the last seconds."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtTest import QTest

from livepose.cv import cv2
from livepose.frames import Stage
from livepose.inspection import joint_figures
from livepose.skeleton import INDEX, JOINTS
from livepose.ui import history as history_module
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


def test_the_cross_hair_is_the_coordinate_in_use_and_a_ring_the_mean(looking, until) -> None:
    two = heatmaps(SHOWN)
    moved = np.roll(two.xy, -12, axis=2)  # another peak, lower
    two = replace(two, xy=0.6 * two.xy + 0.4 * moved)
    shown = result(coloured(), poses=(SHOWN,), heatmaps=(two,), number=1)
    looking.session.deliver(shown)
    inspector = looking.pages.inspector
    until(lambda: inspector.result is shown)
    of = joint_figures(two, LEFT_WRIST)
    assert of.xy.mean[0] < of.xyz[0] - 0.2
    assert f"x {of.xyz[0]:+.3f}" in inspector.numbers.text()
    assert "the network took the stronger" in inspector.words.text()
    image, rect = inspector.maps.grab().toImage(), inspector.maps.rects()[0]

    def columns(row: float, red: int, blue: int) -> list[float]:
        """Where in a row of the xy map something is at least so red and at most so blue."""
        y = int(rect.top() + (row + 1) / 2 * rect.height())
        found = []
        for x in range(int(rect.left()) + 2, int(rect.right()) - 2):
            colour = image.pixelColor(x, y)
            if colour.red() >= red and colour.blue() <= blue and colour.green() > 120:
                found.append((x - rect.left()) / rect.width() * 2 - 1)
        return found

    white = columns(0.8, 120, 255)  # far below both peaks, only the line is bright
    assert white
    assert np.mean(white) == pytest.approx(of.xyz[0], abs=0.03)
    yellow = columns(of.xy.mean[1] + 0.015, 160, 120)
    assert min(abs(x - of.xy.mean[0]) for x in yellow) < 0.08


def test_the_side_that_cuts_a_map_off_is_red(looking, until) -> None:
    view = looking.pages.inspector.maps
    looking.pages.inspector.joint.setCurrentIndex(INDEX["right_knee"])

    def red() -> list[bool]:
        image, rect = view.grab().toImage(), view.rects()[0]
        middle = rect.center()
        ends = ((rect.left(), middle.y()), (rect.right(), middle.y()),
                (middle.x(), rect.top()), (middle.x(), rect.bottom()))  # fmt: skip
        colours = [image.pixelColor(round(x), round(y)) for x, y in ends]
        return [c.red() > 180 and c.green() < 100 for c in colours]

    assert red() == [False] * 4
    edge = heatmaps(SHOWN)
    edge = replace(edge, xy=np.zeros_like(edge.xy))
    edge.xy[:, 10, -1] = 1
    shown = result(coloured(), poses=(SHOWN,), heatmaps=(edge,), number=1)
    looking.session.deliver(shown)
    until(lambda: looking.pages.inspector.result is shown)
    assert red() == [False, True, False, False]
    assert "cut off at the edge (xy right)" in looking.pages.inspector.words.text()


def test_stages_can_be_looked_at_and_one_that_is_not_given_says_so(looking, until) -> None:
    inspector, maps = looking.pages.inspector, heatmaps(SHOWN)
    assert not inspector.stage.isVisible()  # there is one stage only
    first = Stage("before attention", np.roll(maps.xy, -20, axis=2))
    staged = replace(maps, stages=(first, Stage("before lifting")))
    shown = result(coloured(), poses=(SHOWN,), heatmaps=(staged,), number=1)
    looking.session.deliver(shown)
    until(lambda: inspector.result is shown)
    assert inspector.stage.isVisible()
    assert inspector.stage.currentText() == "In use"
    last = inspector.maps.grab().toImage()
    inspector.stage.setCurrentIndex(0)
    assert "before attention" in inspector.words.text()
    assert f"± {joint_figures(staged, LEFT_WRIST, first).xy.deviation[0]:.3f}" in (
        inspector.numbers.text()
    )
    assert inspector.maps.grab().toImage() != last
    inspector.stage.setCurrentIndex(1)
    assert "come with torch only" in inspector.words.text()
    again = replace(shown, frame=replace(shown.frame, id=2))
    looking.session.deliver(again)
    until(lambda: inspector.result is again)
    assert inspector.stage.currentText() == "Before lifting"  # stays chosen


def test_a_network_without_maps_shows_what_its_detectors_say(looking, until) -> None:
    inspector, maps = looking.pages.inspector, heatmaps(SHOWN)
    presence = Stage("detectors", np.full((len(JOINTS), 4, 4), 0.5), presence=True)
    drawn = replace(maps, drawn=("xy", "zy", "xz"), stages=(presence,))
    shown = result(coloured(), poses=(SHOWN,), heatmaps=(drawn,), number=1)
    looking.session.deliver(shown)
    until(lambda: inspector.result is shown)
    assert not inspector.stage.isVisible()
    words = inspector.words.text()
    assert "in the window about its cell" in words
    assert "regresses x, y and z: it has no heatmap" in words
    assert "entropy" not in inspector.numbers.text()
    assert "±" not in inspector.numbers.text()
    assert f"x {maps.xyz[LEFT_WRIST][0]:+.3f}" in inspector.numbers.text()
    inspector.maps.grab()


def two(*ids: int, number: int = 0):
    """People beside each other."""
    poses = [replace(person((100 + 40 * i, 110), 100), id=i) for i in ids]
    return result(coloured(), tuple(poses), number, tuple(heatmaps(p) for p in poses))


def test_the_chosen_person_is_waited_for(looking, until) -> None:
    inspector, session = looking.pages.inspector, looking.session

    def deliver(shown) -> None:
        session.deliver(shown)
        until(lambda: inspector.result is shown)

    both = two(1, 2)
    deliver(both)
    assert inspector.person.currentText() == "Person 1"
    at = both.poses[1].joints[LEFT_WRIST]
    point = looking.picture.to_widget(float(at[0]), float(at[1]))
    QTest.mouseClick(looking.picture, Qt.LeftButton, pos=QPoint(round(point.x()), round(point.y())))
    assert inspector.person.currentText() == "Person 2"
    deliver(two(1, number=1))
    assert inspector.person.currentText() == "Person 2"
    assert inspector.words.text() == "Person 2 is not seen."
    assert inspector.numbers.text() == ""
    deliver(two(3, 2, number=2))  # now the second of them
    assert inspector.person.currentText() == "Person 2"
    assert inspector.numbers.text() != ""
    deliver(two(3, number=3))
    inspector.person.setCurrentIndex(0)  # the user gives up on them
    assert inspector.person.currentText() == "Person 3"
    assert inspector.numbers.text() != ""
    looking.pages.forget()  # another source: everybody is new
    deliver(two(1, number=4))
    assert inspector.person.currentText() == "Person 1"
    assert inspector.numbers.text() != ""


def test_looking_back_while_the_capture_goes_on(looking, until) -> None:
    inspector, session = looking.pages.inspector, looking.session
    past = [news(k) for k in range(1, 6)]
    for each in past:
        session.deliver(each)
        until(lambda each=each: inspector.result is each)
    painted = len(session.painted_results)
    inspector.slider.setValue(2)
    chosen = inspector.result
    assert chosen.frame.id == past[1].frame.id
    assert looking.picture.result is chosen
    assert np.abs(chosen.frame.image.astype(int) - past[1].frame.image).mean() < 3
    assert inspector.history.at(99).frame.id == past[-1].frame.id
    kept = len(inspector.history)
    for late_s in (3, 60):  # nothing that is being looked at goes away, however long that takes
        later = news(9)
        later.frame.timeline.start_ns = chosen.frame.timeline.start_ns + int(late_s * 1e9)
        session.deliver(later)
        until(lambda late_s=late_s: inspector.age.text() == f"{late_s:.1f} s ago")
        assert looking.picture.result is chosen
        assert len(inspector.history) == kept
        assert inspector.history.at(inspector.slider.value()).frame.id == chosen.frame.id
    assert len(session.painted_results) == painted  # what is not seen has no latency
    inspector.slider.setValue(1)  # its neighbour is still there
    assert inspector.result.frame.id == past[0].frame.id
    inspector.back.click()
    assert looking.picture.result is later  # at once, even if the capture is paused
    last = news(10)
    session.deliver(last)
    until(lambda: looking.picture.result is last)
    assert inspector.age.text() == "live"
    assert inspector.history.at(99).frame.id == last.frame.id


def test_nobody_is_nobody(looking, until) -> None:
    empty = result(coloured())
    looking.session.deliver(empty)
    until(lambda: looking.pages.inspector.result is empty)
    assert "Nobody" in looking.pages.inspector.words.text()
    assert looking.pages.inspector.numbers.text() == ""
    looking.pages.inspector.maps.grab()


def moment(number: int, start_s: float, side: int = 200):
    """A noisy picture, which does not pack well, of a moment."""
    image = np.random.default_rng(number).integers(0, 255, (side, side, 3), np.uint8)
    shown = result(image, number=number)
    shown.frame.timeline.start_ns = int(start_s * 1e9)
    return shown


def test_the_history_keeps_ten_seconds() -> None:
    history = History()
    for k in range(150):
        history.add(moment(k, k / 10, side=8))
    assert len(history) == 101
    assert history.at(0).frame.id == 49
    assert history.at(99).frame.id == 148
    assert history.at(999).frame.id == 149
    history.clear()
    assert len(history) == history.size == 0


def test_the_history_is_bounded_while_pictures_wait_to_be_packed_and_after(
    monkeypatch: pytest.MonkeyPatch, until
) -> None:
    go, packed = threading.Event(), history_module._packed

    def slow(image: np.ndarray) -> np.ndarray:
        assert go.wait(20)
        return packed(image)

    monkeypatch.setattr(history_module, "_packed", slow)
    history = History(limit_mb=1)
    last = [moment(k, k / 30) for k in range(40)]
    for each in last:
        history.add(each)
        assert history.size <= 1e6
    assert len(history) == 8  # of 0.12 MB each
    go.set()
    until(lambda: history.size < 0.7e6)
    for each in last:
        history.add(each)
        history.at(999)  # waits until it is packed
    assert history.size <= 1e6
    assert len(history) > 8


def test_maps_count_once_and_what_another_network_said_is_not_kept() -> None:
    history, maps = History(), heatmaps(SHOWN)  # one array, three times
    zy = maps.xy.copy()
    staged = replace(maps, stages=(Stage("before", maps.xy[:], zy),))
    one = result(coloured(), (SHOWN,), 1, (staged,))
    history.add(replace(one, other=one))
    kept = history.at(0)
    assert maps.xy.nbytes + zy.nbytes < history.size < maps.xy.nbytes + zy.nbytes + 30_000
    assert kept.heatmaps == (staged,)
    assert kept.other is None


def test_a_picture_that_cannot_be_packed_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise cv2.error("no encoder")

    monkeypatch.setattr(cv2, "imencode", broken)
    history, one = History(), moment(0, 0)
    history.add(one)
    assert np.array_equal(history.at(0).frame.image, one.frame.image)
