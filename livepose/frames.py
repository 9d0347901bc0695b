"""The plain dataclasses that cross the borders ``capture -> engine -> ui``.

Pixel coordinates: x to the right, y down, (0, 0) the centre of the top-left pixel of the frame.
Images are BGR bytes as OpenCV delivers them, never written to once a `Frame` holds them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from livepose.timing.timeline import Timeline


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Known joints of a made source, in the order of `livepose.skeleton.JOINTS`.

    joints: (J, 2) pixels. xyz: (J, 3) metres about the pelvis, camera axes (x right, y down,
    z away from the camera). visible: (J,) bool.
    """

    joints: np.ndarray
    xyz: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    id counts the pictures of one opened source from 0, dropped ones included; timeline carries
    the times since its capture; media_s is the position in a file in seconds, if there is one.
    """

    id: int
    image: np.ndarray
    timeline: Timeline
    source: str = ""
    media_s: float | None = None
    truth: Truth | None = None

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the picture that the network looks at: centre and side in pixels.

    width: so much of its width, about its middle, is enough to see the person.
    """

    cx: float
    cy: float
    side: float
    width: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One person in one frame, joints in the order of `livepose.skeleton.JOINTS`.

    joints: (J, 2) float32 pixels of the frame.
    xyz: (J, 3) float32 metres about the pelvis, camera axes (x right, y down, z away).
    confidence: (J,) float32 in 0..1, how likely a joint is there, within 0.2 of the torso.
    score: confidence of the person as a whole, 0..1. id: the same for the same person, from 1 on;
    0 where only one is followed.
    position: (3,) float32 metres, the pelvis in camera axes with the camera at 0, if known.
    lag_s: how much later the joints are than the picture, by smoothing.
    """

    joints: np.ndarray
    xyz: np.ndarray
    confidence: np.ndarray
    score: float
    region: Region
    id: int = 0
    position: np.ndarray | None = None
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Maps that a network has on its way, shapes as in `Heatmaps`; None for those that it has not
    got there, or that are not given.

    presence: xy says for each cell by itself, 0..1, whether the joint is in the window about it.
    """

    name: str
    xy: np.ndarray | None = None
    zy: np.ndarray | None = None
    xz: np.ndarray | None = None
    presence: bool = field(default=False, kw_only=True)

    def of(self, k: int) -> Stage:
        """Of one of several people, if the arrays begin with an axis for them."""
        xy, zy, xz = (None if m is None else m[k] for m in (self.xy, self.zy, self.xz))
        return Stage(self.name, xy, zy, xz, presence=self.presence)


@dataclass(frozen=True, slots=True, eq=False)
class Heatmaps:
    """Probability maps of one person: xy (J, H, W), zy (J, H, D), xz (J, D, W), float32.

    Rows of xz are depth (near first). The maps cover `region` of the frame.
    xyz: (J, 3) what the network made of them, -1..1 across the region, before any smoothing.
    drawn: names of the maps that the network has not got: Gaussians about numbers it regresses.
    stages: maps before these, in the network's order.
    """

    xy: np.ndarray
    zy: np.ndarray
    xz: np.ndarray
    region: Region
    xyz: np.ndarray
    drawn: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """What one unit of a layer answers: (H, W) float32 over `region` of the frame."""

    layer: str
    unit: int
    units: int
    map: np.ndarray
    region: Region


@dataclass(frozen=True, slots=True, eq=False)
class Viewpoint:
    """Where the camera stands, as far as the people before it tell.

    up: (3,) unit vector in camera axes. height: metres above the floor. fov: degrees across the
    longer side of the picture.
    """

    up: np.ndarray
    height: float
    fov: float


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A frame with the poses found in it; `frame.timeline` tells when each stage was done.

    way: what ran and how, MODEL@SIZE/BACKEND/PRECISION. other: the same frame as another network
    sees it, where two are compared. activation: of a unit, where one is looked at.
    """

    frame: Frame
    poses: tuple[Pose, ...]
    model: str = ""
    device: str = ""
    heatmaps: tuple[Heatmaps, ...] = field(default=())
    viewpoint: Viewpoint | None = None
    other: Result | None = None
    activation: Activation | None = None
    way: str = ""

    @property
    def title(self) -> str:
        """`way` for people: without the folders of a model that is a file."""
        return Path(self.model).stem + self.way.removeprefix(self.model)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the user should know, from a thread that goes on.

    origin: ``"capture"`` or ``"engine"``. level: ``"info"``, ``"warning"`` or ``"error"``.
    kind: a short stable word (``"opened"``, ``"failed"``, ``"stalled"``, ``"fallback"``, ...).
    message: one sentence that says what happened and what to do.
    """

    origin: str
    level: str
    kind: str
    message: str


def first_line(error: Exception) -> str:
    """What an event says of an error."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
