"""Where the viewer of the 3D scene stands (numpy only)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float, float]

FOV = 28.0  # degrees across the height of the view
# A person has this much room, from the feet to the number above the head: metres.
_ROOM, _TALL = 0.55, 2.05
# The view narrows again where it could be narrower by this part, in about so many seconds.
_SLACK, _PACE_S = 0.25, 0.4


@dataclass(frozen=True)
class CameraState:
    """A turntable: degrees about the vertical and above the floor, metres across the narrower
    side of the view, and the point looked at. Azimuth 0 looks away from the real camera (along
    y), as the picture does.
    """

    azimuth: float
    elevation: float
    extent: float = 2.45
    centre: Point = (0.0, 0.0, 0.9)

    def basis(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors of the world that point right, up and towards the viewer."""
        azimuth, elevation = math.radians(self.azimuth), math.radians(self.elevation)
        right = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
        flat = math.cos(elevation)
        eye = np.array([math.sin(azimuth) * flat, -math.cos(azimuth) * flat, math.sin(elevation)])
        return right, np.cross(eye, right), eye

    def needed(self, places: np.ndarray, width: int, height: int) -> float:
        """The extent that has people at places (P, 2) on the floor in sight, looked at like this.

        width, height: of the view in pixels.
        """
        sides, ends = (-_ROOM, _ROOM), (0.0, _TALL)
        room = np.array([(x, y, z) for x in sides for y in sides for z in ends])
        points = np.pad(places, ((0, 0), (0, 1)))[:, None] + room - np.array(self.centre)
        right, up, eye = (points @ unit for unit in self.basis())
        across, upwards = (min(width, height) / side for side in (width, height))
        # What is nearer to the viewer than the point that is looked at is seen larger.
        larger = 2 * math.tan(math.radians(FOV / 2)) * upwards * eye
        wide, high = 2 * across * np.abs(right), 2 * upwards * np.abs(up)
        return float((np.maximum(wide, high) + larger).max())

    def along(self, other: CameraState) -> bool:
        """Looks in the same direction, from whatever distance."""
        return (self.azimuth, self.elevation) == (other.azimuth, other.elevation)


VIEWS: dict[str, CameraState] = {
    "front": CameraState(0, 0),
    "side": CameraState(90, 0),
    "top": CameraState(0, 90),
    "angled": CameraState(28, 14),
    "room": CameraState(35, 24, 6.0, (0.0, -0.8, 0.6)),
}


class Widening:
    """How many times wider than usual the view is, so that all of several people are in sight.

    It widens and narrows gently, and stays where it is while people move a little.
    """

    def __init__(self) -> None:
        self.factor = self._wanted = 1.0

    def __call__(self, least: float, passed_s: float) -> float:
        """The factor for the next drawing; least: that everybody needs."""
        least = max(1.0, least)
        if least > self._wanted or least < (1 - _SLACK) * self._wanted:
            self._wanted = least
        # Who looks again after a while finds it done.
        share = 1 - math.exp(-passed_s / _PACE_S) if passed_s < 1 else 1.0
        self.factor += share * (self._wanted - self.factor)
        return self.factor
