"""Into the network, in the window: a unit on the live picture, its sheet, the last layer."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import QEvent, QPoint
from PyQt5.QtGui import QHelpEvent
from PyQt5.QtWidgets import QApplication, QToolTip

from livepose.engine.probing import Probe
from livepose.evaluate import units
from livepose.frames import Activation, Region
from livepose.models.multitask import MultiTask, MultiTaskConfig
from livepose.models.units import save_tops
from livepose.skeleton import INDEX
from livepose.ui import network_view
from tests.engine.fakes import tiny

from .fakes import FakeSession, coloured, result


class WithNetwork(FakeSession):
    network = tiny()


@pytest.fixture
def looking(make_window):
    window = make_window(session=WithNetwork)
    window.pages.show_page("Network")
    return window


def test_the_unit_is_asked_for_while_one_looks(looking) -> None:
    session, view = looking.session, looking.pages.network
    assert session.probe == Probe("middle", 0)
    view.unit.setMaximum(31)
    view.unit.setValue(7)
    assert session.probe == Probe("middle", 7)
    looking.pages.show_page("3D")
    assert session.probe is None


def test_its_answer_is_painted_on_the_picture(looking, until) -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[2, 5] = 1
    activation = Activation("middle", 0, 40, heat, Region(160, 120, 240))
    looking.session.deliver(replace(result(coloured()), activation=activation))
    view = looking.pages.network
    until(lambda: view.unit.maximum() == 39)
    image = view.live.grab().toImage()
    square, ratio = view.live.square(), view.live.devicePixelRatioF()

    def at(x: float, y: float) -> int:
        c = image.pixelColor(int((square.left() + x * square.width()) * ratio),
                             int((square.top() + y * square.height()) * ratio))  # fmt: skip
        return c.red() + c.green()

    assert at(5.5 / 8, 2.5 / 8) > at(1.5 / 8, 6.5 / 8) + 150


def answering(height: float, way: str = "tiny@64/torch/float32"):
    heat = np.full((8, 8), 0.5 * height, np.float32)
    heat[2, 5] = height
    return replace(result(coloured()), way=way,
                   activation=Activation("middle", 0, 40, heat, Region(160, 120, 240)))  # fmt: skip


def test_a_silent_unit_does_not_glow(looking, until) -> None:
    view = looking.pages.network
    brightness = []
    for height in (5.0, 0.1):
        looking.session.deliver(answering(height))
        until(lambda height=height: f"answers {height:.2f}" in view.answer.text())
        image = view.live.grab().toImage()
        brightness.append(image.pixelColor(image.width() // 2, image.height() // 2).red())
    assert "2 % of its strongest so far" in view.answer.text()
    assert brightness[0] > brightness[1] + 60
    looking.session.deliver(answering(0.1, way="other@64/torch/float32"))  # begins anew
    until(lambda: "100 % of its strongest so far" in view.answer.text())


def test_the_matrix_is_that_of_the_network_that_runs(make_window) -> None:
    """Also where the page was opened before there was one, and another has the same name."""
    window = make_window()
    window.pages.show_page("Network")
    view = window.pages.network
    assert view.matrix.values is None
    assert window.session.probe is None
    window.session.network = tiny()
    window.refresh()
    first = view.matrix.values
    assert first is not None
    assert window.session.probe == Probe("middle", 0)
    window.session.network = MultiTask(MultiTaskConfig(input_size=64))
    window.refresh()
    assert not np.allclose(view.matrix.values, first)
    assert [view.layer.itemText(i) for i in range(view.layer.count())] == [
        "middle", "high", "regressor"]  # fmt: skip


def test_the_mouse_asks_for_two_joints(looking) -> None:
    matrix = looking.pages.network.matrix
    looking.pages.network.tabs.setCurrentIndex(1)
    square, n = matrix.square(), len(matrix.order)
    row, column = matrix.order.index(INDEX["left_knee"]), matrix.order.index(INDEX["neck"])
    x, y = (start + (k + 0.5) * square.width() / n
            for start, k in ((square.left(), column), (square.top(), row)))  # fmt: skip
    text = f"Left knee and Neck: {matrix.values[row, column]:+.2f}"
    assert matrix.text(x, y) == text
    at = QPoint(round(x), round(y))
    QApplication.sendEvent(matrix, QHelpEvent(QEvent.ToolTip, at, matrix.mapToGlobal(at)))
    assert QToolTip.text() == text
    assert matrix.text(2, 2) == ""


def test_the_last_layer_is_a_matrix_with_names(looking) -> None:
    matrix = looking.pages.network.matrix
    assert np.allclose(matrix.values, matrix.values.T, atol=1e-6)
    assert np.allclose(np.diag(matrix.values), 1, atol=1e-5)
    looking.pages.network.tabs.setCurrentIndex(1)
    assert not matrix.grab().isNull()


def test_a_sheet_is_shown_where_there_is_one(
    looking, until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = looking.pages.network
    command = view.sheet.text().splitlines()[-1].split()
    assert command[:3] == ["livepose", "units", "tiny"]
    parser = argparse.ArgumentParser()
    units.add_arguments(parser)
    parsed = parser.parse_args(command[2:])  # as it is printed
    assert parsed.layer == "middle"
    from livepose.cv import cv2

    file = tmp_path / "tiny-middle.png"
    cv2.imwrite(str(file), np.full((96, 768, 3), 90, np.uint8))
    monkeypatch.setattr(network_view, "sheet_file", lambda model, layer: file)
    save_tops(file, [8.0] * 32)
    view.open("tiny", looking.session.network)
    assert view.sheet.pixmap() is not None
    assert view.sheet.text() == ""
    looking.session.deliver(answering(2.0))
    until(lambda: "25 % of its strongest in the data set" in view.answer.text())
    before = view.sheet.pixmap().width()
    looking.actions_["latency"].trigger()
    looking.resize(1900, 900)
    until(lambda: view.sheet.pixmap().width() > before + 50)
    looking.resize(1000, 640)
    until(lambda: view.sheet.pixmap().width() < before + 20)
