"""One frame in, its poses out: region, crop, forward pass, decoding, back to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from livepose.crop import Square, cut
from livepose.engine import region as regions
from livepose.engine.device import Placement
from livepose.engine.scale import to_metres
from livepose.frames import Frame, Heatmaps, Pose, Region, Result
from livepose.models.margipose import MargiPose, Output


@dataclass(slots=True)
class Predictor:
    """Follows one person; used by one thread at a time.

    region is where it looks next: the whole picture while nobody is followed.
    """

    net: MargiPose
    model: str
    placement: Placement
    region: Region | None = None

    def __post_init__(self) -> None:
        p = self.placement
        self.net = self.net.to(device=p.device, dtype=p.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def warm_up(self, runs: int = 3) -> None:
        """First runs choose kernels and allocate; call it on the thread that will predict."""
        size = self.net.config.input_size
        for _ in range(runs):
            self._forward(np.zeros((size, size, 3), np.uint8), None)

    def forget(self) -> None:
        """Looks at the whole picture next: the source has changed."""
        self.region = None

    def __call__(self, frame: Frame, want_heatmaps: bool = False) -> Result:
        """Finds the person in the frame; marks its timeline from preprocess to download."""
        look = self.region or regions.whole(frame.width, frame.height)
        square = Square(look.cx, look.cy, look.side)
        picture = cut(frame.image, square, self.net.config.input_size)
        frame.timeline.mark("preprocess")
        xyz, confidence, maps = self._forward(picture, frame, want_heatmaps)
        pose = self._pose(xyz, confidence, look)
        self.region = regions.following(pose, frame.width, frame.height)
        frame.timeline.mark("download")
        return Result(
            frame=frame,
            poses=(pose,) if pose.score >= regions.MIN_SCORE else (),
            model=self.model,
            device=self.placement.device_name,
            heatmaps=(Heatmaps(maps[0], maps[1], maps[2], look),) if maps else (),
        )

    @staticmethod
    def _pose(xyz: np.ndarray, confidence: np.ndarray, look: Region) -> Pose:
        joints = Square(look.cx, look.cy, look.side).to_picture(xyz[:, :2])
        return Pose(
            joints=joints.astype(np.float32), xyz=to_metres(xyz, confidence),
            confidence=confidence, score=regions.score(confidence), region=look,
        )  # fmt: skip

    @torch.inference_mode()
    def _forward(
        self, picture: np.ndarray, frame: Frame | None, want_heatmaps: bool = False
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        device, dtype = self.placement.device, self.placement.dtype
        clock = _Clock(frame, device)
        x = torch.from_numpy(picture)[None].to(device)
        x = x.flip(-1).permute(0, 3, 1, 2).to(dtype).div_(127.5).sub_(1)
        clock.lap("upload")
        logits = self.net.logits(x.contiguous(memory_format=torch.channels_last))
        clock.lap("forward")
        out: Output = self.net.decode(logits)
        clock.lap("decode")
        # One download, which waits for the device.
        flat = torch.cat([out.xyz[0], out.confidence[0, :, None]], 1).cpu().numpy()
        marginals = (out.xy, out.zy, out.xz) if want_heatmaps else ()
        maps = tuple(m[0].cpu().numpy() for m in marginals)
        clock.done()
        return flat[:, :3], np.ascontiguousarray(flat[:, 3]), maps


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
        if self._events is None or self._timeline is None:
            return
        pairs = zip(self._events, self._events[1:], strict=False)
        laps = [(n, a.elapsed_time(b)) for n, (a, b) in zip(self._names, pairs, strict=True)]
        self._timeline.mark_parts([*laps, ("download", 0.0)])
