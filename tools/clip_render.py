"""Draws the bundled clip with OpenGL: a room with one window, the person, soft shadows.

Runs without screen or graphics card (EGL; Mesa's software renderer does). World axes: x to the
right of the picture, y up, z towards the camera, metres; the floor is y = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import moderngl
import numpy as np

from livepose.synth.camera import Camera, gl_bytes, look_at, perspective
from livepose.synth.render import VERTEX

SUPERSAMPLING = 2
LIGHTS = 16  # points of the window that the light comes from, each with a shadow map
SHADOW_SIZE = 1024
NEAR, FAR = 0.5, 12.0

# What has holes (hair) needs `discard`, which costs all others the early depth test.
_HOLES = "if (texture(picture, st).a < 0.5) discard;"
_SHADOW_FRAGMENT = """
#version 330
uniform sampler2D picture;
in vec2 st;
void main() { HOLES }
"""

# Direct and indirect light go to separate targets: corners darken (occlusion) the latter only.
_FRAGMENT = """
#version 330
const int LIGHTS = COUNT;
uniform sampler2D picture;
uniform sampler2DShadow shadows;
uniform mat4 light_from_world[LIGHTS];
uniform vec3 light, light_colour, eye;
uniform float gloss;
in vec3 world; in vec3 facing; in vec2 st;
layout(location = 0) out vec4 direct;
layout(location = 1) out vec4 indirect;
void main() {
    HOLES
    vec3 albedo = pow(texture(picture, st).rgb, vec3(2.2));
    vec3 n = normalize(facing), view = normalize(eye - world);
    if (dot(n, view) < -0.2) n = -n;
    vec3 to_light = light - world;
    float falloff = 12.0 / dot(to_light, to_light);
    to_light = normalize(to_light);
    float lit = 0.0;
    for (int i = 0; i < LIGHTS; i++) {
        vec4 p = light_from_world[i] * vec4(world + n * 0.008, 1.0);
        vec3 q = p.xyz / p.w * 0.5 + 0.5;
        vec2 tile = vec2(i % 4, i / 4);
        bool inside = all(lessThan(abs(q.xy - 0.5), vec2(0.498)));
        lit += inside ? texture(shadows, vec3((tile + q.xy) / 4.0, q.z - 0.0006)) : 1.0;
    }
    lit /= float(LIGHTS);
    float lambert = max(dot(n, to_light), 0.0);
    vec3 half_way = normalize(to_light + view);
    float shine = gloss * pow(max(dot(n, half_way), 0.0), 24.0);
    vec3 reflected = albedo * lambert + shine * step(0.0, dot(n, to_light));
    direct = vec4(reflected * lit * falloff * light_colour, 1.0);
    // The sky's share from above, the floor's warm bounce from below, a dim front fill.
    vec3 around = mix(vec3(0.24, 0.20, 0.17), vec3(0.33, 0.35, 0.38), n.y * 0.5 + 0.5);
    around += 0.14 * max(dot(n, view), 0.0) + 0.10 * max(dot(n, to_light), 0.0);
    indirect = vec4(albedo * around, 1.0);
}
"""

_SCREEN_VERTEX = """
#version 330
out vec2 st;
void main() {
    st = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
    gl_Position = vec4(st * 2.0 - 1.0, 0.0, 1.0);
}
"""

# Ambient occlusion in screen space: the share of points about a surface point (on its outer side)
# that lie behind what the camera sees.
_OCCLUSION_FRAGMENT = """
#version 330
uniform sampler2D depth;
uniform vec2 half_angle;
uniform float near, far;
uniform vec3 points[32];
in vec2 st;
out float open;
float distance_at(vec2 at) {
    float d = textureLod(depth, at, 0.0).r * 2.0 - 1.0;
    return 2.0 * near * far / (far + near - d * (far - near));
}
vec3 place(vec2 at) { return vec3((at * 2.0 - 1.0) * half_angle, -1.0) * distance_at(at); }
void main() {
    vec2 pixel = 1.0 / vec2(textureSize(depth, 0));
    vec3 p = place(st);
    vec3 l = p - place(st - vec2(pixel.x, 0)), r = place(st + vec2(pixel.x, 0)) - p;
    vec3 b = p - place(st - vec2(0, pixel.y)), t = place(st + vec2(0, pixel.y)) - p;
    vec3 n = normalize(cross(abs(l.z) < abs(r.z) ? l : r, abs(b.z) < abs(t.z) ? b : t));
    float hidden = 0.0;
    for (int i = 0; i < 32; i++) {
        vec3 q = points[i];
        q = p + (dot(q, n) < 0.0 ? -q : q) * 0.22 + n * 0.004;
        vec2 at = q.xy / -q.z / half_angle * 0.5 + 0.5;
        float gap = -q.z - distance_at(at);
        hidden += gap > 0.006 ? 1.0 - smoothstep(0.15, 0.4, gap) : 0.0;
    }
    open = 1.0 - hidden / 32.0;
}
"""

_COMPOSE_FRAGMENT = """
#version 330
uniform sampler2D direct, indirect, open;
in vec2 st;
out vec4 colour;
void main() {
    vec2 pixel = 1.0 / vec2(textureSize(open, 0));
    float o = 0.0;
    for (int k = 0; k < 9; k++) o += texture(open, st + vec2(k % 3 - 1, k / 3 - 1) * pixel).r / 9.0;
    vec3 c = texture(direct, st).rgb + texture(indirect, st).rgb * pow(o, 1.4);
    c = c * (1.0 + c * 0.12) / (0.55 + c);  // a soft shoulder, as cameras have
    colour = vec4(pow(clamp(c, 0.0, 1.0), vec3(1.0 / 2.2)), 1.0);
}
"""


_LIGHT_OF_BYTE = (np.arange(256, dtype=np.float32) / 255) ** 2.2


class _Mesh(NamedTuple):
    place: moderngl.Buffer
    picture: moderngl.Texture
    gloss: float
    shade: moderngl.VertexArray | None
    cast: moderngl.VertexArray | None


class Renderer:
    """Keeps meshes and their textures; `draw` gives a picture and its depth."""

    def __init__(self, camera: Camera, light: np.ndarray, target: np.ndarray, wall: float) -> None:
        """light: middle of the window (1.2 m x 1.4 m); target: what the shadow maps centre on;
        wall: z of the back wall."""
        self.camera = camera
        self.ctx = ctx = moderngl.create_context(standalone=True, backend="egl")
        ctx.enable(moderngl.DEPTH_TEST)
        self._size = size = (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
        sources = _FRAGMENT.replace("COUNT", str(LIGHTS)), _SHADOW_FRAGMENT
        # For each: without and with holes.
        self._shade, self._cast = (
            [ctx.program(VERTEX, source.replace("HOLES", code)) for code in ("", _HOLES)]
            for source in sources
        )
        self._occlude = ctx.program(_SCREEN_VERTEX, _OCCLUSION_FRAGMENT)
        self._compose = ctx.program(_SCREEN_VERTEX, _COMPOSE_FRAGMENT)
        self._shadows = ctx.depth_texture((4 * SHADOW_SIZE, LIGHTS // 4 * SHADOW_SIZE))
        self._shadows.compare_func = "<="
        self._shadow_target = ctx.framebuffer(depth_attachment=self._shadows)
        self._direct, self._indirect = (ctx.texture(size, 4, dtype="f2") for _ in range(2))
        self._depth = ctx.depth_texture(size)
        self._depth.compare_func = ""
        self._target = ctx.framebuffer([self._direct, self._indirect], self._depth)
        self._open = ctx.texture((size[0] // 2, size[1] // 2), 1, dtype="f1")
        self._open_target = ctx.framebuffer([self._open])
        self._picture_target = ctx.framebuffer([ctx.texture(size, 3)])
        self._meshes: dict[str, _Mesh] = {}

        rng = np.random.default_rng(7)
        ball = rng.normal(size=(32, 3))
        ball *= (rng.uniform(0.05, 1, (32, 1)) ** 0.8) / np.linalg.norm(ball, axis=1, keepdims=True)
        self._occlude["points"].write(ball.astype("f4").tobytes())
        self._occlude["half_angle"].value = camera.half_angle
        self._occlude["near"].value, self._occlude["far"].value = NEAR, FAR

        aside = np.cross([0, 1, 0], light - target)
        aside /= np.linalg.norm(aside)
        shuffled = rng.permutation(LIGHTS)  # a stratified sample of the window
        self._wall = wall
        self._corners = [
            light + aside * 0.6 * u + np.array([0, 0.7 * v, 0]) for u in (-1, 1) for v in (-1, 1)
        ]
        self._picture = np.zeros((camera.height, camera.width, 3), np.uint8)
        self._last: tuple[int, ...] | None = None
        self._lights = []
        for i in range(LIGHTS):
            u, v = (i % 4 + 0.5) / 4 - 0.5, (shuffled[i] // 4 + rng.uniform()) / 4 - 0.5
            point = light + aside * 1.2 * u + np.array([0, 1.4 * v, 0])
            self._lights.append(perspective((0.8, 0.8), 1, 9) @ look_at(point, target))
        for shade in self._shade:
            shade["clip_from_world"].write(gl_bytes(camera.matrix(NEAR, FAR)))
            shade["light_from_world"].write(gl_bytes(np.stack(self._lights)))
            shade["light"].value = tuple(light)
            shade["light_colour"].value = (1.75, 1.66, 1.52)
            shade["eye"].value = tuple(camera.position)
            shade["shadows"].value = 1

    def add(
        self,
        name: str,
        uv: np.ndarray,
        faces: np.ndarray,
        texture: np.ndarray,
        gloss: float = 0.0,
        shown: bool = True,
        casts: bool = True,
    ) -> None:
        """A mesh with a texture (H, W, 4) of bytes; `place` is told where its vertices are.

        What is added first is drawn first, and saves time if it hides what comes later.
        """
        ctx = self.ctx
        height, width = texture.shape[:2]
        picture = ctx.texture((width, height), 4, np.ascontiguousarray(texture).tobytes())
        picture.build_mipmaps()
        picture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        picture.anisotropy = 8.0
        place = ctx.buffer(reserve=len(uv) * 24)
        layout = [
            (place, "3f 3f", "position", "normal"),
            (ctx.buffer(uv.astype("f4").tobytes()), "2f", "uv"),
        ]
        index = ctx.buffer(faces.astype("i4").tobytes())
        holes = int((texture[..., 3] < 128).any())
        shade, cast = (
            ctx.vertex_array(programs[holes], layout, index, skip_errors=True) if wanted else None
            for programs, wanted in ((self._shade, shown), (self._cast, casts))
        )
        self._meshes[name] = _Mesh(place, picture, gloss, shade, cast)

    def place(self, name: str, vertices: np.ndarray, normals: np.ndarray) -> None:
        self._meshes[name].place.write(np.hstack([vertices, normals]).astype("f4").tobytes())

    def draw(self, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The picture (H, W, 3) of RGB bytes and the distance (H, W) along the camera's z.

        moved: vertices (V, 3) of all that is not where it was; only what they and their shadows
        cover now, or covered in the last picture, is drawn anew.
        """
        ctx, size = self.ctx, self._size
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        for i, light in enumerate(self._lights):
            ctx.viewport = (i % 4 * SHADOW_SIZE, i // 4 * SHADOW_SIZE, SHADOW_SIZE, SHADOW_SIZE)
            for cast in self._cast:
                cast["clip_from_world"].write(gl_bytes(light))
            for mesh in self._meshes.values():
                if mesh.cast:
                    mesh.picture.use(0)
                    mesh.cast.render()

        s, (width, height) = SUPERSAMPLING, (self.camera.width, self.camera.height)
        now = self._touched(moved)
        last, self._last = self._last or (0, 0, width, height), now
        x0, y0 = min(now[0], last[0]), min(now[1], last[1])
        x1, y1 = max(now[2], last[2]), max(now[3], last[3])
        area = (x0 * s, (height - y1) * s, (x1 - x0) * s, (y1 - y0) * s)  # OpenGL: y upwards
        self._target.use()
        self._target.scissor = area
        self._target.clear(depth=1.0)
        self._shadows.use(1)
        for mesh in self._meshes.values():
            if mesh.shade:
                mesh.picture.use(0)
                mesh.shade.program["gloss"].value = mesh.gloss
                mesh.shade.render()
        ctx.disable(moderngl.DEPTH_TEST)
        self._open_target.scissor = tuple(k // 2 for k in area)
        self._picture_target.scissor = area
        self._screen(self._occlude, self._open_target, depth=self._depth)
        inputs = {"direct": self._direct, "indirect": self._indirect, "open": self._open}
        self._screen(self._compose, self._picture_target, **inputs)
        ctx.enable(moderngl.DEPTH_TEST)

        data = self._picture_target.read(viewport=area, components=3, alignment=1)
        image = np.frombuffer(data, np.uint8).reshape(y1 - y0, s, x1 - x0, s, 3)[::-1]
        # Averages light, not bytes: thin bright things keep their weight.
        light = _LIGHT_OF_BYTE[image].mean((1, 3))
        self._picture[y0:y1, x0:x1] = np.round(light ** (1 / 2.2) * 255)
        depth = np.frombuffer(self._depth.read(), "f4").reshape(size[1], size[0])[::-1]
        depth = depth.reshape(size[1] // s, s, size[0] // s, s).min((1, 3)) * 2 - 1
        distance = 2 * NEAR * FAR / (FAR + NEAR - depth * (FAR - NEAR))
        return self._picture.copy(), distance

    def _touched(self, moved: np.ndarray) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the pixels that `moved` and its shadows can change."""
        points = [moved]
        for light in self._corners:
            fall = np.maximum(light[1] - moved[:, 1], 1e-3)
            away = np.maximum(light[2] - moved[:, 2], 1e-3)
            reach = np.minimum(light[1] / fall, (light[2] - self._wall) / away)
            points.append(light + (moved - light) * np.maximum(reach, 1)[:, None])
        at = self.camera.project(np.concatenate(points))
        margin = 80  # the reach of ambient occlusion
        low = np.floor(at.min(0) / 2).astype(int) * 2 - margin
        high = np.ceil(at.max(0) / 2).astype(int) * 2 + margin
        x0, y0 = np.maximum(low, 0)
        x1, y1 = np.minimum(high, (self.camera.width, self.camera.height))
        return int(x0), int(y0), int(x1), int(y1)

    def _screen(self, program, target, **textures) -> None:
        target.use()
        for unit, (name, texture) in enumerate(textures.items()):
            texture.use(unit)
            program[name].value = unit
        self.ctx.vertex_array(program, []).render(vertices=3)
