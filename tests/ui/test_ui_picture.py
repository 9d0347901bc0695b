from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livepose import palette
from livepose.skeleton import INDEX

from .fakes import LEFT_WRIST, coloured, heatmaps, person, pixels, result


@pytest.fixture
def picture(app, until):
    from livepose.ui.picture import PictureView

    view = PictureView()
    view.resize(640, 400)
    view.show()
    until(lambda: view.windowHandle() is not None and view.windowHandle().isExposed())
    yield view
    view.close()


def at(view, image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Colour where the frame's pixel (x, y) is to be."""
    point, ratio = view.to_widget(x, y), view.devicePixelRatioF()
    return image[int(point.y() * ratio), int(point.x() * ratio)].astype(int)


def test_paints_exactly_the_frame(picture) -> None:
    frame = coloured(640, 400)
    frame[::7, ::5] = (1, 2, 3)
    picture.show_result(result(frame))
    np.testing.assert_array_equal(pixels(picture), frame[..., ::-1])


def test_odd_widths_and_views_of_bigger_arrays(picture) -> None:
    big = np.random.default_rng(0).integers(0, 255, (500, 900, 3), np.uint8)
    picture.resize(641, 400)
    frame = big[50:450, 100:741]
    picture.show_result(result(frame))
    np.testing.assert_array_equal(pixels(picture), frame[..., ::-1])


def test_letterbox_keeps_the_aspect(picture) -> None:
    picture.show_result(result(coloured(320, 240)))
    rect = picture.frame_rect()
    assert rect.width() / rect.height() == pytest.approx(320 / 240, rel=0.01)
    assert rect.height() == 400
    image = pixels(picture)
    assert image[200, 5].tolist() == image[200, 634].tolist() == [13, 15, 19]
    np.testing.assert_allclose(at(picture, image, 20, 20), (10, 20, 220), atol=2)
    np.testing.assert_allclose(at(picture, image, 300, 220), (120, 120, 120), atol=2)


@pytest.mark.parametrize("mirror", [False, True])
def test_skeleton_sits_on_its_joints(picture, mirror: bool) -> None:
    picture.set_mirror(mirror)
    picture.show_result(result(np.zeros((240, 320, 3), np.uint8), (person(),)))
    image, joints = pixels(picture), person().joints
    for name in ("left_wrist", "right_wrist", "left_ankle"):
        seen = at(picture, image, *joints[INDEX[name]])
        expected = palette.SIDES["left" if name.startswith("left") else "right"]
        np.testing.assert_allclose(seen, expected, atol=12, err_msg=name)
    wrist = picture.to_widget(*joints[LEFT_WRIST])
    # The left wrist is in the right half of the picture, in a mirror in the left one.
    assert (wrist.x() > 320) is (not mirror)


def test_mirror_flips_the_picture(picture) -> None:
    frame = coloured(640, 400)
    picture.set_mirror(True)
    picture.show_result(result(frame))
    np.testing.assert_array_equal(pixels(picture), frame[:, ::-1, ::-1])


def test_unsure_joints_are_faint_or_absent(picture) -> None:
    pose = person()
    confidence = pose.confidence.copy()
    confidence[INDEX["left_wrist"]] = 0.05
    confidence[INDEX["right_wrist"]] = 0.25
    joints = pose.joints.copy()
    joints[INDEX["left_ankle"]] = np.nan
    shown = replace(pose, confidence=confidence, joints=joints)
    picture.show_result(result(np.zeros((240, 320, 3), np.uint8), (shown,)))
    image = pixels(picture)
    assert at(picture, image, *joints[INDEX["left_wrist"]]).max() == 0
    assert 10 < at(picture, image, *joints[INDEX["right_wrist"]]).max() < 200
    assert at(picture, image, *joints[INDEX["right_ankle"]]).max() > 200


def test_heat_lies_where_the_map_peaks(picture) -> None:
    from livepose.ui.painting import ALL_JOINTS

    pose = person(confidence=0.95)
    faint = replace(pose, confidence=np.zeros_like(pose.confidence))  # no skeleton over it
    shown = result(np.zeros((240, 320, 3), np.uint8), (faint,), heatmaps=(heatmaps(pose),))
    picture.show_result(shown)
    assert pixels(picture)[:, 60:-60].max() == 0, "no overlay unless wanted"
    picture.set_heat_joint(LEFT_WRIST)
    image = pixels(picture)
    assert at(picture, image, *pose.joints[LEFT_WRIST]).max() > 180
    assert at(picture, image, *pose.joints[INDEX["right_ankle"]]).max() == 0
    picture.set_mirror(True)
    assert at(picture, pixels(picture), *pose.joints[LEFT_WRIST]).max() > 180
    picture.set_mirror(False)
    picture.set_heat_joint(ALL_JOINTS)
    picture.show_result(
        result(np.zeros((240, 320, 3), np.uint8), (pose,), heatmaps=(heatmaps(pose),))
    )
    assert at(picture, pixels(picture), *(pose.joints[INDEX["right_ankle"]] + [5, 5])).max() > 60


def test_times_are_marked_once_for_each_result(picture, until) -> None:
    told = []
    picture.painted.connect(told.append)
    first, second = result(), result(number=1)
    picture.show_result(first)
    until(lambda: len(told) == 1)
    picture.resize(500, 300)
    picture.update()
    until(lambda: picture.width() == 500)
    picture.repaint()
    picture.show_result(second)
    until(lambda: len(told) == 2)
    assert told == [first, second]
    for shown in told:
        stages = [span.stage for span in shown.frame.timeline.spans]
        assert stages[-2:] == ["handover", "paint"]
        assert stages.count("handover") == stages.count("paint") == 1
        assert shown.frame.timeline.ms()["paint"] > 0


def test_a_hidden_view_measures_nothing(picture, until) -> None:
    told = []
    picture.painted.connect(told.append)
    picture.hide()
    hidden = result()
    picture.show_result(hidden)
    until(lambda: True)
    assert not told
    assert "paint" not in hidden.frame.timeline.ms()


def test_the_frame_lives_as_long_as_it_is_on_screen(picture) -> None:
    import gc
    import weakref

    frame = coloured(640, 400)
    expected, alive = frame[..., ::-1].copy(), weakref.ref(frame)
    picture.show_result(result(frame))
    del frame
    gc.collect()
    assert alive() is not None
    np.testing.assert_array_equal(pixels(picture), expected)
    picture.show_result(result(number=1))
    gc.collect()
    assert alive() is None


_HIDPI = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from livepose.cv import cv2  # before Qt: must not lead it to OpenCV's plugins
from livepose.ui.app import make_application
app = make_application()
from livepose.ui.picture import PictureView
from ui.fakes import coloured, person, result
from ui.test_ui_picture import at, pixels
view = PictureView()
view.resize(320, 240)
view.show()
app.processEvents()
assert view.devicePixelRatioF() == 2, view.devicePixelRatioF()
frame = coloured(640, 480)
view.show_result(result(frame))
np.testing.assert_array_equal(pixels(view), frame[..., ::-1])
pose = person((320, 220), 200)
view.show_result(result(np.zeros_like(frame), (pose,)))
image = pixels(view)
assert image.shape == (480, 640, 3)
assert at(view, image, *pose.joints[9]).tolist() == [255, 150, 46], at(view, image, *pose.joints[9])
print("fine")
"""


def test_hidpi(app, run_python: Callable) -> None:
    code = _HIDPI.format(tests=str(Path(__file__).parents[1]))
    done = run_python(code, QT_SCALE_FACTOR="2")
    assert done.stdout.strip() == "fine", done.stderr


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    import os

    def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **environment},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run
