"""``livepose run``: the app where there is a display, else the same pipeline headless."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from livepose import resources
from livepose.capture import CaptureOptions
from livepose.engine import headless
from livepose.engine.backends import BACKENDS
from livepose.engine.device import PRECISIONS, DeviceError, set_cpu_threads
from livepose.engine.loading import Choice
from livepose.engine.session import DEFAULT_MODEL, INSTEAD, Session
from livepose.engine.settings import EngineSettings
from livepose.engine.smoothing import Smoothing
from livepose.engine.steady import View
from livepose.frames import Event, Result
from livepose.models.store import WeightsError
from livepose.timing.report import as_text, write_json

DEFAULTS = EngineSettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    capture = parser.add_argument_group("capture")
    capture.add_argument(
        "--source",
        help="0 (a camera), a file, a folder of images, a URL, or synthetic (default: the first "
        "camera, or the bundled clip without one)",
    )
    capture.add_argument("--size", type=_size, help="ask the camera for WIDTHxHEIGHT")
    capture.add_argument("--fps", type=float, help="ask the camera for this rate")
    capture.add_argument("--fourcc", help="ask the camera for this pixel format (default: MJPG)")
    capture.add_argument("--loop", action=argparse.BooleanOptionalAction,
                         help="begin files again at their end (default: in the app)")  # fmt: skip
    capture.add_argument("--mirror", action=argparse.BooleanOptionalAction,
                         help="show the picture as in a mirror")  # fmt: skip

    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--model",
        metavar="MODEL[@SIZE]",
        help="name or .safetensors file; lite@160 looks at squares of 160 pixels: faster "
        f"(default: {DEFAULT_MODEL}, and in the window, where that does not keep up with the "
        f"pictures, {', '.join(INSTEAD)})",
    )
    engine.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    engine.add_argument("--precision", default="auto", choices=("auto", *PRECISIONS))
    engine.add_argument("--backend", default="auto", choices=BACKENDS, help="what runs the network")
    engine.add_argument("--threads", type=int, help="CPU threads for the network (default: one "
                        "a core, but of four cores and more one is left to painting)")  # fmt: skip

    add_people(parser)

    report = parser.add_argument_group("headless")
    report.add_argument("--headless", action="store_true", help="no window, also with a display")
    report.add_argument("--frames", type=int, help="stop after so many frames")
    report.add_argument("--seconds", type=float, help="stop after so long")
    report.add_argument(
        "--every-frame",
        action="store_true",
        help="process every frame of a file as fast as it goes, not in real time",
    )
    report.add_argument("--json", type=Path, help="latency report to write")
    report.add_argument("--video", type=Path, help="annotated video to write (.mp4)")
    report.add_argument(
        "--trace", type=Path, help="trace of all stages to write (Perfetto, Chrome)"
    )


def add_people(parser: argparse.ArgumentParser) -> None:
    """Arguments for `settings_of`."""
    people = parser.add_argument_group("people")
    people.add_argument("--people", type=int, default=DEFAULTS.people,
                        help="follow so many at the same time, 1 to 10")  # fmt: skip
    people.add_argument("--fov", type=float, default=DEFAULTS.view.fov, metavar="DEGREES",
                        help="field of view of the camera across the longer side")  # fmt: skip
    people.add_argument("--height", type=float, default=DEFAULTS.view.height, metavar="METRES",
                        help="of a standing person, for distances")  # fmt: skip
    people.add_argument("--smooth", action=argparse.BooleanOptionalAction, default=True,
                        help="steady joints, bones that keep their lengths")  # fmt: skip
    people.add_argument("--predict", action="store_true",
                        help="show joints as they will be when they are seen")  # fmt: skip


def settings_of(args: argparse.Namespace) -> EngineSettings:
    """Raises ValueError where they mean nothing."""
    return EngineSettings(
        people=args.people, view=View(args.fov, args.height),
        smoothing=Smoothing(on=args.smooth, predict=args.predict),
    )  # fmt: skip


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, e.g. 1280x720") from None
    return width, height


def main(args: argparse.Namespace) -> int:
    try:
        Choice.of(args.model or DEFAULT_MODEL).check()  # before any window opens
        options = _capture_options(args)
        args.settings = settings_of(args)
    except (WeightsError, ValueError) as error:
        print(f"livepose: {error}", file=sys.stderr)
        return 2
    set_cpu_threads(args.threads)
    if not args.headless:
        from livepose.ui.display import display_problem

        problem = display_problem()
        if not problem:
            return _window(args, options)
        print(f"livepose: {problem}; running headless.", file=sys.stderr)
        return _headless(_without_display(args), options)
    return _headless(args, options)


def _capture_options(args: argparse.Namespace) -> CaptureOptions:
    options = CaptureOptions(realtime=not args.every_frame, loop=bool(args.loop))
    if args.size:
        options = replace(options, width=args.size[0], height=args.size[1])
    if args.fps:
        options = replace(options, fps=args.fps)
    if args.fourcc:
        options = replace(options, fourcc=args.fourcc)
    return options


def _without_display(args: argparse.Namespace) -> argparse.Namespace:
    """Without a display there is nothing to look at: files are written instead."""
    args.source = args.source or str(resources.CLIP)
    args.video = args.video or Path("livepose.mp4")
    args.json = args.json or Path("livepose.json")
    return args


def _factory(
    args: argparse.Namespace, options: CaptureOptions, *, window: int | None
) -> Callable[[Callable[[Result], None], Callable[[Event], None]], Session]:
    def make(on_result: Callable[[Result], None], on_event: Callable[[Event], None]) -> Session:
        return Session(
            args.source, args.model, options=options, device=args.device,
            precision=args.precision, on_result=on_result, on_event=on_event,
            lossless=args.every_frame, window=window, settings=args.settings,
            backend=args.backend,
        )  # fmt: skip

    return make


def _headless(args: argparse.Namespace, options: CaptureOptions) -> int:
    args.model = args.model or DEFAULT_MODEL  # figures are of one network
    wanted = headless.HeadlessOptions(
        args.frames, args.seconds, args.video, args.trace, bool(args.mirror)
    )
    try:
        figures = headless.run(_factory(args, options, window=None), wanted)
    except (headless.HeadlessError, DeviceError) as error:
        print(f"livepose: {error}", file=sys.stderr)
        return 2
    if args.json:
        write_json(args.json, figures)
    print(as_text(figures))
    for file in (args.video, args.json, args.trace):
        if file:
            print(f"wrote {file}")
    return 0


def _window(args: argparse.Namespace, options: CaptureOptions) -> int:
    from livepose.ui.app import run_app
    from livepose.ui.options import AppOptions

    loop = True if args.loop is None else args.loop
    try:
        return run_app(
            AppOptions(
                session_factory=_factory(args, replace(options, loop=loop), window=150),
                device=args.device,
                mirror=args.mirror,
            )
        )
    except DeviceError as error:
        print(f"livepose: {error}", file=sys.stderr)
        return 2
