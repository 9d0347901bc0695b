"""Draws dressed bodies with OpenGL: one soft light with a shadow, the light of the surroundings.

Runs without screen or graphics card (EGL; Mesa's software renderer does). World axes: y up,
metres.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import moderngl
import numpy as np

from livepose.cv import cv2
from livepose.synth.camera import Camera, gl_bytes, look_at, orthographic
from livepose.synth.mesh import Part

SUPERSAMPLING = 2
SHADOW_SIZE, SHADOW_REACH = 512, 1.4  # pixels; half of the side in metres
NEAR, FAR = 0.15, 20.0

VERTEX = """
#version 330
uniform mat4 clip_from_world;
in vec3 position; in vec3 normal; in vec2 uv;
out vec3 world; out vec3 facing; out vec2 st;
void main() {
    world = position; facing = normal; st = uv;
    gl_Position = clip_from_world * vec4(position, 1.0);
}
"""
_SHADOW_FRAGMENT = """
#version 330
uniform sampler2D picture;
in vec2 st;
void main() { if (texture(picture, st).a < 0.5) discard; }
"""
_FRAGMENT = """
#version 330
uniform sampler2D picture;
uniform sampler2DShadow shadows;
uniform mat4 light_from_world;
uniform vec3 to_light, light_colour, sky, ground, eye;
uniform float gloss;
in vec3 world; in vec3 facing; in vec2 st;
out vec4 colour;
void main() {
    vec4 texel = texture(picture, st);
    if (texel.a < 0.5) discard;
    vec3 albedo = pow(texel.rgb, vec3(2.2));
    vec3 n = normalize(facing), view = normalize(eye - world);
    if (dot(n, view) < -0.2) n = -n;
    vec3 q = (light_from_world * vec4(world + n * 0.012, 1.0)).xyz * 0.5 + 0.5;
    float lit = 0.0;
    for (int i = 0; i < 4; i++) {
        vec2 off = vec2(i % 2, i / 2) * 2.0 - 1.0;
        lit += texture(shadows, vec3(q.xy + off * 0.004, q.z - 0.002)) * 0.25;
    }
    float lambert = max(dot(n, to_light), 0.0);
    float shine = gloss * pow(max(dot(n, normalize(to_light + view)), 0.0), 24.0);
    vec3 around = mix(ground, sky, n.y * 0.5 + 0.5) * (0.75 + 0.25 * max(dot(n, view), 0.0));
    vec3 c = (albedo * lambert + shine) * lit * light_colour + albedo * around;
    c = c * (1.0 + c * 0.12) / (0.55 + c);  // a soft shoulder, as cameras have
    colour = vec4(pow(clamp(c, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}
"""
GLOSS = {"body": 0.03, "eyes": 0.3, "shoes": 0.03, "hair": 0.05}


@dataclass(frozen=True, slots=True)
class Light:
    """direction: (3,) unit, towards the light. colour, sky, ground: (3,) linear RGB."""

    direction: np.ndarray
    colour: np.ndarray
    sky: np.ndarray
    ground: np.ndarray


class _Mesh(NamedTuple):
    place: moderngl.Buffer
    texture: moderngl.Texture
    gloss: float
    shade: moderngl.VertexArray
    cast: moderngl.VertexArray
    owned: tuple[moderngl.Buffer, ...]


class Renderer:
    """Draws one dressed body at a time, of the largest size `side` x `side`.

    Raises:
        OSError: there is no OpenGL; the message says what to install.
    """

    def __init__(self, side: int) -> None:
        try:
            self._ctx = ctx = moderngl.create_context(standalone=True, backend="egl")
        except Exception as error:  # glcontext raises no other kind
            raise OSError(f"OpenGL cannot be used ({error}): "
                          "apt-get install libegl1 libgl1-mesa-dri") from error  # fmt: skip
        ctx.enable(moderngl.DEPTH_TEST)
        self._shade = ctx.program(VERTEX, _FRAGMENT)
        self._cast = ctx.program(VERTEX, _SHADOW_FRAGMENT)
        self._shadows = ctx.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadows.compare_func = "<="
        self._shadow_target = ctx.framebuffer(depth_attachment=self._shadows)
        full = (side * SUPERSAMPLING, side * SUPERSAMPLING)
        self._depth = ctx.depth_texture(full)
        self._depth.compare_func = ""
        self._target = ctx.framebuffer([ctx.texture(full, 4)], self._depth)
        self._meshes: list[_Mesh] = []

    def dress(self, parts: Iterable[Part]) -> None:
        """The body to draw from now on; `draw` is told where its vertices are."""
        for mesh in self._meshes:
            for thing in (mesh.shade, mesh.cast, mesh.texture, *mesh.owned):
                thing.release()
        self._meshes = []
        for part in parts:
            height, width = part.texture.shape[:2]
            texture = self._ctx.texture((width, height), 4, np.ascontiguousarray(part.texture))
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            place = self._ctx.buffer(reserve=len(part.uv) * 24)
            uv = self._ctx.buffer(part.uv.astype("f4").tobytes())
            index = self._ctx.buffer(part.faces.astype("i4").tobytes())
            layout = [(place, "3f 3f", "position", "normal"), (uv, "2f", "uv")]
            shade, cast = (
                self._ctx.vertex_array(program, layout, index, skip_errors=True)
                for program in (self._shade, self._cast)
            )
            gloss = GLOSS.get(part.name, 0.0)
            self._meshes.append(_Mesh(place, texture, gloss, shade, cast, (place, uv, index)))

    def draw(
        self, places: list[tuple[np.ndarray, np.ndarray]], camera: Camera, light: Light
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and normals of each part -> ``(picture, distance)``.

        Returns:
            (H, W, 4) RGBA bytes, A the share of the pixel that is covered (colours are
            multiplied with it), and the distance (H, W) along the camera's z, inf where nothing is.
        """
        ctx, s = self._ctx, SUPERSAMPLING
        for mesh, (vertices, normals) in zip(self._meshes, places, strict=True):
            mesh.place.write(np.hstack([vertices, normals]).astype("f4").tobytes())
        middle = np.mean([v.mean(0) for v, _ in places], 0)
        from_world = orthographic(SHADOW_REACH, 0.1, 6) @ look_at(
            middle + 3 * light.direction, middle
        )
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        self._cast["clip_from_world"].write(gl_bytes(from_world))
        for mesh in self._meshes:
            mesh.texture.use(0)
            mesh.cast.render()

        area = (0, 0, camera.width * s, camera.height * s)
        self._target.use()
        self._target.clear(depth=1.0)
        ctx.viewport = area
        shade = self._shade
        shade["clip_from_world"].write(gl_bytes(camera.matrix(NEAR, FAR)))
        shade["light_from_world"].write(gl_bytes(from_world))
        shade["to_light"].value = tuple(light.direction)
        for name in ("sky", "ground"):
            shade[name].value = tuple(getattr(light, name))
        shade["light_colour"].value = tuple(light.colour)
        shade["eye"].value = tuple(camera.position)
        shade["shadows"].value = 1
        self._shadows.use(1)
        for mesh in self._meshes:
            mesh.texture.use(0)
            shade["gloss"].value = mesh.gloss
            mesh.shade.render()

        data = self._target.read(viewport=area, components=4, alignment=1)
        image = np.frombuffer(data, np.uint8).reshape(camera.height * s, camera.width * s, 4)
        small = (camera.width, camera.height)
        picture = cv2.resize(image[::-1], small, interpolation=cv2.INTER_AREA)
        raw = self._target.read(viewport=area, components=1, attachment=-1, dtype="f4", alignment=1)
        depth = np.frombuffer(raw, "f4").reshape(camera.height * s, camera.width * s)[::-1]
        depth = np.minimum.reduce([depth[i::s, j::s] for i in range(s) for j in range(s)])
        distance = 2 * NEAR * FAR / (FAR + NEAR - (2 * depth - 1) * (FAR - NEAR))
        return picture, np.where(depth < 1, distance, np.inf)
