from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from livepose.frames import Event

from .fakes import LEFT_WRIST, coloured, heatmaps, person, result
from .test_ui_picture import at, pixels


def test_a_result_comes_to_the_screen(window, until) -> None:
    session = window.session
    assert session.calls[0] == ("start",)
    shown = result(coloured())
    worker = threading.Thread(target=session.deliver, args=(shown,))
    worker.start()
    worker.join()
    until(lambda: session.painted_results)
    assert session.painted_results == [shown]
    assert window.picture.result is shown
    image = pixels(window.picture)
    for x, y, rgb in ((40, 40, (10, 20, 220)), (280, 40, (30, 200, 20)), (40, 200, (210, 10, 30))):
        np.testing.assert_allclose(at(window.picture, image, x, y), rgb, atol=3)


def test_a_flood_does_not_pile_up(window, until) -> None:
    session = window.session
    results = [result(number=i) for i in range(1000)]
    for shown in results:
        session.deliver(shown)
    until(lambda: window.picture.result is results[-1])
    until(lambda: session.painted_results and session.painted_results[-1] is results[-1])
    assert len(session.painted_results) < 5
    for shown in results:
        stages = [span.stage for span in shown.frame.timeline.spans]
        painted = shown in session.painted_results
        assert stages.count("handover") == stages.count("paint") == int(painted)


def test_fast_results_do_not_starve_the_rest(window, until) -> None:
    from PyQt5.QtCore import QTimer

    stop = threading.Event()

    def flood() -> None:
        number = 0
        while not stop.is_set():
            window.session.deliver(result(number=number))
            number += 1

    worker = threading.Thread(target=flood)
    worker.start()
    try:
        ticks: list[int] = []
        timer = QTimer(interval=10, timeout=lambda: ticks.append(1))
        timer.start()
        until(lambda: len(ticks) >= 5 and len(window.session.painted_results) >= 5)
        timer.stop()
    finally:
        stop.set()
        worker.join()


def test_keys_reach_the_session(app, window, until) -> None:
    from PyQt5.QtCore import Qt
    from PyQt5.QtTest import QTest

    session = window.session
    # Without a window manager nobody else does.
    app.setActiveWindow(window)
    until(lambda: app.activeWindow() is window)

    def press(key) -> None:
        QTest.keyClick(window, key)

    press(Qt.Key_Space)
    assert session.calls[-1] == ("pause",)
    assert window.actions_["pause"].isChecked()
    press(Qt.Key_Space)
    assert session.calls[-1] == ("resume",)
    press(Qt.Key_Period)
    assert session.calls[-2:] == [("pause",), ("step",)]
    press(Qt.Key_Period)
    assert session.calls[-2:] == [("step",), ("step",)]
    window.refresh()
    assert window.actions_["pause"].isChecked()
    press(Qt.Key_M)
    assert window.picture.mirror
    assert window.view3d.mirror
    press(Qt.Key_L)
    assert not window.latency.isVisible()
    press(Qt.Key_H)
    assert session.want_heatmaps
    press(Qt.Key_BracketRight)
    assert window.heat.joint == 0
    press(Qt.Key_H)
    assert not session.want_heatmaps
    if window.view3d.scene is not None:
        press(Qt.Key_3)
        assert window.view3d.scene.state().elevation == 90
    press(Qt.Key_F1)
    until(lambda: window._help is not None and window._help.isVisible())
    QTest.keyClick(window._help, Qt.Key_Escape)
    assert window._help is None


def test_arrows_belong_to_the_slider_that_has_the_focus(app, window, until) -> None:
    from PyQt5.QtCore import Qt
    from PyQt5.QtTest import QTest

    app.setActiveWindow(window)
    until(lambda: app.activeWindow() is window)
    window.actions_["tuning"].trigger()
    slider = window.tuning.sliders["smoothing.beta"]
    slider.setFocus()
    until(slider.hasFocus)
    value = slider.value()
    QTest.keyClick(slider, Qt.Key_Right)
    assert slider.value() == value + 1
    QTest.keyClick(slider, Qt.Key_Left)
    assert slider.value() == value
    assert ("step",) not in window.session.calls


