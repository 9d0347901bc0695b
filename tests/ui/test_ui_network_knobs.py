"""The network's knobs, in the window: what they ask for, and what they say of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from livepose.engine.loading import Choice
from livepose.models import store
from livepose.models.margipose import Config, MargiPose
from livepose.models.quantised import observe

from .fakes import FakeSession, person, result, saved


def net(**settings) -> MargiPose:
    return MargiPose(Config("small", 64, heatmap_stride=8, **settings)).eval()


class Running(FakeSession):
    network = net()
    choice, size = Choice("tiny", "openvino", "float32"), 64


@pytest.fixture
def window(make_window, until):
    window = make_window(session=Running)
    window.actions_["tuning"].trigger()
    window.session.deliver(result())
    until(lambda: window.picture.result is not None)
    window.refresh()
    return window


def texts(picker) -> list[str]:
    return [picker.itemText(i) for i in range(picker.count())]


def pick(picker, text: str) -> None:
    picker.setCurrentIndex(texts(picker).index(text))
    picker.activated.emit(picker.currentIndex())


def test_what_runs_is_shown_and_what_is_picked_is_used(window) -> None:
    knobs = window.knobs
    assert knobs.ways.size.currentText() == "64 px"
    assert knobs.ways.arithmetic.currentText() == "OpenVINO f32"
    assert "256 px" in texts(knobs.ways.size)
    assert not any("int8" in text for text in texts(knobs.ways.arithmetic))  # no ranges for it
    pick(knobs.ways.size, "160 px")
    (_, wanted), *_ = [c for c in window.session.calls if c[0] == "use"]
    assert (wanted.model, wanted.size, wanted.backend) == ("tiny", 160, "openvino")
    pick(knobs.ways.arithmetic, "torch f32")
    assert window.session.calls[-1][1].backend == "torch"
    pick(knobs.ways.threads, "1")
    assert window.session.calls[-1][1].threads == 1


def test_int8_and_other_sizes_only_where_the_network_has_them(window) -> None:
    ready = net()
    ready.ranges = observe(ready, [torch.zeros(1, 3, 64, 64)])
    window.knobs.set_running(Choice("tiny", "openvino", "int8"), ready, 2)
    assert window.knobs.ways.arithmetic.currentText() == "OpenVINO int8"
    window.knobs.set_running(Choice("fc", "torch", "float32"), net(output="fc"), 2)
    assert texts(window.knobs.ways.size) == ["64 px"]
    window.knobs.set_running(Choice("gpu", "cuda-graph", "float16"), net(), 0)
    assert not window.knobs.ways.threads.isEnabled()
    assert window.knobs.ways.arithmetic.currentText() == "CUDA graph f16"


def test_what_was_picked_but_does_not_run_is_not_shown_for_long(window) -> None:
    knobs, session = window.knobs, window.session
    session.loading = True
    pick(knobs.ways.arithmetic, "torch f32")
    window.refresh()
    assert knobs.ways.arithmetic.currentText() == "torch f32"
    session.loading = False  # and what runs is what has run
    window.refresh()
    assert knobs.ways.arithmetic.currentText() == "OpenVINO f32"


def test_the_best_network_is_compared_with_while_somebody_looks(
    window, until, tmp_path: Path
) -> None:
    knobs, session = window.knobs, window.session
    session.model = saved(tmp_path, "mine")
    knobs.watch.click()
    best = Choice(store.best(), precision="float32")
    assert session.calls[-1] == ("compare", best)
    assert best.model in store.available()
    news = result(poses=(person(),))
    apart = replace(person(), joints=person().joints + 5)
    news = replace(news, other=replace(news, poses=(apart,), model="base"))
    session.deliver(news)
    until(lambda: "of a torso apart from base" in knobs.numbers.text())
    assert " ms a picture" in knobs.numbers.text()
    window.pages.show_page("Compare")  # which has an idea of its own as long as it is open
    assert session.calls[-1][1].model == session.model
    window.pages.show_page("3D")
    assert session.calls[-1] == ("compare", best)
    window.actions_["tuning"].trigger()
    assert session.calls[-1] == ("compare", None)
    assert not knobs.watch.isChecked()
