from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from livepose import palette
from livepose.frames import Pose, Viewpoint
from livepose.ui.camera import FOV, VIEWS, Widening
from livepose.ui.standing import Stage

from .fakes import person, pixels, result


@pytest.fixture(scope="module", params=["in software", "by a graphics card"])
def view(app, request):
    from livepose.ui import scene3d
    from livepose.ui.view3d import View3D

    with pytest.MonkeyPatch.context() as patch:
        # What draws is the same here; how it comes onto the screen is not.
        patch.setattr(scene3d, "SOFTWARE", ("",) if request.param == "in software" else ())
        view = View3D()
    if view.scene is None:
        pytest.skip(f"no OpenGL: {view.problem}")
    view.resize(320, 300)
    view.show()
    app.processEvents()
    yield view
    view.close()


@pytest.fixture
def shown(view, until):
    """The view with somebody in it, seen from the front."""
    view.set_mirror(False)
    view.look("front")
    # Nothing of the test before, which it would follow and narrow down to gently.
    view._stage = Stage()
    view.scene.widen(0.0, passed_s=10.0)
    show(view, until, person())
    return view


def show(view, until, *poses) -> None:
    news = result(poses=poses)
    view.show_result(news)
    until(lambda: view.shown is news)


def near(image: np.ndarray, rgb: tuple[int, int, int]) -> np.ndarray:
    """Where the hue is about that of `rgb`, lit or in the shade."""
    colour = image[..., :3].astype(float)
    grey = colour.mean(-1, keepdims=True)
    wanted = np.array(rgb, float) - np.mean(rgb)
    chroma = colour - grey
    length = np.linalg.norm(chroma, axis=-1)
    along = (chroma @ wanted) / (np.linalg.norm(wanted) * np.maximum(length, 1e-6))
    return (along > 0.97) & (length > 40)


def test_skeleton_is_drawn_where_it_should_be(shown) -> None:
    image = shown.scene.image()
    left, right = near(image, palette.SIDES["left"]), near(image, palette.SIDES["right"])
    assert left.sum() > 300
    assert right.sum() > 300
    # The person faces us: its left is on the right, as in the picture, and that arm is up.
    assert np.nonzero(left)[1].mean() > np.nonzero(right)[1].mean() + 10
    assert np.nonzero(left)[0].min() < np.nonzero(right)[0].min() - 20
    # The whole of it is in sight, with a margin.
    rows, columns = np.nonzero(left | right)
    height, width = left.shape
    assert rows.min() > 0.03 * height
    assert rows.max() < 0.97 * height
    assert columns.min() > 0.03 * width
    assert columns.max() < 0.97 * width


def test_what_is_on_the_screen_is_the_drawing(shown, until) -> None:
    for size in ((420, 400), (320, 300)):
        drawn: list[float] = []
        shown.drawn.connect(drawn.append)
        shown.resize(*size)
        show(shown, until, person())
        until(lambda drawn=drawn: drawn)
        rows, columns = np.nonzero(near(pixels(shown), palette.SIDES["left"]))
        assert 0.4 * size[0] < columns.mean() < 0.8 * size[0]
        assert rows.max() < 0.97 * size[1]
        assert np.ptp(rows) > 0.4 * size[1]


def test_views_differ_and_turn_the_person(shown) -> None:
    images, widths = {}, {}
    for name in ("front", "side", "top", "angled"):
        shown.look(name)
        images[name] = shown.scene.image().astype(int)
        body = near(images[name], palette.SIDES["left"]) | near(
            images[name], palette.SIDES["right"]
        )
        widths[name] = np.ptp(np.nonzero(body)[1])
    for a in images:
        for b in images:
            if a < b:
                assert (np.abs(images[a] - images[b]).max(-1) > 30).mean() > 0.01, (a, b)
    assert widths["side"] < 0.5 * widths["front"]


def test_the_view_is_kept_between_frames(shown, until) -> None:
    shown.scene.camera.azimuth, shown.scene.camera.elevation = 33, 21
    shown.scene.camera.scale_factor = 1.7
    before = shown.camera_state()
    show(shown, until, person())
    show(shown, until, person(), person((250, 110), 70))
    assert shown.camera_state() == before
    shown.look("top")
    shown.restore_camera(before)
    assert shown.camera_state() == pytest.approx(before)


