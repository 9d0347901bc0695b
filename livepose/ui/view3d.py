"""The Qt side of the 3D view: the canvas in the window, how often it draws, and its stand-in."""

from __future__ import annotations

import logging
import time

import numpy as np
from PyQt5.QtCore import QEvent, QObject, QPointF, QRectF, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QFont, QGuiApplication, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QLabel, QOpenGLWidget, QVBoxLayout, QWidget

from livepose import palette
from livepose.frames import Result
from livepose.skeleton import INDEX
from livepose.ui import skeleton_mesh
from livepose.ui.camera import VIEWS, CameraState
from livepose.ui.offscreen import Offscreen
from livepose.ui.standing import Stage, frustum
from livepose.ui.theme import DARK, Theme, font

log = logging.getLogger(__name__)

# At most this often, and at most this share of the UI thread's time (software OpenGL is slow, and
# the picture comes first).
_INTERVAL_S = 1 / 30
_SHARE = 0.12
_PATIENCE_MS = 120
_ABOVE = np.array([0.0, 0.0, 0.18])  # metres from the top of the head to the number


class View3D(QWidget):
    """Shows the poses of the newest result in space; a message if there is no OpenGL.

    drawn: emitted after each drawing with its cost in ms. view_changed: the name of the view
    that the camera stands in, empty for none of `VIEWS`. shown: whose poses are in the scene.
    """

    drawn = pyqtSignal(float)
    view_changed = pyqtSignal(str)

    def __init__(
        self, samples: int | None = None, theme: Theme = DARK, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setMinimumSize(220, 180)
        self.setAccessibleName("Skeleton in 3D")
        self.mirror = False
        self.trails = True
        self.problem = ""
        self._theme = theme
        self._stage = Stage()
        self._result: Result | None = None
        self.shown: Result | None = None
        self._cost_s = 0.0
        self._began_s = 0.0
        self._last_s = 0.0
        self._timer = QTimer(self, singleShot=True, timeout=self._draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._message = QLabel(alignment=Qt.AlignCenter, wordWrap=True, objectName="muted")
        self._message.setMargin(32)
        self._message.hide()
        layout.addWidget(self._message)
        self.scene = self._make_scene(samples)
        if self.scene is not None:
            surface = self._surface(self.scene.native)
            surface.setMinimumSize(1, 1)
            surface.setFocusPolicy(Qt.ClickFocus)
            layout.addWidget(surface)
            self._compass = Compass(surface)
            surface.installEventFilter(self)
            self.scene.canvas.events.draw.connect(self._begins, position="first")

    def _make_scene(self, samples: int | None):
        try:
            from livepose.ui.scene3d import Scene3D

            return Scene3D(self._theme, samples)
        except Exception as error:  # whatever vispy or the driver trips over, the picture goes on
            log.warning("no 3D view", exc_info=True)
            self.problem = f"{error}"
            self._message.setText(
                f"The 3D view needs OpenGL, which did not start here ({error}).\n\n"
                "The picture and its skeleton work without it."
            )
            self._message.show()
            return None

    def _surface(self, native: QOpenGLWidget) -> QWidget:
        """What stands in the layout for the canvas; tells `_swapped` when it is on screen."""
        if self.scene is not None and self.scene.software:
            surface = Offscreen(native, self)
            surface.painted.connect(self._swapped)
            return surface
        if QGuiApplication.platformName() == "xcb":
            # With a window of its own only this part is put together by OpenGL; else every
            # paint of the picture would pass the whole window through it.
            self.setAttribute(Qt.WA_NativeWindow)
        native.frameSwapped.connect(self._swapped)
        return native

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        if self.scene is not None:
            self.scene.set_theme(theme)
            self._compass.set_theme(theme)
            self.refresh()

    def set_mirror(self, on: bool) -> None:
        self.mirror = on
        if self.scene is not None:
            self._compass.set_mirror(on)
        self.refresh()

    def look(self, view: str) -> None:
        if self.scene is not None:
            self.scene.look(view)

    def camera_state(self) -> list[float] | None:
        """Azimuth, elevation, extent and centre, to be remembered."""
        if self.scene is None:
            return None
        state = self.scene.state()
        return [state.azimuth, state.elevation, state.extent, *state.centre]

    def restore_camera(self, state: list[float]) -> None:
        if self.scene is not None:
            azimuth, elevation, extent, x, y, z = state
            self.scene.restore(CameraState(azimuth, elevation, extent, (x, y, z)))

    def show_result(self, result: Result) -> None:
        """Draws the poses as soon as it is due; call it when the picture is on screen."""
        self._result = result
        if self.scene is None or not self.isVisible():
            return
        interval = max(_INTERVAL_S, self._cost_s / _SHARE)
        wait = self._last_s + interval - time.monotonic()
        if wait <= 0:
            self._timer.start(0)
        elif not self._timer.isActive():
            # Drawing right behind a picture holds up the next one least, so rather wait for it;
            # the timer is for the last picture before a pause.
            self._timer.start(round(wait * 1000) + _PATIENCE_MS)

    def refresh(self) -> None:
        """Draws the last result once more (theme or mirror changed)."""
        if self._result is not None:
            self.show_result(self._result)

    def _draw(self) -> None:
        if self.scene is None or self._result is None:
            return
        result, poses = self._result, self._result.poses
        before_s, self._last_s = self._last_s, time.monotonic()
        time_s = result.frame.timeline.start_ns / 1e9
        points = self._stage.place(poses, result.viewpoint, time_s, self.mirror)
        confidence = np.array([pose.confidence for pose in poses])
        numbers = [pose.id for pose in poses]
        self.scene.show(skeleton_mesh.build(points, confidence, self._theme.middle, numbers))
        named = [i for i, number in enumerate(numbers) if number]
        heads = points[named, INDEX["head_top"]] if named else points[:0]
        self.scene.show_numbers(heads + _ABOVE, tuple(numbers[i] for i in named))
        self.scene.show_lines(*self._lines(result))
        self.scene.move_floor(self._stage.focus)
        needed = 0.0
        if len(poses) > 1:
            places = points[:, INDEX["pelvis"], :2]
            needed = self.scene.state().needed(places, self.width(), self.height())
        self.scene.widen(needed, self._last_s - before_s)
        self.scene.native.update()
        self.shown = self._result

    def _lines(self, result: Result) -> tuple[np.ndarray, np.ndarray]:
        """Ends and colours of what is drawn in lines: where people went, and the camera."""
        ends, colours = [np.zeros((0, 3))], [np.zeros((0, 4))]
        for number, way in self._stage.trails() if self.trails else ():
            pairs = np.repeat(way, 2, axis=0)[1:-1]
            rgb = np.array(palette.person_colour(number) if number else self._theme.middle) / 255
            fade = np.repeat(np.linspace(0.1, 0.9, len(way)), 2)[1:-1, None]
            ends.append(pairs)
            colours.append(np.hstack([np.tile(rgb, (len(pairs), 1)), fade]))
        if result.viewpoint is not None:
            frame = result.frame
            lines = frustum(result.viewpoint, frame.width, frame.height).reshape(-1, 3)
            lines[:, :2] -= self._stage.focus
            ends.append(lines)
            grey = np.array([*self._theme.grid, 230]) / 255
            colours.append(np.tile(grey, (len(lines), 1)))
        return np.concatenate(ends), np.concatenate(colours)

    def _begins(self, event: object) -> None:
        self._began_s = time.monotonic()
        if self.scene is not None:
            state = self.scene.state()
            if self._compass.aim(state):
                names = [name for name, view in VIEWS.items() if state.along(view)]
                self.view_changed.emit(names[0] if names else "")

    def _swapped(self) -> None:
        """The drawing is on screen; most of its cost may come after the last command to OpenGL."""
        if self._began_s:
            cost = time.monotonic() - self._began_s
            self._began_s = 0.0
            self._cost_s += 0.2 * (cost - self._cost_s)
            self.drawn.emit(cost * 1000)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Resize:
            self._compass.move(10, watched.height() - self._compass.height() - 10)
        return super().eventFilter(watched, event)


class Compass(QWidget):
    """The three axes as the camera sees them, with their letters."""

    _COLOURS = ("#dc5c5c", "#73b85c", "#5c8cdc")

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedSize(76, 76)
        self.setAttribute(Qt.WA_TransparentForMouseEvents)
        self._state: CameraState | None = None
        self._mirror = False
        self._theme = DARK

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def set_mirror(self, on: bool) -> None:
        self._mirror = on
        self.update()

    def aim(self, state: CameraState) -> bool:
        """Shows the axes from there; False if that is nothing new."""
        if state == self._state:
            return False
        self._state = state
        self.update()
        return True

    def axes(self) -> list[tuple[str, float, float, float]]:
        """(letter, right, up, nearness) of each axis as seen, the farthest first."""
        if self._state is None:
            return []
        flip = np.array([-1 if self._mirror else 1, 1, 1])
        seen = [("XYZ"[i], *(flip[i] * unit[i] for unit in self._state.basis())) for i in range(3)]
        return sorted(seen, key=lambda axis: axis[3])

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setFont(font(8, QFont.DemiBold))
        centre = QPointF(self.width() / 2, self.height() / 2)
        for letter, right, up, near in self.axes():
            colour = QColor(self._COLOURS["XYZ".index(letter)])
            colour.setAlphaF(0.65 + 0.35 * (near + 1) / 2)
            tip = centre + QPointF(right, -up) * 23
            painter.setPen(QPen(colour, 2.2, Qt.SolidLine, Qt.RoundCap))
            painter.drawLine(centre, tip)
            place = centre + QPointF(right, -up) * 31
            if abs(right) + abs(up) > 0.25:
                painter.drawText(
                    QRectF(place.x() - 10, place.y() - 8, 20, 16), Qt.AlignCenter, letter
                )
        painter.end()