def test_pickers(window, until) -> None:
    session = window.session
    until(lambda: window.sources.findData("clip.mp4") >= 0)
    window.refresh()
    assert window.sources.currentText() == "Camera 0"
    window.sources.activated.emit(window.sources.findData("clip.mp4"))
    assert session.calls[-1] == ("open", "clip.mp4")
    window.refresh()
    assert window.sources.currentText() == "Bundled clip"
    assert [window.models.itemText(i) for i in range(2)] == ["tiny", "big"]
    window.models.activated.emit(1)
    assert session.calls[-1] == ("use", "big")
    session.source = "/somewhere/else.mp4"  # the session went over by itself
    window.refresh()
    assert window.sources.currentText() == "else.mp4"


def test_looking_for_cameras_does_not_block(window, until) -> None:
    until(lambda: window.sources.findData("synthetic") >= 0)
    go = threading.Event()

    def slow() -> list[tuple[str, str]]:
        go.wait(10)
        return [("7", "Camera 7")]

    window.sources._look = slow
    begin = time.monotonic()
    window.actions_["cameras"].trigger()
    assert time.monotonic() - begin < 1
    go.set()
    until(lambda: window.sources.findData("7") >= 0)


def test_heat_map_over_the_picture(window, until) -> None:
    pose = person()
    window.heat.choose(LEFT_WRIST)
    assert window.session.want_heatmaps
    black = np.zeros((240, 320, 3), np.uint8)
    window.session.deliver(result(black, (pose,), heatmaps=(heatmaps(pose),)))
    until(lambda: window.session.painted_results)
    beside = pose.joints[LEFT_WRIST] + np.array([8, 8])
    assert at(window.picture, pixels(window.picture), *beside)[0] > 40


def test_banner_tells_and_goes(window, until, spin) -> None:
    tell = window.session.tell
    tell(Event("capture", "error", "unplugged", "The camera was unplugged."))
    until(lambda: window.banner.isVisible())
    assert window.banner.text == "The camera was unplugged."
    assert window.banner.y() < 60
    spin(0.03)  # what was taken before the fault is no answer to it
    window.session.deliver(result())
    until(lambda: not window.banner.isVisible())
    tell(Event("engine", "warning", "fallback", "On the CPU."))
    until(lambda: window.banner.isVisible())
    window.session.deliver(result(number=1))
    until(lambda: len(window.session.painted_results) == 2)
    assert window.banner.text == "On the CPU."
    window.banner.close_button.click()
    assert not window.banner.isVisible()


def test_long_messages_are_not_cut_off(window, until) -> None:
    window.session.tell(Event("capture", "error", "failed", "A rather long sentence. " * 16))
    until(lambda: window.banner.isVisible())
    label = window.banner._text
    assert label.height() >= label.heightForWidth(label.width())
    assert window.picture.rect().contains(window.banner.geometry())


def test_status_and_latency_panel(window, until) -> None:
    window.session.note = "No GPU was found"
    for number in range(3):
        window.session.deliver(result(number=number))
        until(lambda n=number: len(window.session.painted_results) == n + 1)
    window.refresh()
    assert window.status.text("age").endswith("ms old")
    assert window.status.text("device") == "CPU · bfloat16 · 2 threads"
    assert window.status.text("model") == "tiny"
    assert window.status.text("note").startswith("No GPU was found")
    table, stats = window.latency.table, window.session.stats()
    for row in ("last", "median", "p95", "max"):
        for stage in ("capture", "forward", "handover", "paint", "total"):
            assert float(table.text(row, stage)) >= 0
    assert float(table.text("median", "capture")) == pytest.approx(
        stats.stages["capture"].median, abs=0.1
    )
    segments = window.latency.bar.segments()
    assert [name for name, *_ in segments] == list(stats.stages)
    assert sum(width for _, _, width, _ in segments) == pytest.approx(window.latency.bar.width())
    assert "30 of 90 (33 %)" in window.latency._rates.text()