def test_mirror_swaps_the_sides_of_the_view(shown, until) -> None:
    shown.set_mirror(True)
    show(shown, until, person())
    image = shown.scene.image()
    left, right = near(image, palette.SIDES["left"]), near(image, palette.SIDES["right"])
    assert np.nonzero(left)[1].mean() < np.nonzero(right)[1].mean() - 10


def test_nobody_and_somebody_again(shown, until) -> None:
    show(shown, until)
    # Where the red axis crosses the green one it is about that colour, too.
    assert near(shown.scene.image(), palette.SIDES["left"]).sum() < 10
    show(shown, until, person())
    assert near(shown.scene.image(), palette.SIDES["left"]).sum() > 100


def test_draws_seldom_enough(shown, spin) -> None:
    drawn: list[float] = []
    shown.drawn.connect(drawn.append)
    for number in range(60):
        shown.show_result(result(poses=(person(),), number=number))
        spin(0.005)
    spin(0.3)
    assert 1 <= len(drawn) <= 25, "60 results in 0.3 s and more"


def test_the_theme_is_seen(shown) -> None:
    from livepose.ui.theme import DARK, LIGHT

    shown.set_theme(LIGHT)
    assert shown.scene.image()[3, 3, :3].mean() > 200
    shown.set_theme(DARK)
    assert shown.scene.image()[3, 3, :3].mean() < 60


def test_compass_follows_the_camera(shown, until) -> None:
    names = []
    shown.view_changed.connect(names.append)
    shown.look("top")
    until(lambda: "top" in names)
    axes = {letter: (right, up) for letter, right, up, _ in shown._compass.axes()}
    assert axes["X"] == pytest.approx((1, 0), abs=1e-6)
    assert axes["Y"] == pytest.approx((0, 1), abs=1e-6)
    shown.scene.camera.azimuth = 10
    until(lambda: names[-1] == "")


def test_people_are_numbered_and_leave_trails(shown, until) -> None:
    level = Viewpoint(np.array([0.0, -1.0, 0.0]), 1.2, 60.0)

    def at(x: float, number: int) -> Pose:
        return replace(person(), position=np.array([x, 0.0, 3.0]), id=number)

    def picture(*poses: Pose) -> np.ndarray:
        news = replace(result(poses=poses), viewpoint=level)
        shown.show_result(news)
        until(lambda: shown.shown is news)
        return shown.scene.image()

    image = picture(at(-0.5, 1), at(0.5, 2))
    for number in (1, 2):
        own = near(image, palette.person_colour(number))
        assert own.sum() > 300
        # The disc with the number stands above the head.
        rows = np.nonzero(own)[0]
        assert (rows < np.median(rows) - 60).sum() > 30
    shown.look("top")
    for k in range(20):
        image = picture(at(-0.5 + 0.05 * k, 1))
    with_trail = near(image, palette.person_colour(1)).sum()
    shown.trails = False
    assert near(picture(at(0.45, 1)), palette.person_colour(1)).sum() < with_trail
    shown.trails = True


@pytest.mark.parametrize("name", ["front", "angled", "top"])
@pytest.mark.parametrize("size", [(320, 300), (700, 300), (300, 700)])
def test_the_extent_that_is_needed_has_everybody_in_sight(name: str, size: tuple[int, int]) -> None:
    """By a camera of our own, at the distance that such an extent means."""
    places, (width, height) = np.array([[-1.5, 0.0], [0.4, -1.0], [2.0, 1.5]]), size
    state = replace(VIEWS[name], extent=VIEWS[name].needed(places, *size))
    right, up, eye = state.basis()
    tall = state.extent * height / min(size)  # metres across the height
    away = tall / 2 / np.tan(np.radians(FOV / 2))
    off = [np.array([x, y, z]) - state.centre for x, y in places for z in (0, 1.9)]
    seen = [np.array([p @ right, p @ up]) * away / (away - p @ eye) for p in off]
    edges = np.abs(seen).max(0) / (tall / 2 * np.array([width / height, 1]))
    assert 0.6 < edges.max() <= 1


