"""The 3D scene in vispy: lit skeletons over a floor with grid and axes, a turntable camera.

Everything that depends on vispy is in here; the rest of the window sees `Scene3D` with its
native widget. Two shaders of our own in place of vispy's general meshes: normals come from the
template instead of being computed in Python at every frame, the grid is drawn sharp at any
distance by one rectangle, and one buffer serves both the skeleton and its shadow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import vispy
from PyQt5.QtGui import QOffscreenSurface, QOpenGLContext, QOpenGLVersionProfile
from PyQt5.QtWidgets import QWidget

vispy.use("pyqt5")

from vispy import gloo, scene  # noqa: E402  (the backend has to be chosen first)
from vispy.scene.visuals import create_visual_node  # noqa: E402
from vispy.visuals import Visual  # noqa: E402

from livepose.palette import RGB  # noqa: E402
from livepose.ui.camera import FOV, VIEWS, CameraState, Widening  # noqa: E402
from livepose.ui.painting import atlas  # noqa: E402
from livepose.ui.skeleton_mesh import Mesh  # noqa: E402
from livepose.ui.theme import DARK, Theme  # noqa: E402

SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software", "swiftshader", "microsoft basic")

_MESH_VERTEX = """
attribute vec3 a_position;
attribute vec3 a_normal;
attribute vec4 a_colour;
uniform float u_flat;
varying vec3 v_normal;
varying vec4 v_colour;
void main() {
    vec3 p = a_position;
    // The shadow of a lamp above and a little before the person, on the floor.
    if (u_flat > 0.5) p = vec3(p.x + 0.12 * p.z, p.y + 0.22 * p.z, 0.003);
    v_normal = a_normal;
    v_colour = a_colour;
    gl_Position = $transform(vec4(p, 1.0));
}
"""
_MESH_FRAGMENT = """
uniform float u_flat;
uniform vec3 u_shadow;
uniform vec3 u_key;
uniform vec3 u_eye;
varying vec3 v_normal;
varying vec4 v_colour;
void main() {
    if (v_colour.a < 0.01) discard;
    if (u_flat > 0.5) {
        gl_FragColor = vec4(u_shadow, 1.0);
        return;
    }
    vec3 n = normalize(v_normal);
    float key = max(0.0, 0.35 + 0.65 * dot(n, u_key));
    float sky = 0.5 + 0.5 * n.z;
    float gloss = pow(max(0.0, dot(n, normalize(u_key + u_eye))), 36.0);
    vec3 lit = v_colour.rgb * (0.22 + 0.18 * sky + 0.68 * key) + 0.18 * gloss;
    gl_FragColor = vec4(lit, v_colour.a);
}
"""
_FLOOR_VERTEX = """
attribute vec2 a_position;
varying vec2 v_place;
void main() {
    v_place = a_position;
    gl_Position = $transform(vec4(a_position, 0.0, 1.0));
}
"""
_FLOOR_FRAGMENT = """
uniform vec3 u_floor;
uniform vec3 u_grid;
uniform float u_radius;
uniform vec2 u_shift;
varying vec2 v_place;
float line(float along, float wide) {
    float pixel = fwidth(along);
    float away = abs(fract(along - 0.5) - 0.5);
    // Lines closer than a pixel or two merge into a tone instead of a moire pattern.
    return (1.0 - smoothstep(0.0, 1.0, away / pixel - 0.5 * wide)) * clamp(0.6 / pixel, 0.0, 1.0);
}
void main() {
    float far = length(v_place) / u_radius;
    if (far > 1.0) discard;
    float fade = 1.0 - smoothstep(0.35, 1.0, far);
    vec2 place = v_place + u_shift;
    vec2 half_metres = place * 2.0;
    float fine = max(line(half_metres.x, 0.4), line(half_metres.y, 0.4));
    float coarse = max(line(place.x, 0.8), line(place.y, 0.8));
    vec3 colour = mix(u_floor, u_grid, max(0.35 * fine, 0.85 * coarse));
    // The axes through the place of the camera: x in red, y (away) in green.
    vec2 axis = 1.0 - smoothstep(vec2(0.5), vec2(1.5), abs(place) / fwidth(place));
    colour = mix(colour, vec3(0.45, 0.72, 0.36), 0.85 * axis.x);
    colour = mix(colour, vec3(0.86, 0.36, 0.36), 0.85 * axis.y);
    gl_FragColor = vec4(colour, fade);
}
"""
_LABEL_VERTEX = """
attribute vec3 a_position;
attribute float a_cell;
uniform float u_size;
varying float v_cell;
void main() {
    v_cell = a_cell;
    gl_Position = $transform(vec4(a_position, 1.0));
    gl_PointSize = u_size;
}
"""
_LABEL_FRAGMENT = """
uniform sampler2D u_atlas;
uniform float u_cells;
varying float v_cell;
void main() {
    vec4 c = texture2D(u_atlas, vec2((v_cell + gl_PointCoord.x) / u_cells, gl_PointCoord.y));
    if (c.a < 0.05) discard;
    gl_FragColor = c;
}
"""
# Right, up and towards the viewer.
_KEY_LIGHT = np.array([-0.35, 0.82, 0.45])


LABEL_SIZE = 24.0  # pixels

# One triangle without size and without opacity.
_NOBODY = Mesh(
    np.zeros((3, 3), np.float32),
    np.zeros((3, 3), np.float32),
    np.zeros((3, 4), np.float32),
    np.array([[0, 1, 2]], np.uint32),
)


class OpenGLUnavailable(RuntimeError):
    """There is no OpenGL here; the message says why."""


def opengl_renderer() -> str:
    """Name of the OpenGL renderer, without which no canvas must be made; raises if none works."""
    context, surface = QOpenGLContext(), QOffscreenSurface()
    surface.create()
    if not context.create() or not context.makeCurrent(surface):
        raise OpenGLUnavailable("no OpenGL context could be created")
    try:
        profile = QOpenGLVersionProfile()
        profile.setVersion(2, 0)
        functions = context.versionFunctions(profile)
        if functions is None or not functions.initializeOpenGLFunctions():
            raise OpenGLUnavailable("OpenGL 2.0 is not supported")
        return str(functions.glGetString(functions.GL_RENDERER))
    finally:
        context.doneCurrent()


class _LitVisual(Visual):
    """Triangles with normals and colours; flat, it is their shadow on the floor."""

    def __init__(self, buffers: tuple[Any, ...], faces: Any, flat: bool) -> None:
        super().__init__(_MESH_VERTEX, _MESH_FRAGMENT)
        for name, buffer in zip(("a_position", "a_normal", "a_colour"), buffers, strict=True):
            self.shared_program[name] = buffer
        self.shared_program["u_flat"] = float(flat)
        self.shared_program["u_shadow"] = (0.0, 0.0, 0.0)
        self.shared_program["u_key"] = (0.0, 0.0, 1.0)
        self.shared_program["u_eye"] = (0.0, 0.0, 1.0)
        self._draw_mode = "triangles"
        self._index_buffer = faces
        # Without back faces one does not look into bones that are half see-through.
        self.set_gl_state(
            depth_test=True, depth_mask=not flat, cull_face="back", blend=True,
            blend_func=("src_alpha", "one_minus_src_alpha"),
        )  # fmt: skip
        self.freeze()

    def _prepare_transforms(self, view: Any) -> None:
        view.view_program.vert["transform"] = view.transforms.get_transform()


class _FloorVisual(Visual):
    """A round piece of floor with a grid of half a metre and the two axes."""

    def __init__(self, radius: float) -> None:
        super().__init__(_FLOOR_VERTEX, _FLOOR_FRAGMENT)
        r = radius
        corners = np.array([(-r, -r), (r, -r), (-r, r), (r, r)], np.float32)
        self.shared_program["a_position"] = gloo.VertexBuffer(corners)
        self.shared_program["u_radius"] = radius
        self.shared_program["u_floor"] = (0.0, 0.0, 0.0)
        self.shared_program["u_grid"] = (0.0, 0.0, 0.0)
        self.shared_program["u_shift"] = (0.0, 0.0)
        self._draw_mode = "triangle_strip"
        self.set_gl_state(
            depth_test=True, depth_mask=False, cull_face=False, blend=True,
            blend_func=("src_alpha", "one_minus_src_alpha"),
        )  # fmt: skip
        self.freeze()

    def _prepare_transforms(self, view: Any) -> None:
        view.view_program.vert["transform"] = view.transforms.get_transform()


class _LabelsVisual(Visual):
    """Small pictures that always face the viewer, from one texture with a cell for each."""

    def __init__(self) -> None:
        super().__init__(_LABEL_VERTEX, _LABEL_FRAGMENT)
        self.shared_program["u_size"] = LABEL_SIZE
        self._draw_mode = "points"
        self.set_gl_state(
            depth_test=False, depth_mask=False, blend=True,
            blend_func=("src_alpha", "one_minus_src_alpha"),
        )  # fmt: skip
        self.freeze()

    def set_data(self, positions: np.ndarray, atlas: np.ndarray) -> None:
        """(N, 3) places, (S, N * S, 4) uint8 RGBA."""
        count = len(positions)
        self.shared_program["a_position"] = positions.astype(np.float32)
        self.shared_program["a_cell"] = np.arange(count, dtype=np.float32)
        self.shared_program["u_atlas"] = gloo.Texture2D(atlas, interpolation="linear")
        self.shared_program["u_cells"] = float(count)

    def _prepare_transforms(self, view: Any) -> None:
        view.view_program.vert["transform"] = view.transforms.get_transform()


_Lit = create_visual_node(_LitVisual)
_Labels = create_visual_node(_LabelsVisual)
_Floor = create_visual_node(_FloorVisual)


class Scene3D:
    """Canvas, camera and meshes. `show` never touches the camera, so the view is kept; `widen`
    takes it back where several people need room.
    """

    def __init__(self, theme: Theme = DARK, samples: int | None = None) -> None:
        self.renderer = opengl_renderer()
        self.software = any(name in self.renderer.lower() for name in SOFTWARE)
        if samples is None:
            samples = 0 if self.software else 4
        # No vertical sync: waiting for it would block the UI thread. Qt brings the drawing onto the
        # screen, there is nothing for vispy to swap.
        self.canvas = scene.SceneCanvas(
            keys=None, show=False, vsync=False, autoswap=False,
            config={"samples": samples, "depth_size": 24},
        )  # fmt: skip
        self.canvas.unfreeze()
        self._view = self.canvas.central_widget.add_view()
        self.camera = scene.TurntableCamera(fov=FOV, interactive=True)
        # Far plane / near plane; vispy's default of 1e6 leaves no depth precision for limbs.
        self.camera.depth_value = 400.0
        self._view.camera = self.camera
        self._buffers = tuple(
            gloo.VertexBuffer(values)
            for values in (_NOBODY.positions, _NOBODY.normals, _NOBODY.colours)
        )
        self._faces = gloo.IndexBuffer(_NOBODY.faces)
        self._face_count = len(_NOBODY.faces)
        root = self._view.scene
        self._floor = _Floor(5.0, parent=root)
        self._shadow = _Lit(self._buffers, self._faces, True, parent=root)
        self._body = _Lit(self._buffers, self._faces, False, parent=root)
        # The body is drawn last and always, even if it is nobody: it leaves writing to the depth
        # buffer switched on, without which the next picture's clearing would do nothing.
        self._lines = scene.visuals.Line(
            np.zeros((2, 3)), connect="segments", method="gl", parent=root
        )
        self._labels = _Labels(parent=root)
        self._lines.visible = self._labels.visible = False
        self._labelled: tuple[int, ...] = ()
        self._atlas = np.zeros((1, 1, 4), np.uint8)
        nodes = (self._floor, self._shadow, self._lines, self._labels, self._body)
        for order, node in enumerate(nodes):
            node.order = order
        self.canvas.events.draw.connect(self._aim_light, position="first")
        self._widening = Widening()
        self.look("angled")
        self.set_theme(theme)

    @property
    def native(self) -> QWidget:
        return self.canvas.native

    def set_theme(self, theme: Theme) -> None:
        self.canvas.bgcolor = _unit(theme.scene)
        self._floor.shared_program["u_floor"] = _unit(theme.floor)
        self._floor.shared_program["u_grid"] = _unit(theme.grid)
        self._shadow.shared_program["u_shadow"] = _unit(theme.shadow)
        self.canvas.update()

    def show(self, mesh: Mesh) -> None:
        """Takes the mesh for the next drawing; the caller asks the native widget to repaint."""
        mesh = mesh if len(mesh.faces) else _NOBODY
        for buffer, values in zip(
            self._buffers, (mesh.positions, mesh.normals, mesh.colours), strict=True
        ):
            buffer.set_data(np.ascontiguousarray(values))
        if len(mesh.faces) != self._face_count:
            self._faces.set_data(mesh.faces)
            self._face_count = len(mesh.faces)

    def show_lines(self, points: np.ndarray, colours: np.ndarray) -> None:
        """Pairs of ends (2 N, 3) and their colours (2 N, 4) in 0..1: trails, the camera."""
        self._lines.visible = len(points) > 0
        if len(points):
            self._lines.set_data(points.astype(np.float32), colours.astype(np.float32))

    def show_numbers(self, places: np.ndarray, numbers: tuple[int, ...]) -> None:
        """Ids at places (N, 3), above everything."""
        self._labels.visible = bool(numbers)
        if not numbers:
            return
        if numbers != self._labelled:
            self._labelled, self._atlas = numbers, atlas(numbers, round(LABEL_SIZE))
        self._labels.set_data(places, self._atlas)

    def move_floor(self, focus: np.ndarray) -> None:
        """The grid stays where it is in the world when the view moves on: (2,) metres."""
        self._floor.shared_program["u_shift"] = (float(focus[0]), float(focus[1]))

    def look(self, view: str) -> None:
        """Turns the camera to one of `VIEWS`, the whole person in sight."""
        self._usual = VIEWS[view].extent
        self.restore(VIEWS[view])

    def widen(self, needed: float, passed_s: float) -> None:
        """Takes the camera back as far as several people need who are seen as usual.

        Whoever has gone nearer or farther than usual is taken along by as much. needed: extent in
        metres, see `CameraState.needed`. passed_s: since the last time.
        """
        before = self._widening.factor
        factor = self._widening(needed / self._usual, passed_s)
        if factor != before:
            self.camera.scale_factor *= factor / before

    def state(self) -> CameraState:
        """As the user has it: several people may have widened the view."""
        camera = self.camera
        x, y, z = (float(v) for v in camera.center)
        extent = float(camera.scale_factor) / self._widening.factor
        return CameraState(float(camera.azimuth), float(camera.elevation), extent, (x, y, z))

    def restore(self, state: CameraState) -> None:
        self.camera.azimuth = state.azimuth
        self.camera.elevation = state.elevation
        self.camera.scale_factor = state.extent * self._widening.factor
        self.camera.center = state.centre
        self.canvas.update()

    def image(self) -> np.ndarray:
        """(H, W, 4) uint8 RGBA of the scene as it is now."""
        return self.canvas.render()

    def _aim_light(self, event: object) -> None:
        """The lamp goes with the camera, over its left shoulder, so that no view is dark."""
        right, up, eye = self.state().basis()
        key = _KEY_LIGHT @ np.stack([right, up, eye])
        program = self._body.shared_program
        program["u_key"] = tuple(key / np.linalg.norm(key))
        program["u_eye"] = tuple(eye)


def _unit(rgb: RGB) -> tuple[float, float, float]:
    r, g, b = (channel / 255 for channel in rgb)
    return r, g, b
