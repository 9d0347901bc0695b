"""What a pixel of the picture is in degrees: the pinhole camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Of the longer side. Webcams have 60 to 78 degrees across, phones held upright much the same.
USUAL_FOV = 65.0
FOV_RANGE = (20.0, 130.0)


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera with square pixels; all in pixels of the picture.

    Camera axes: x right, y down, z away from the camera; the principal point is (cx, cy).
    """

    focal: float
    cx: float
    cy: float

    @classmethod
    def of_fov(cls, width: int, height: int, degrees: float = USUAL_FOV) -> Intrinsics:
        """Of a picture whose longer side is seen under so many degrees.

        Raises:
            ValueError: outside `FOV_RANGE`, where a pinhole is no model of a lens.
        """
        if not FOV_RANGE[0] <= degrees <= FOV_RANGE[1]:
            low, high = FOV_RANGE
            raise ValueError(f"field of view must be {low:.0f} to {high:.0f} degrees: {degrees}")
        focal = max(width, height) / 2 / math.tan(math.radians(degrees) / 2)
        return cls(focal, (width - 1) / 2, (height - 1) / 2)