def test_a_view_widens_gently_and_does_not_breathe() -> None:
    widening = Widening()
    assert widening(0.7, 0.1) == 1
    steps = [widening(2.0, 0.1) for _ in range(30)]
    assert 1 < steps[0] < 1.5
    assert steps == sorted(steps)
    assert steps[-1] == pytest.approx(2, abs=0.01)
    assert widening(1.7, 0.1) == pytest.approx(2, abs=0.01)  # they come a little closer
    for _ in range(40):
        alone = widening(0.0, 0.1)
    assert alone == pytest.approx(1, abs=0.01)
    assert widening(3.0, 5.0) == 3  # nobody has looked meanwhile


def test_everybody_is_in_sight_and_who_went_nearer_stays_so(shown, until) -> None:
    level = Viewpoint(np.array([0.0, -1.0, 0.0]), 1.2, 60.0)
    poses = [replace(person(), position=np.array([x, 0.0, 4.0]), id=k + 1)
             for k, x in enumerate((-1.6, 0.0, 1.6))]  # fmt: skip

    def picture(*poses: Pose) -> np.ndarray:
        shown._stage, shown._last_s = Stage(), 0.0  # long ago: nothing is done gently
        news = replace(result(poses=poses), viewpoint=level)
        shown.show_result(news)
        until(lambda: shown.shown is news)
        return shown.scene.image()

    image = picture(*poses)
    for number in (1, 2, 3):
        own = near(image, palette.person_colour(number))
        assert own.sum() > 100
        rows, columns = np.nonzero(own)
        assert rows.min() > 0
        assert 0 < columns.min() <= columns.max() < image.shape[1] - 1
    wide = shown.scene.camera.scale_factor
    before = shown.camera_state()
    shown.scene.camera.scale_factor /= 2
    picture(*poses)
    assert shown.scene.camera.scale_factor == pytest.approx(wide / 2)
    picture(poses[0])
    assert shown.camera_state()[2] == pytest.approx(before[2] / 2)
    assert shown.scene.camera.scale_factor == pytest.approx(before[2] / 2)


def test_the_mouse_turns_and_nears_the_view(shown, until, app) -> None:
    from PyQt5.QtCore import QEvent, QPoint, QPointF, Qt
    from PyQt5.QtGui import QMouseEvent, QWheelEvent

    surface = shown.childAt(160, 150)
    before, drawn = shown.scene.state(), []
    image = pixels(shown).astype(int)
    shown.drawn.connect(drawn.append)
    for kind, x in (("Press", 160), *(("Move", x) for x in range(180, 221, 20)), ("Release", 220)):
        kind = getattr(QEvent, f"MouseButton{kind}" if kind != "Move" else "MouseMove")
        held = Qt.NoButton if kind == QEvent.MouseButtonRelease else Qt.LeftButton
        button = Qt.NoButton if kind == QEvent.MouseMove else Qt.LeftButton
        app.sendEvent(surface, QMouseEvent(kind, QPointF(x, 150), button, held, Qt.NoModifier))
    until(lambda: shown.scene.state().azimuth != before.azimuth)
    until(lambda: drawn)
    turned = pixels(shown).astype(int)
    assert (np.abs(turned - image).max(-1) > 30).mean() > 0.01
    at = QPointF(160, 150)
    app.sendEvent(surface, QWheelEvent(at, at, QPoint(), QPoint(0, 120), Qt.NoButton,
                                       Qt.NoModifier, Qt.NoScrollPhase, False))  # fmt: skip
    assert shown.scene.state().extent < before.extent


def test_the_application_ends_with_its_window(view, app) -> None:
    from PyQt5.QtCore import QTimer

    def give_up() -> None:
        app.exit(1)

    late = QTimer(singleShot=True, timeout=give_up)
    late.start(10_000)
    QTimer.singleShot(0, view.close)
    app.setQuitOnLastWindowClosed(True)
    try:
        assert app.exec_() == 0, "something that nobody sees is open still"
    finally:
        app.setQuitOnLastWindowClosed(False)
        late.stop()
        view.show()
