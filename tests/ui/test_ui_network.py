"""Into the network, in the window: a unit on the live picture, its sheet, the last layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livepose.engine.probing import Probe
from livepose.frames import Activation, Region
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


def test_the_last_layer_is_a_matrix_with_names(looking) -> None:
    matrix = looking.pages.network.matrix
    assert np.allclose(matrix.values, matrix.values.T, atol=1e-6)
    assert np.allclose(np.diag(matrix.values), 1, atol=1e-5)
    looking.pages.network.tabs.setCurrentIndex(1)
    assert not matrix.grab().isNull()


def test_a_sheet_is_shown_where_there_is_one(
    looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = looking.pages.network
    assert "No sheet" in view.sheet.text()
    from livepose.cv import cv2

    file = tmp_path / "tiny-middle.png"
    cv2.imwrite(str(file), np.full((96, 768, 3), 90, np.uint8))
    monkeypatch.setattr(network_view, "sheet_file", lambda model, layer: file)
    view.open("tiny", None)
    assert view.sheet.pixmap() is not None
    assert view.sheet.text() == ""
