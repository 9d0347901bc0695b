"""One frame in, its people out: where to look, forward pass, who is who, steady metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from livepose.crop import Square, cut, to_input
from livepose.engine import region as regions
from livepose.engine.device import Placement
from livepose.engine.region import Found
from livepose.engine.settings import EngineSettings
from livepose.engine.steady import Steady
from livepose.engine.tracking import Tracker, distinct
from livepose.frames import Frame, Heatmaps, Pose, Region, Result, Viewpoint
from livepose.lift.camera import Intrinsics
from livepose.lift.floor import Floor
from livepose.models.margipose import MargiPose, Output

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
        self, net: MargiPose, model: str, placement: Placement, detector: Detector | None = None,
        settings: EngineSettings = EngineSettings(),
    ) -> None:  # fmt: skip
        self.net = net.to(  # type: ignore[call-overload]
            device=placement.device, dtype=placement.dtype, memory_format=torch.channels_last
        )
        self.model, self.placement, self.detector = model, placement, detector
        self.settings = settings
        self._tracker, self._steady, self._floor = Tracker(), Steady(), Floor()
        self._since_detection = self._pictures = 0

    def warm_up(self, runs: int = 3) -> None:
        """First runs choose kernels and allocate; call it on the thread that will predict."""
        size = self.net.config.input_size
        for _ in range(runs):
            self._forward([np.zeros((size, size, 3), np.uint8)], None)

    def forget(self) -> None:
        """Everybody is new next: the source has changed."""
        self._tracker.forget()
        self._steady.forget()
        self._floor = Floor()

    def __call__(self, frame: Frame, want_heatmaps: bool = False, ahead_s: float = 0.0) -> Result:
        """Finds the people in the frame; marks its timeline from detect to track.

        ahead_s: from the picture to its painting, for `Smoothing.predict`.
        """
        time_s = frame.media_s if frame.media_s is not None else frame.timeline.start_ns / 1e9
        looks = self._looks(frame, time_s)
        squares = [Square(look.cx, look.cy, look.side) for look in looks]
        if not looks:
            return self._result(frame, [], ())
        crops = [cut(frame.image, square, self.net.config.input_size) for square in squares]
        frame.timeline.mark("preprocess")
        xyz, confidence, maps = self._forward(crops, frame, want_heatmaps)
        seen = [_found(*each) for each in zip(xyz, confidence, looks, strict=True)]
        poses, shown = self._people(frame, seen, time_s, ahead_s)
        heatmaps = tuple(Heatmaps(*(m[k] for m in maps), looks[k]) for k in map(seen.index, shown)
                         if maps)  # fmt: skip
        frame.timeline.mark("track")
        return self._result(frame, poses, heatmaps)

    def _result(
        self, frame: Frame, poses: Sequence[Pose], heatmaps: tuple[Heatmaps, ...]
    ) -> Result:
        viewpoint = Viewpoint(self._floor.up, self._floor.height, self.settings.view.fov)
        return Result(
            frame, tuple(poses), self.model, self.placement.device_name, heatmaps, viewpoint
        )

    def _looks(self, frame: Frame, time_s: float) -> list[Region]:
        """Squares that may hold people: those followed, and now and then new ones."""
        self._tracker.most = self.settings.people if self.detector else 1
        looks = self._tracker.looks(time_s, frame.width, frame.height)
        if self.detector is None:
            return looks or [regions.whole(frame.width, frame.height)]
        self._since_detection += 1
        room = self._tracker.most - len(looks)
        if room > 0 and (not looks or self._since_detection >= self.settings.detect_every):
            self._since_detection = 0
            new = [r for r in self.detector(frame.image)
                   if not any(regions.same(r, look) for look in looks)]  # fmt: skip
            looks += new[:room]
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

    @torch.inference_mode()
    def _forward(
        self, crops: list[np.ndarray], frame: Frame | None, want_heatmaps: bool = False
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        """(B, J, 3) normalised joints, (B, J) confidence, and the maps xy, zy, xz if wanted."""
        device, dtype = self.placement.device, self.placement.dtype
        clock = _Clock(frame, device)
        x = to_input(torch.from_numpy(np.stack(crops)).to(device), dtype)
        clock.lap("upload")
        logits = self.net.logits(x)
        clock.lap("forward")
        out: Output = self.net.decode(logits)
        clock.lap("decode")
        # One download, which waits for the device.
        flat = torch.cat([out.xyz, out.confidence[..., None]], -1).cpu().numpy()
        maps = tuple(m.cpu().numpy() for m in (out.xy, out.zy, out.xz)) if want_heatmaps else ()
        clock.done()
        return flat[..., :3], np.ascontiguousarray(flat[..., 3]), maps


def _found(xyz: np.ndarray, confidence: np.ndarray, look: Region) -> Found:
    joints = Square(look.cx, look.cy, look.side).to_picture(xyz[:, :2])
    return Found(
        joints=joints, depth=xyz[:, 2] * (look.side / 2), confidence=confidence,
        score=regions.score(confidence), region=look,
    )  # fmt: skip


class _Clock:
    """Laps of the device: events on CUDA, where calls return before their work is done."""

    def __init__(self, frame: Frame | None, device: torch.device) -> None:
        self._timeline = frame.timeline if frame else None
        self._events = [self._event()] if device.type == "cuda" and frame else None
        self._names: list[str] = []

    @staticmethod
    def _event() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def lap(self, stage: str) -> None:
        if self._events is not None:
            self._events.append(self._event())
            self._names.append(stage)
        elif self._timeline is not None:
            self._timeline.mark(stage)

    def done(self) -> None:
        """After the device has been waited for."""
        if self._timeline is None:
            return
        if self._events is None:
            self._timeline.mark("download")
            return
        pairs = zip(self._events, self._events[1:], strict=False)
        laps = [(n, a.elapsed_time(b)) for n, (a, b) in zip(self._names, pairs, strict=True)]
        self._timeline.mark_parts([*laps, ("download", 0.0)])
