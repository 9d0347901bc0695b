"""One frame in, its people out: where to look, forward pass, who is who, steady metres."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from livepose.crop import Square
from livepose.engine import region as regions
from livepose.engine.backends import Backend, Raw
from livepose.engine.clock import MediaClock
from livepose.engine.region import Found
from livepose.engine.settings import EngineSettings
from livepose.engine.steady import Steady
from livepose.engine.tracking import FORGET_S, Person, Tracker, alike, distinct
from livepose.frames import Frame, Heatmaps, Pose, Region, Result, Viewpoint
from livepose.lift.camera import Intrinsics
from livepose.lift.floor import Floor
from livepose.models.networks import NetworkConfig

# Pictures between two looks at where people stand: the floor stays where it is.
_FLOOR_EVERY = 5
# Between two looks for people while nobody is there.
_EMPTY_S = 0.15
# Somebody new has to look so much the same in a second square.
_AGREE = 0.5


class Detector(Protocol):
    """Says where in a BGR picture people are, the surest first."""

    def __call__(self, image: np.ndarray) -> list[Region]: ...


def _same(a: Frame, b: Frame) -> bool:
    """Is it one frame, put through again? Sources may count anew, or give one image many times."""
    return a.id == b.id and a.image is b.image


class _Looked(NamedTuple):
    """Where a frame was looked at: about those who are followed, and where others may be."""

    frame: Frame
    followed: list[Region]
    new: list[Region]


class Predictor:
    """Follows people through a source; used by one thread at a time.

    detector: finds them; without one, the whole picture is looked at while nobody is followed, and
    one person at most is found.
    """

    def __init__(
        self, backend: Backend, model: str, device_name: str, detector: Detector | None = None,
        settings: EngineSettings = EngineSettings(),
    ) -> None:  # fmt: skip
        self.backend, self.model, self.device_name = backend, model, device_name
        self.detector, self.settings = detector, settings
        # {from so many people on: the same network for smaller squares}, as they become ready.
        self.smaller: dict[int, Backend] = {}
        self._tracker, self._steady, self._floor = Tracker(), Steady(), Floor()
        self._clock = MediaClock(cut_s=FORGET_S)
        self._pictures = self._since_detection = self._shown = 0
        self._detected_s = -np.inf
        self._view = settings.view
        self._looked: _Looked | None = None

    @property
    def way(self) -> str:
        """What runs and how, as `Result.way` has it."""
        backend = self.backend
        return f"{self.model}@{backend.size}/{backend.name}/{backend.precision}"

    def use(self, backend: Backend, model: str, device_name: str) -> None:
        """Goes over to another network; whoever is followed stays followed."""
        self.backend, self.model, self.device_name = backend, model, device_name
        self.smaller = {}

    def forget(self) -> None:
        """Everybody is new next: the source has changed."""
        self._tracker.forget()
        self._steady.forget()
        self._floor = Floor()
        self._shown, self._detected_s = 0, -np.inf

    def restart(self) -> None:
        """The next picture is looked at afresh: joints as the network says, and newcomers at once.

        Whoever is followed stays followed.
        """
        self._steady.forget()
        self._since_detection, self._detected_s = self.settings.detect_every, -np.inf

    def join(self, other: Predictor) -> None:
        """Follows from now on whom another one follows."""
        self._tracker, self._clock = deepcopy(other._tracker), deepcopy(other._clock)
        self._looked, self._shown = other._looked, other._shown

    def __call__(self, frame: Frame, want_heatmaps: bool = False, ahead_s: float = 0.0) -> Result:
        """Finds the people in the frame; marks its timeline from detect to track.

        ahead_s: from the picture to its painting, for `Smoothing.predict`.
        """
        time_s = self._clock(frame.media_s, frame.timeline.start_ns / 1e9)
        followed, new = self._looks(frame, time_s)
        seen, maps = self._seen(frame, [*followed, *new], want_heatmaps)
        sure = seen[: len(followed)] + self._seen_twice(frame, seen[len(followed) :])
        clear = distinct([found for found in sure if regions.usable(found)])
        shown = self._tracker.update(clear, time_s, frame.image)
        poses = self._poses(frame, shown, time_s, ahead_s)
        self._shown = len(poses)
        heatmaps = tuple(maps[seen.index(found)] for _, found in shown if maps)
        frame.timeline.mark("track")
        return self._result(frame, poses, heatmaps)

    def _seen(
        self, frame: Frame, looks: Sequence[Region], want_maps: bool = False
    ) -> tuple[list[Found], list[Heatmaps]]:
        """What the network sees in each square, and its maps if they are wanted."""
        if not looks:
            return [], []
        # By those who were there: who is only looked for may be nobody.
        least = max((n for n in self.smaller if n <= self._shown), default=0)
        backend = self.smaller[least] if least else self.backend
        squares = [Square.of(look) for look in looks]
        raw = backend(frame.image, squares, frame.timeline, want_maps)
        maps = [_heatmaps(raw, k, look, backend.config) for k, look in enumerate(looks) if raw.maps]
        return regions.found(raw.xyz, raw.confidence, looks), maps

    def _seen_twice(self, frame: Frame, new: Sequence[Found]) -> list[Found]:
        """Those of them whom another square shows, too; ghosts depend on where the square lies."""
        new = [found for found in new if regions.usable(found)]
        again, _ = self._seen(frame, [regions.beside(found.region) for found in new])
        return [a for a, b in zip(new, again, strict=True)
                if regions.usable(b) and alike([a], [b])[0, 0] >= _AGREE]  # fmt: skip

    def _result(
        self, frame: Frame, poses: Sequence[Pose], heatmaps: tuple[Heatmaps, ...]
    ) -> Result:
        viewpoint = Viewpoint(self._floor.up, self._floor.height, self.settings.view.fov)
        return Result(frame, tuple(poses), self.model, self.device_name, heatmaps, viewpoint,
                      way=self.way)  # fmt: skip

    def _looks(self, frame: Frame, time_s: float) -> tuple[list[Region], list[Region]]:
        """Squares about those who are followed, and now and then squares that may hold others."""
        self._tracker.most = self.settings.people if self.detector else 1
        if self._looked is not None and _same(self._looked.frame, frame):  # as before
            followed, new = self._looked.followed[: self._tracker.most], self._looked.new
        else:
            followed, new = self._tracker.looks(time_s, frame.width, frame.height), []
        if self.detector is None:
            new = [] if followed else [regions.whole(frame.width, frame.height)]
        else:
            new = new + self._newcomers(frame, [*followed, *new], time_s, self.detector)
        self._looked = _Looked(frame, followed, new)
        return followed, new

    def _newcomers(
        self, frame: Frame, looks: Sequence[Region], time_s: float, detector: Detector
    ) -> list[Region]:  # fmt: skip
        self._since_detection += 1
        room = self._tracker.most - len(looks)
        due = (self._since_detection >= self.settings.detect_every if looks
               else time_s - self._detected_s >= _EMPTY_S)  # fmt: skip
        if room <= 0 or not due:
            return []
        self._since_detection, self._detected_s = 0, time_s
        new = [r for r in detector(frame.image)
               if not any(regions.same(r, look) for look in looks)]  # fmt: skip
        frame.timeline.mark("detect")
        return new[:room]

    def _poses(
        self, frame: Frame, shown: Sequence[tuple[Person, Found]], time_s: float, ahead_s: float
    ) -> list[Pose]:
        view, smoothing = self.settings.view, self.settings.smoothing
        if view != self._view:
            self._view, self._floor = view, Floor()
        camera = Intrinsics.of_fov(frame.width, frame.height, view.fov)
        self._steady.keep(self._tracker.ids)
        people = [(person.id, found) for person, found in shown]
        poses = self._steady(people, time_s, camera, view, smoothing, ahead_s)
        self._pictures += 1
        if self._pictures % _FLOOR_EVERY == 0:
            for pose in poses:
                self._floor.add(pose.xyz + pose.position, pose.confidence)
        if self.settings.people == 1:
            poses = [replace(pose, id=0) for pose in poses]
        return poses


def _heatmaps(raw: Raw, k: int, look: Region, config: NetworkConfig) -> Heatmaps:
    """Of one of the squares; a stage that the backend does not give is there without maps."""
    xy, zy, xz = (m[k] for m in raw.maps)
    stages = tuple(stage.of(k) for stage in raw.stages or config.stages)
    return Heatmaps(xy, zy, xz, look, raw.xyz[k], config.drawn, stages)
