"""One frame in, its people out: where to look, forward pass, who is who, steady metres."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Protocol

import numpy as np

from livepose.crop import Square
from livepose.engine import region as regions
from livepose.engine.backends import Backend, Raw
from livepose.engine.region import Found
from livepose.engine.settings import EngineSettings
from livepose.engine.steady import Steady
from livepose.engine.tracking import Tracker, distinct
from livepose.frames import Frame, Heatmaps, Pose, Region, Result, Viewpoint
from livepose.lift.camera import Intrinsics
from livepose.lift.floor import Floor
from livepose.models.networks import NetworkConfig

# Pictures between two looks at where people stand: the floor stays where it is.
_FLOOR_EVERY = 5


class Detector(Protocol):
    """Says where in a BGR picture people are, the surest first."""

    def __call__(self, image: np.ndarray) -> list[Region]: ...


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
        self._since_detection = self._pictures = 0
        self._looked: tuple[np.ndarray, list[Region]] | None = None  # at the last picture

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

    def restart(self) -> None:
        """The next picture is looked at afresh: joints as the network says, and newcomers at once.

        Whoever is followed stays followed.
        """
        self._steady.forget()
        self._since_detection = self.settings.detect_every

    def join(self, other: Predictor) -> None:
        """Follows from now on whom another one follows."""
        self._tracker, self._looked = deepcopy(other._tracker), other._looked

    def __call__(self, frame: Frame, want_heatmaps: bool = False, ahead_s: float = 0.0) -> Result:
        """Finds the people in the frame; marks its timeline from detect to track.

        ahead_s: from the picture to its painting, for `Smoothing.predict`.
        """
        time_s = frame.media_s if frame.media_s is not None else frame.timeline.start_ns / 1e9
        looks = self._looks(frame, time_s)
        if not looks:
            return self._result(frame, [], ())
        squares = [Square.of(look) for look in looks]
        backend = self._backend(len(squares))
        raw = backend(frame.image, squares, frame.timeline, want_heatmaps)
        seen = [_found(*each) for each in zip(raw.xyz, raw.confidence, looks, strict=True)]
        poses, shown = self._people(frame, seen, time_s, ahead_s)
        heatmaps = tuple(_heatmaps(raw, k, looks[k], backend.config)
                         for k in map(seen.index, shown) if raw.maps)  # fmt: skip
        frame.timeline.mark("track")
        return self._result(frame, poses, heatmaps)

    def _backend(self, squares: int) -> Backend:
        least = max((n for n in self.smaller if n <= squares), default=0)
        return self.smaller[least] if least else self.backend

    def _result(
        self, frame: Frame, poses: Sequence[Pose], heatmaps: tuple[Heatmaps, ...]
    ) -> Result:
        viewpoint = Viewpoint(self._floor.up, self._floor.height, self.settings.view.fov)
        return Result(frame, tuple(poses), self.model, self.device_name, heatmaps, viewpoint,
                      way=self.way)  # fmt: skip

    def _looks(self, frame: Frame, time_s: float) -> list[Region]:
        """Squares that may hold people: those followed, and now and then new ones."""
        self._tracker.most = self.settings.people if self.detector else 1
        if self._looked is not None and self._looked[0] is frame.image:  # once more, as before
            looks = self._looked[1][: self._tracker.most]
        else:
            looks = self._tracker.looks(time_s, frame.width, frame.height)
        if self.detector is None:
            looks = looks or [regions.whole(frame.width, frame.height)]
        else:
            looks = self._with_newcomers(frame, looks, self.detector)
        self._looked = frame.image, looks
        return looks

    def _with_newcomers(
        self, frame: Frame, looks: list[Region], detector: Detector
    ) -> list[Region]:  # fmt: skip
        self._since_detection += 1
        room = self._tracker.most - len(looks)
        if room > 0 and (not looks or self._since_detection >= self.settings.detect_every):
            self._since_detection = 0
            new = [r for r in detector(frame.image)
                   if not any(regions.same(r, look) for look in looks)]  # fmt: skip
            looks = [*looks, *new[:room]]
            frame.timeline.mark("detect")
        return looks

    def _people(
        self, frame: Frame, seen: Sequence[Found], time_s: float, ahead_s: float
    ) -> tuple[list[Pose], list[Found]]:
        view, smoothing = self.settings.view, self.settings.smoothing
        camera = Intrinsics.of_fov(frame.width, frame.height, view.fov)
        clear = distinct([f for f in seen if f.score >= regions.MIN_SCORE])
        shown = self._tracker.update(clear, time_s, frame.image)
        self._steady.keep(self._tracker.ids)
        poses = [self._steady(person.id, found, time_s, camera, view, smoothing, ahead_s)
                 for person, found in shown]  # fmt: skip
        self._pictures += 1
        if self._pictures % _FLOOR_EVERY == 0:
            for pose in poses:
                self._floor.add(pose.xyz + pose.position, pose.confidence)
        if self.settings.people == 1:
            poses = [replace(pose, id=0) for pose in poses]
        return poses, [found for _, found in shown]


def _heatmaps(raw: Raw, k: int, look: Region, config: NetworkConfig) -> Heatmaps:
    """Of one of the squares; a stage that the backend does not give is there without maps."""
    xy, zy, xz = (m[k] for m in raw.maps)
    stages = tuple(stage.of(k) for stage in raw.stages or config.stages)
    return Heatmaps(xy, zy, xz, look, raw.xyz[k], config.drawn, stages)


def _found(xyz: np.ndarray, confidence: np.ndarray, look: Region) -> Found:
    joints = Square.of(look).to_picture(xyz[:, :2])
    return Found(
        joints=joints, depth=xyz[:, 2] * (look.side / 2), confidence=confidence,
        score=regions.score(confidence), region=look,
    )  # fmt: skip
