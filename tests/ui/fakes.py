"""A session without threads of its own: the test says what comes, and sees what was asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from livepose.engine.loading import Choice
from livepose.engine.settings import EngineSettings
from livepose.engine.turns import Turns
from livepose.frames import Event, Frame, Heatmaps, Pose, Region, Result
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import save_model
from livepose.skeleton import INDEX, JOINTS, J
from livepose.timing.stats import Latency, StageStats, Stats
from livepose.timing.timeline import Timeline, now_ns

# Metres about the pelvis, x to the right of the picture, y up, z towards the camera.
_BODY = {
    "pelvis": (0, 0, 0), "spine": (0, 0.25, 0), "neck": (0, 0.5, 0), "head": (0, 0.66, 0.02),
    "head_top": (0, 0.8, 0), "nose": (0, 0.65, 0.11), "left_eye": (0.035, 0.69, 0.1),
    "right_eye": (-0.035, 0.69, 0.1), "left_ear": (0.08, 0.67, 0.02),
    "right_ear": (-0.08, 0.67, 0.02), "left_shoulder": (0.18, 0.48, 0),
    "right_shoulder": (-0.18, 0.48, 0), "left_elbow": (0.36, 0.62, 0.05),
    "right_elbow": (-0.28, 0.22, -0.06), "left_wrist": (0.44, 0.88, 0.12),
    "right_wrist": (-0.34, 0, 0.12), "left_hip": (0.1, 0, 0), "right_hip": (-0.1, 0, 0),
    "left_knee": (0.14, -0.42, 0.06), "right_knee": (-0.13, -0.42, 0.06),
    "left_ankle": (0.18, -0.84, 0), "right_ankle": (-0.16, -0.84, 0),
}  # fmt: skip


def person(
    centre: tuple[float, float] = (160.0, 110.0), scale: float = 100.0, confidence: float = 0.95
) -> Pose:
    """Somebody who faces the camera, the left arm up, `scale` pixels a metre."""
    body = np.array([_BODY[name] for name in JOINTS], np.float32)
    xyz = body * np.float32([1, -1, -1])
    joints = np.float32(centre) + scale * xyz[:, :2]
    return Pose(
        joints.astype(np.float32), xyz, np.full(J, confidence, np.float32), 0.9,
        Region(*centre, 2 * scale),
    )  # fmt: skip


def saved(folder: Path, name: str) -> str:
    """The file of a small network with its card."""
    file = folder / f"{name}.safetensors"
    net = MargiPose(Config("small", 64, heatmap_stride=8))
    net.presence_bias.data.fill_(50.0)  # sure of everything
    save_model(file, net, {}, {})
    return str(file)


def timeline() -> Timeline:
    """Of a frame that has just come out of the engine."""
    times = Timeline(now_ns() - 20_000_000)
    times.mark_parts([("capture", 5), ("wait", 2), ("preprocess", 1), ("upload", 0.1),
                      ("forward", 9), ("decode", 1), ("download", 0.1)])  # fmt: skip
    return times


def coloured(width: int = 320, height: int = 240) -> np.ndarray:
    """BGR with a different colour in each quarter: top left blue, top right green, bottom left
    red, bottom right grey."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (220, 20, 10)
    image[: height // 2, width // 2 :] = (20, 200, 30)
    image[height // 2 :, : width // 2] = (30, 10, 210)
    image[height // 2 :, width // 2 :] = (120, 120, 120)
    return image


def result(
    image: np.ndarray | None = None, poses: tuple[Pose, ...] = (), number: int = 0,
    heatmaps: tuple[Heatmaps, ...] = (), source: str = "fake",
) -> Result:  # fmt: skip
    image = coloured() if image is None else image
    return Result(Frame(number, image, timeline(), source), poses, "tiny", "CPU", heatmaps)


def heatmaps(pose: Pose, size: int = 32) -> Heatmaps:
    """A narrow peak at each joint; the same map three times."""
    region, grid = pose.region, np.arange(size) + 0.5
    corner = np.array([region.cx, region.cy]) - region.side / 2
    at = (pose.joints - corner) / region.side * size
    x = np.exp(-((grid - at[:, :1]) ** 2) / 2)
    y = np.exp(-((grid - at[:, 1:]) ** 2) / 2)
    xy = (y[:, :, None] * x[:, None, :]).astype(np.float32)
    xy /= xy.sum((1, 2), keepdims=True)
    x, y = (2 * at / size - 1).T
    return Heatmaps(xy, xy, xy, region, np.stack([x, y, (x + y) / 2], 1))


class FakeSession:
    settings = EngineSettings()

    def __init__(
        self, on_result: Callable[[Result], None], on_event: Callable[[Event], None]
    ) -> None:
        self.deliver, self.tell = on_result, on_event
        self.calls: list[tuple[object, ...]] = []
        self.painted_results: list[Result] = []
        self.paused = self.loading = False
        self.want_heatmaps = False
        self.probe = None
        self.turns = Turns()
        self.source, self.model = "0", "tiny"
        self.models = ["tiny", "big"]
        self.latency = Latency()
        self.note = ""

    def start(self) -> None:
        self.calls.append(("start",))

    def stop(self, timeout_s: float = 3.0) -> bool:
        self.calls.append(("stop",))
        return True

    def open(self, source: str) -> None:
        self.calls.append(("open", source))
        self.source = source

    network = None
    choice, size = Choice("tiny", "torch", "float32"), 64

    def use(self, choice: str | Choice) -> None:
        self.calls.append(("use", choice))
        self.model = choice if isinstance(choice, str) else choice.model

    def compare(self, choice: Choice | None) -> None:
        self.calls.append(("compare", choice))

    def pause(self) -> None:
        self.calls.append(("pause",))
        self.paused = True

    def resume(self) -> None:
        self.calls.append(("resume",))
        self.paused = False

    def redo(self) -> None:
        self.calls.append(("redo",))

    def step(self) -> None:
        self.calls.append(("step",))

    def painted(self, result: Result) -> None:
        self.painted_results.append(result)
        self.latency.add(result.frame.timeline)

    def stats(self) -> Stats:
        stages, end_to_end = self.latency.summary()
        return Stats(
            stages, end_to_end if stages else StageStats(), 30.0, 20.0, 20.0, 90, 30,
            len(self.painted_results), "CPU (2 threads)", "bfloat16", self.note, "Camera 0",
            threads=2,
        )  # fmt: skip

    def sources(self) -> list[tuple[str, str]]:
        return [("0", "Camera 0"), ("clip.mp4", "Bundled clip"), ("synthetic", "Synthetic")]


LEFT_WRIST = INDEX["left_wrist"]


def pixels(widget) -> np.ndarray:
    """(H, W, 3) RGB of the widget in device pixels."""
    from PyQt5.QtGui import QImage

    image = widget.grab().toImage().convertToFormat(QImage.Format_RGB888)
    data = image.constBits().asarray(image.sizeInBytes())
    rows = np.frombuffer(bytes(data), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
