"""A tiny network, a collector of what a session says, and waiting with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from livepose.capture import CaptureOptions
from livepose.crop import Square
from livepose.engine import device, region
from livepose.engine.backends import Raw, TorchBackend
from livepose.engine.predictor import Detector, Predictor
from livepose.engine.session import Session
from livepose.frames import Event, Frame, Pose, Region, Result
from livepose.models.detector import PersonNet
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import WeightsError
from livepose.skeleton import J
from livepose.timing.timeline import Timeline, now_ns

CPU = device.Placement(torch.device("cpu"), torch.float32)
TINY = Config("lightning", 64)
FAST = CaptureOptions(retry_s=0.05, retry_max_s=0.1, stall_s=0.5)


def tiny(name: str = "") -> MargiPose:
    torch.manual_seed(0)
    return MargiPose(TINY).eval()


def sure(name: str = "", config: Config = TINY) -> MargiPose:
    """Sees all joints of somebody in every picture."""
    torch.manual_seed(0)
    net = MargiPose(config).eval()
    net.presence_bias.data.fill_(50.0)
    return net


def nobody() -> PersonNet:
    """No detector."""
    raise WeightsError("there is none")


# How sessions run in tests: small, without a detector, the same everywhere.
CALM: dict[str, Any] = {
    "options": FAST, "load": tiny, "device": "cpu", "precision": "float32", "backend": "torch",
    "load_detector": nobody,
}  # fmt: skip


def predictor(net: MargiPose, detector: Detector | None = None, **more: Any) -> Predictor:
    return Predictor(TorchBackend(net, CPU), "tiny", "CPU", detector, **more)


def wait_for(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


class Log:
    """Collects what a session says."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.events: list[Event] = []

    def kinds(self) -> list[str]:
        return [e.kind for e in self.events]


def session(source: str | None, log: Log, **more) -> Session:  # type: ignore[no-untyped-def]
    return Session(source, **{**CALM, "model": "tiny", "on_result": log.results.append,
                              "on_event": log.events.append, **more})  # fmt: skip


def pose(joints: np.ndarray, confidence: float | np.ndarray = 0.9) -> Pose:
    c = np.broadcast_to(np.float32(confidence), J).copy()
    return Pose(joints, np.zeros((J, 3)), c, float(region.score(c)), Region(0, 0, 1))


def found(
    joints: np.ndarray, confidence: float | np.ndarray = 0.9, depth: np.ndarray | None = None
) -> region.Found:
    c = np.broadcast_to(np.float32(confidence), J).copy()
    depth = np.zeros(J) if depth is None else depth
    return region.Found(joints, depth, c, float(region.score(c)), Region(0, 0, 1))


class Eyes:
    """In place of a network: sees those people whose middle is in the square.

    people: to be set before each picture.
    """

    name, size, precision = "eyes", 64, "float32"

    def __init__(self, *people: region.Found) -> None:
        self.people: Sequence[region.Found] = people
        self.squares: list[Square] = []

    def __call__(
        self, image: np.ndarray, squares: Sequence[Square], timeline: Timeline | None = None,
        want_maps: bool = False,
    ) -> Raw:  # fmt: skip
        self.squares += squares
        seen = [self._seen(square) for square in squares]
        return Raw(np.stack([xyz for xyz, _ in seen]), np.stack([c for _, c in seen]), ())

    def _seen(self, square: Square) -> tuple[np.ndarray, np.ndarray]:
        middle = np.array([square.cx, square.cy])
        for person in self.people:
            if np.abs(np.nanmean(person.joints, axis=0) - middle).max() < square.side / 3:
                xy = (person.joints - middle) / (square.side / 2)
                return np.column_stack([xy, person.depth / (square.side / 2)]), person.confidence
        return np.zeros((J, 3)), np.zeros(J)


def frame(
    width: int = 320, height: int = 240, media_s: float | None = None, start_s: float | None = None
) -> Frame:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    timeline = Timeline(now_ns() if start_s is None else round(start_s * 1e9))
    timeline.mark("capture")
    return Frame(0, image, timeline, media_s=media_s)


class SlowNet(MargiPose):
    def logits(self, x: torch.Tensor):  # type: ignore[no-untyped-def]
        time.sleep(0.1)
        return super().logits(x)
