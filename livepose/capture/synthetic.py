"""A made source whose truth is known: a drawn person before a textured wall."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from livepose.capture.figure import SKULL_RADIUS, Figure, figure_at, hidden
from livepose.capture.source import Applied, Reading
from livepose.cv import cv2
from livepose.frames import Truth
from livepose.skeleton import INDEX
from livepose.timing.timeline import now_ns

DEFAULT_SIZE = (640, 480)
MAX_SIDE = 8192

_LIGHT = (-0.45, -0.55)  # where the light comes from, in the picture
_LAYERS = 4  # of shading; each is one polygon
_SHIFT = 4  # fractional bits of polygon corners
_CIRCLE = np.stack(
    [f(np.linspace(0, 2 * math.pi, 20, endpoint=False)) for f in (np.cos, np.sin)], -1
)

Colour = tuple[float, float, float]
SKIN: Colour = (140, 170, 222)
HAIR: Colour = (34, 48, 66)
SHIRT: Colour = (176, 104, 44)
TROUSERS: Colour = (88, 72, 64)
SHOES: Colour = (52, 44, 150)

# (points, radii in metres, colour, metres nearer than its middle it is painted). A part is the
# hull of the balls about its points.
_Part = tuple[tuple[str, ...], tuple[float, ...], Colour, float]
_LIMBS: tuple[_Part, ...] = tuple(
    part
    for s in ("left", "right")
    for part in (
        ((f"{s}_hip", f"{s}_knee"), (0.088, 0.060), TROUSERS, 0.0),
        ((f"{s}_knee", f"{s}_ankle"), (0.060, 0.042), TROUSERS, 0.0),
        ((f"{s}_ankle", f"{s}_toe"), (0.045, 0.034), SHOES, 0.0),
        ((f"{s}_shoulder", f"{s}_elbow"), (0.060, 0.046), SHIRT, 0.0),
        ((f"{s}_elbow", f"{s}_wrist"), (0.040, 0.030), SKIN, 0.0),
        ((f"{s}_wrist", f"{s}_hand"), (0.032, 0.036), SKIN, 0.0),
    )
)
_TORSO: tuple[_Part, ...] = (
    (("left_hip", "right_hip"), (0.090, 0.090), TROUSERS, 0.10),
    # The shirt hangs over the trousers, whichever leg is in front.
    (
        ("left_shoulder", "right_shoulder", "left_waist", "right_waist"),
        (0.062, 0.062, 0.088, 0.088),
        SHIRT,
        0.12,
    ),
    (("neck", "head"), (0.052, 0.048), SKIN, 0.13),
)


class SyntheticSource:
    """Endless, or `frames` pictures long; picture k is the same whenever it is drawn.

    Each reading carries its `Truth`: exact, as the picture is drawn from it. `visible` are the
    joints inside the picture that the body itself does not hide.
    """

    name = "synthetic"
    live = False

    def __init__(
        self,
        width: int = DEFAULT_SIZE[0],
        height: int = DEFAULT_SIZE[1],
        fps: float = 30.0,
        frames: int | None = None,
        seed: int = 0,
    ) -> None:
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise ValueError(f"the sides must be 1 to {MAX_SIDE} pixels, got {width}x{height}")
        if not 0 < fps <= 1000:
            raise ValueError(f"the rate must be above 0 and at most 1000, got {fps:g}")
        self.applied: Applied | None = Applied(width, height, fps)
        self._size = (width, height)
        self._fps = fps
        self._frames = frames
        self._seed = seed
        self._index = 0
        # The person fills the height, or in an upright picture the width.
        self._focal = 1.2 * min(height, 0.75 * width)
        self._centre = np.array([(width - 1) / 2, (height - 1) / 2])
        self._wall: np.ndarray | None = None
        self._noise: np.ndarray | None = None

    def open(self) -> None:
        self._index = 0

    def read(self) -> Reading | None:
        if self._frames is not None and self._index >= self._frames:
            return None
        start, index = now_ns(), self._index
        self._index += 1
        image, truth = self.draw(index)
        return Reading(image, start, index / self._fps, truth)

    def skip(self, count: int) -> int:
        left = count if self._frames is None else max(0, self._frames - self._index)
        done = min(count, left)
        self._index += done
        return done

    def close(self) -> None:
        self._wall = self._noise = None

    def draw(self, index: int) -> tuple[np.ndarray, Truth]:
        """Picture `index` and where its joints are."""
        figure = figure_at(index / self._fps)
        pixels = self._project(figure.joints)
        width, height = self._size
        inside = ((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5))).all(1)
        truth = Truth(
            joints=pixels.astype(np.float32),
            xyz=(figure.joints - figure.joints[INDEX["pelvis"]]).astype(np.float32),
            visible=inside & ~hidden(figure),
        )
        image = self._background().copy()
        self._shadow(image, figure)
        self._person(image, figure)
        return self._with_noise(image, index), truth

    def _project(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(self._focal * points[..., :2] / points[..., 2:] + self._centre)

    def _person(self, image: np.ndarray, figure: Figure) -> None:
        """Paints far parts first and near ones over them."""
        head: Callable[[], None] = partial(self._head, image, figure)
        tasks = [(float(figure.point("skull")[2]) - 0.17, head)]
        for names, radii, colour, nearer in (*_LIMBS, *_TORSO):
            points = np.stack([figure.point(name) for name in names])
            limb = partial(self._hull, image, points, np.array(radii), colour)
            tasks.append((float(points[:, 2].mean()) - nearer, limb))
        for _, paint in sorted(tasks, key=lambda task: -task[0]):
            paint()

    def _head(self, image: np.ndarray, figure: Figure) -> None:
        skull, facing = figure.point("skull"), figure.facing
        up = _toward(figure.point("neck"), figure.point("head_top"))
        hair = np.stack([skull + 0.015 * up - 0.02 * facing, skull - 0.05 * up - 0.035 * facing])
        self._hull(image, hair, np.array([SKULL_RADIUS, 0.085]), HAIR)
        if facing[2] < 0.5:  # not from behind
            jaw = skull - 0.085 * up + 0.055 * facing
            face = np.stack([skull - 0.012 * up + 0.032 * facing, jaw])
            self._hull(image, face, np.array([0.080, 0.044]), SKIN)
        for side in ("left", "right"):
            ear = figure.point(f"{side}_ear")
            if (ear - skull) @ skull < 0.03 * np.linalg.norm(skull):
                self._hull(image, ear[None], np.array([0.022]), SKIN)
            eye = figure.point(f"{side}_eye")
            if (eye - skull) @ skull < 0:
                self._hull(image, eye[None], np.array([0.011]), (60, 50, 45), layers=1)
        nose = figure.point("nose")
        if (nose - skull) @ skull < 0:
            self._hull(image, nose[None], np.array([0.017]), (118, 146, 205), layers=2)
            mouth = nose + np.array([(0.028, 0.045, 0.0), (-0.028, 0.045, 0.0)]) - 0.02 * facing
            self._hull(image, mouth, np.array([0.006, 0.006]), (84, 84, 160), layers=1)

    def _hull(
        self,
        image: np.ndarray,
        points: np.ndarray,
        radii: np.ndarray,
        colour: Colour,
        layers: int = _LAYERS,
    ) -> None:
        """The hull of balls, round by shading: smaller and lighter layers towards the light."""
        centres = self._project(points)
        sizes = self._focal * radii / points[:, 2]
        for layer in range(layers):
            inner = layer / layers
            moved = centres + (0.42 * inner * sizes)[:, None] * _LIGHT
            rim = moved[:, None] + ((1 - 0.85 * inner) * sizes)[:, None, None] * _CIRCLE
            corners = np.rint(rim.reshape(-1, 2) * (1 << _SHIFT)).astype(np.int32)
            light = 0.62 + 0.5 * inner
            shade = tuple(min(255.0, c * light) for c in colour)
            hull = cv2.convexHull(corners)
            cv2.fillConvexPoly(image, hull, shade, cv2.LINE_AA, _SHIFT)

    def _shadow(self, image: np.ndarray, figure: Figure) -> None:
        """Darkens the floor beneath the person."""
        floor = figure.point("pelvis") + np.array([0.0, 0.93, 0.0])
        x, y = self._project(floor)
        rx, ry = (self._focal * r / floor[2] for r in (0.36, 0.07))
        height, width = image.shape[:2]
        x0, x1 = (int(np.clip(v, 0, width)) for v in (x - rx, x + rx + 1))
        y0, y1 = (int(np.clip(v, 0, height)) for v in (y - ry, y + ry + 1))
        if x0 >= x1 or y0 >= y1:
            return
        part = image[y0:y1, x0:x1]
        dx = (np.arange(x0, x1) - x) / rx
        dy = (np.arange(y0, y1) - y) / ry
        falloff = np.maximum(0.0, 1 - dx[None, :] ** 2 - dy[:, None] ** 2)
        part[:] = (part * (1 - 0.55 * falloff[..., None])).astype(np.uint8)

    def _background(self) -> np.ndarray:
        """A papered wall with pictures and a boarded floor, made once."""
        if self._wall is not None:
            return self._wall
        width, height = self._size
        rng = np.random.default_rng(self._seed)
        image = np.empty((height, width, 3), np.float32)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        horizon = round(0.70 * height)
        unit = self._focal / 12
        stripes = 5 * np.sign(np.sin(2 * np.pi * x / unit))
        wall = 172 + stripes - 30 * (x / width) - 18 * (y / height)
        image[:] = wall[..., None] * np.array([0.96, 1.0, 1.03], np.float32)
        far = np.maximum(y - 0.55 * height, 1)
        boards = (np.floor((x - width / 2) / far * 6) * 7919 % 13) * 2.2
        floor = (104 + boards + 30 * (y - horizon) / height)[..., None]
        floor = floor * np.array([0.62, 0.84, 1.06], np.float32)
        image[horizon:] = floor[horizon:]
        image[horizon : horizon + max(1, round(0.012 * height))] = (205, 212, 215)
        for _ in range(3):
            w, h = rng.uniform(0.10, 0.20, 2) * self._focal
            cx, cy = rng.uniform(0.05, 0.95) * width, rng.uniform(0.12, 0.42) * height
            a = (round(cx - w / 2), round(cy - h / 2))
            b = (round(cx + w / 2), round(cy + h / 2))
            cv2.rectangle(image, a, b, rng.uniform(90, 190, 3).tolist(), cv2.FILLED)
            cv2.rectangle(image, a, b, (46, 62, 78), max(1, round(self._focal / 110)))
        coarse = rng.normal(0, 1, (9, 12, 1)).astype(np.float32)
        image += 7 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
        image += rng.normal(0, 3, image.shape).astype(np.float32)
        self._wall = np.clip(image, 0, 255).astype(np.uint8)
        return self._wall

    def _with_noise(self, image: np.ndarray, index: int) -> np.ndarray:
        """Sensor noise, another in each picture."""
        height, width = image.shape[:2]
        room = 32
        if self._noise is None:
            rng = np.random.default_rng(self._seed + 1)
            self._noise = rng.integers(0, 9, (height + room, width + room, 3), np.uint8)
        y, x = (index * 7) % room, (index * 13) % room
        return np.asarray(cv2.add(image, self._noise[y : y + height, x : x + width]))


def _toward(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Unit vector from `start` to `end`."""
    return np.asarray((end - start) / np.linalg.norm(end - start))