def test_the_headline() -> None:
    from livepose.ui.latency import milliseconds
    from livepose.ui.status import device_line, headline

    assert headline(51.6, 60, False)[0] == "52 ms old"
    assert headline(4.26, 5, False)[0] == "4.3 ms old"
    assert headline(50, 7400, False)[0] == "7 s old"
    assert headline(50, 7400, True)[0] == "Paused"
    assert headline(0, None, False)[0] == "–"
    assert device_line("CUDA NVIDIA A10", "float16") == "CUDA NVIDIA A10 · float16"
    assert [milliseconds(ms) for ms in (0.042, 4.23, 52.0, 1234.5)] == [
        "0.04",
        "4.2",
        "52.0",
        "1234",
    ]


def test_settings_are_remembered(make_window, tmp_path: Path) -> None:
    settings = str(tmp_path / "remembered.ini")
    first = make_window(settings=settings, theme=None)
    first.actions_["mirror"].trigger()
    first.actions_["latency"].trigger()
    first.set_theme("light")
    first.splitter.setSizes([700, 300])
    sizes = first.splitter.sizes()
    first.view3d.look("side")
    first.close()
    second = make_window(settings=settings, theme=None)
    assert second.picture.mirror
    assert second.actions_["mirror"].isChecked()
    assert not second.latency.isVisible()
    assert second._theme.name == "light"
    assert second.splitter.sizes() == pytest.approx(sizes, abs=8)
    assert second.view3d.camera_state() == first.view3d.camera_state()
    third = make_window(settings=settings, mirror=False)
    assert not third.picture.mirror, "an option goes before what is remembered"


def test_a_broken_settings_file_is_no_obstacle(make_window, tmp_path: Path) -> None:
    path = tmp_path / "broken.ini"
    path.write_text("[view]\ncamera=a, b\nmirror=perhaps\ntheme=purple\n[window]\ngeometry=@@\n")
    window = make_window(settings=str(path), theme=None)
    assert not window.picture.mirror


def test_screenshot(window, until, tmp_path: Path) -> None:
    from PyQt5.QtGui import QImage

    from livepose.ui import screenshot

    saved = []
    window._saver.saved.connect(saved.append)
    for _ in range(2):
        window._saver.save(screenshot.image_of(window), tmp_path / "new")
    until(lambda: len(saved) == 2)
    assert len({Path(path).name for path in saved}) == 2
    # Two at once: a name is taken before there is anything to be written.
    assert screenshot.new_file(tmp_path) != screenshot.new_file(tmp_path)
    image = QImage(saved[0])
    ratio = window.devicePixelRatioF()
    assert (image.width(), image.height()) == (
        round(window.width() * ratio), round(window.height() * ratio),
    )  # fmt: skip
    assert window.toast.text.startswith("Saved ")
    blocked = tmp_path / "file"
    blocked.write_text("")
    window._saver.save(screenshot.image_of(window), blocked)
    until(lambda: "could not" in window.toast.text)


def test_dropped_files_are_opened(window) -> None:
    from PyQt5.QtCore import QMimeData, QPointF, Qt, QUrl
    from PyQt5.QtGui import QDropEvent

    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/videos/a.mp4")])
    window.dropEvent(QDropEvent(QPointF(5, 5), Qt.CopyAction, data, Qt.LeftButton, Qt.NoModifier))
    assert window.session.calls[-1] == ("open", "/videos/a.mp4")


def test_closing_stops_the_session_at_once(window) -> None:
    begin = time.monotonic()
    window.close()
    assert time.monotonic() - begin < 2
    assert window.session.calls[-1] == ("stop",)
    window.session.deliver(result())  # a late worker does no harm
    window.session.tell(Event("capture", "error", "late", "Late."))


def test_nothing_is_cut_off_in_a_small_window(make_window, spin) -> None:
    window = make_window(size=(940, 560))
    window.session.note = "No GPU was found, so this runs on the CPU"
    window.refresh()
    spin(0.05)
    assert (window.width(), window.height()) == (940, 560)
    device = window.status._fields["device"].value
    assert device.width() >= device.fontMetrics().horizontalAdvance(device.text())
