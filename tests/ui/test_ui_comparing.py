"""A against B in the window: the same frame, wiped or side by side, every joint's difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtTest import QTest

from livepose.engine.loading import Choice
from livepose.engine.session import Session
from livepose.models import store
from livepose.models.margipose import MargiPose
from livepose.skeleton import INDEX
from tests.engine.fakes import CALM

from .fakes import coloured, person, result, saved


def both(number: int = 0, shift: float = 8.0, way: str = "big@64/torch/float32"):
    a = person((100, 110), 80)
    b = replace(a, joints=a.joints + np.float32([shift, 0]))
    first = result(coloured(), poses=(a,), number=number)
    first.frame.timeline.mark("compare")
    return replace(first, other=replace(first, poses=(b,), model="big", way=way))


@pytest.fixture
def comparing(window, until):
    window.pages.show_page("Compare")
    shown = both()
    window.session.deliver(shown)
    until(lambda: window.pages.comparison.view.result is shown)
    return window


def pick(picker, text: str) -> None:
    picker.setCurrentIndex(picker.findText(text))
    picker.activated.emit(picker.currentIndex())


def test_b_is_a_whole_choice_and_wanted_while_one_looks(window, tmp_path: Path) -> None:
    session, comparison = window.session, window.pages.comparison
    session.model, other = saved(tmp_path, "tiny"), saved(tmp_path, "other")
    window.pages.buttons["Compare"].click()

    def wanted() -> Choice:
        _, choice = [call for call in session.calls if call[0] == "compare"][-1]
        return choice

    # At first the same model with as many threads, in the plainest arithmetic.
    assert wanted() == Choice(session.model, "torch", "float32", 64, 2)
    pick(comparison.ways.size, "128 px")
    assert wanted().size == 128
    pick(comparison.ways.threads, "1")
    assert wanted().threads == 1
    comparison.choose(other)
    assert wanted() == Choice(other, "torch", "float32", 64, 1)
    models = {comparison.model.itemData(i) for i in range(comparison.model.count())}
    assert set(store.available(everywhere=True)) <= models
    window.pages.buttons["3D"].click()
    assert wanted() is None
    window.pages.buttons["Compare"].click()
    assert wanted() == Choice(other, "torch", "float32", 64, 1)


def test_numbers_tell_both_times_and_the_distance(comparing) -> None:
    text = comparing.pages.comparison.numbers.text()
    assert "A  tiny" in text
    assert "B  big@64/torch/float32" in text


def test_every_joint_has_a_bar_of_its_difference(comparing, until) -> None:
    bars = comparing.pages.comparison.bars
    assert not bars.isVisible()  # no room: the picture goes before
    comparing.actions_["latency"].trigger()
    until(bars.isVisible)
    wrist = INDEX["left_wrist"]
    torso = np.linalg.norm(np.subtract(*person((100, 110), 80).joints[
        [INDEX["left_shoulder"], INDEX["right_hip"]]]))  # fmt: skip
    assert f"{100 * 8 / torso:.1f} % (8.0 pixels) in this frame" in bars.text(wrist)
    image, ratio = bars.grab().toImage(), bars.devicePixelRatioF()
    assert sorted(bars.order) == list(range(len(INDEX)))
    for joint in bars.order:
        row = bars.row(joint)
        assert bars.rect().contains(row.toRect())
        # All are as far apart: every bar is full.
        seen = image.pixelColor(int((row.right() - 34) * ratio), int(row.center().y() * ratio))
        assert max(seen.getRgb()[:3]) > 140
    # Another B: what was before does not flow into its mean.
    news = both(1, 0.0, way="big@128/torch/float32")
    comparing.session.deliver(news)
    until(lambda: comparing.pages.comparison.view.result is news)
    assert "0.0 % of a torso lately" in bars.text(wrist)


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
    rect = view.parts()[0][1]
    edge = QPoint(round(rect.right()) - 1, round(rect.center().y()))
    QTest.mouseClick(view, Qt.LeftButton, pos=edge)
    assert view.wipe > 0.98
    only_a = _orange(comparing).mean()
    QTest.mouseClick(view, Qt.LeftButton, pos=QPoint(round(rect.left()) + 1, edge.y()))
    assert view.wipe < 0.02
    only_b = _orange(comparing).mean()
    shift = 8 * rect.width() / 320
    assert only_b - only_a == pytest.approx(shift, abs=2)


def test_keys_move_the_line_and_put_both_side_by_side(app, comparing, until) -> None:
    app.setActiveWindow(comparing)
    until(lambda: app.activeWindow() is comparing)
    view = comparing.pages.comparison.view
    QTest.keyClick(comparing, Qt.Key_Greater)
    assert view.wipe == pytest.approx(0.55)
    for _ in range(2):
        QTest.keyClick(comparing, Qt.Key_Less)
    assert view.wipe == pytest.approx(0.45)
    QTest.keyClick(comparing, Qt.Key_V)
    assert view.beside
    (a, left, _), (b, right, _) = view.parts()
    assert (a, b) == ("a", "b")
    assert left.right() < right.left()
    orange = _orange(comparing)
    zoom, apart = left.width() / 320, right.left() - left.left()
    of_a, of_b = orange[orange < left.right()], orange[orange > right.left()]
    assert of_b.mean() - of_a.mean() == pytest.approx(apart + 8 * zoom, abs=2)
    comparing.pages.comparison.side_by_side.click()
    assert not view.beside


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


def test_without_a_rival_the_picture_is_there(window, until, tmp_path: Path) -> None:
    window.session.model = saved(tmp_path, "tiny")
    window.pages.show_page("Compare")
    shown = result(coloured(), poses=(person(),))
    window.session.deliver(shown)
    until(lambda: window.pages.comparison.view.result is shown)
    assert "loading" in window.pages.comparison.numbers.text()
    window.pages.comparison.view.grab()


def test_a_b_that_fails_is_told_on_the_page_and_the_live_view_goes_on(
    make_window, until, tmp_path: Path
) -> None:
    good, broken, flaky = (saved(tmp_path, name) for name in ("good", "broken", "flaky"))
    Path(broken).write_bytes(Path(broken).read_bytes()[:-100])

    def load(name: str):
        net = store.load_model(name)[0]
        if name == flaky:
            left = [3 + 1]  # three runs to get warm

            def logits(x: torch.Tensor):
                left[0] -= 1
                if left[0] < 0:
                    raise RuntimeError("no kernel for it")
                return MargiPose.logits(net, x)

            net.logits = logits
        return net

    def live(on_result, on_event) -> Session:
        return Session("synthetic:64x48@20", good, on_result=on_result, on_event=on_event,
                       **{**CALM, "load": load})  # fmt: skip

    window = make_window(session=live)
    comparison = window.pages.comparison
    until(lambda: window.picture.result is not None, 60)
    window.pages.show_page("Compare")
    for wrong, why in ((broken, "is not the file that its card describes"),
                       (flaky, "no kernel for it")):  # fmt: skip
        comparison.choose(wrong)
        until(lambda why=why: why in comparison.numbers.text(), 60)
        before = window.picture.result.frame.id
        until(lambda before=before: window.picture.result.frame.id > before + 3, 60)
        assert window.picture.result.poses
        assert window.picture.result.other is None
    comparison.choose(good)
    until(lambda: "B  good@64/torch/float32" in comparison.numbers.text(), 60)
