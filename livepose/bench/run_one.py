"""One candidate in a process of its own: ``python -m livepose.bench.run_one``, see `command`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from livepose.bench.measure import Seen, Step, pictures, report, timed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("livepose", "movenet", "mediapipe"))
    parser.add_argument("--source", required=True)
    parser.add_argument("--pictures", type=int, required=True)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--weights", type=Path)
    args = parser.parse_args()
    make = {"livepose": _livepose, "movenet": _movenet, "mediapipe": _mediapipe}[args.kind]
    step, name, where = make(args)
    figures = timed(step, pictures(args.source, args.pictures, args.people))
    report({"name": name, "device": where, **figures})


def _livepose(args: argparse.Namespace) -> tuple[Step, str, str]:
    from livepose.cli import few_arenas, spin_less

    spin_less()
    few_arenas()
    from livepose.engine import device
    from livepose.engine.building import build
    from livepose.engine.loading import Choice
    from livepose.engine.settings import EngineSettings
    from livepose.frames import Frame
    from livepose.timing.timeline import Timeline, now_ns

    device.set_cpu_threads(args.threads)
    placement = device.choose(args.device, args.precision)
    settings = EngineSettings(people=args.people)
    choice = Choice.of(args.model, args.backend)
    predict, note = build(choice, placement, settings)
    if note:
        raise SystemExit(note)

    def step(image: np.ndarray, time_s: float) -> Seen:
        frame = Frame(0, image, Timeline(now_ns()), media_s=time_s)
        people, spent = len(predict(frame).poses), frame.timeline.ms()
        if placement.device.type != "cuda":
            return Seen(people)
        # On a GPU both come from events; a graph does not tell one from the other.
        return Seen(people, spent.get("forward", 0.0) + spent.get("decode", 0.0))

    backend = predict.backend
    name = f"livepose {choice.name} ({backend.name}, {backend.precision})"
    return step, name, placement.device_name


def _movenet(args: argparse.Namespace) -> tuple[Step, str, str]:
    """MoveNet as its makers use it: the next picture is cut about the pose of the last one."""
    from livepose.crop import Square, cut, whole
    from livepose.models.movenet import MoveNet
    from livepose.models.movenet_runtime import compiled

    net = MoveNet.load(args.model, args.weights)
    run, size = compiled(net), net.input_size
    square: Square | None = None

    def step(image: np.ndarray, time_s: float) -> Seen:
        nonlocal square
        look = square or whole(image.shape[1], image.shape[0])
        xy, score = run(cut(image, look, size))
        sure = score > 0.2
        if sure.sum() < 5:
            square = None
            return Seen(0)
        points = look.to_picture(xy)[sure]
        low, high = points.min(0), points.max(0)
        middle = (low + high) / 2
        square = Square(float(middle[0]), float(middle[1]), float((high - low).max()) * 1.4)
        return Seen(1)

    return step, f"movenet {args.model} (openvino)", "CPU"


def _mediapipe(args: argparse.Namespace) -> tuple[Step, str, str]:
    """MediaPipe Pose Full in its tracking mode, one person."""
    import mediapipe

    from livepose.cv import cv2

    pose = mediapipe.solutions.pose.Pose(model_complexity=1)

    def step(image: np.ndarray, time_s: float) -> Seen:
        found = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        return Seen(int(found.pose_landmarks is not None))

    return step, "mediapipe pose full", "CPU"


if __name__ == "__main__":
    main()
