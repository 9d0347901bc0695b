"""Where the viewer of the 3D scene stands (numpy only)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float, float]


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
