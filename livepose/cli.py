"""The command ``livepose``: each part of the program owns its group of arguments."""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from livepose import __version__

# name -> (help, module with add_arguments and main); imported only when used, so that `--help`
# is quick and a headless run never loads Qt.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("open the app, or run the pipeline headless", "livepose.run"),
    "doctor": ("say what works on this machine, and what holds it up", "livepose.doctor"),
    "steadiness": ("measure jitter and the lag of smoothing", "livepose.bench.steadiness"),
    "following": ("count who is followed, lost, exchanged", "livepose.bench.following"),
    "explore": ("speed against accuracy of all that runs here", "livepose.bench.explore_command"),
    "compare": ("two configurations on the same frames", "livepose.bench.compare"),
    "soak": ("run the window for long, and measure what it costs", "livepose.ui.soak"),
    "bench": ("measure speed, also of other programs", "livepose.bench.command"),
    "eval": ("measure a model on a data set", "livepose.evaluate.command"),
    "train": ("train a model", "livepose.train.command"),
    "train-detector": ("train the network that finds people", "livepose.train.detector"),
    "synth": ("render labelled people for training", "livepose.synth.command"),
    "data": ("look at a data set, prepare it", "livepose.data.command"),
    "label": ("label pictures with a teacher network", "livepose.data.label"),
    "study": ("compare output strategies, or tasks, trained alike", "livepose.train.study"),
    "units": ("what makes the units of a layer answer most", "livepose.evaluate.units"),
    "calibrate": ("make a model's confidence a probability", "livepose.evaluate.calibration"),
    "quantise": ("prepare a model for int8", "livepose.evaluate.quantise"),
    "pack": ("turn a training run into weights with a card", "livepose.train.pack"),
}

_ARENA_MAX = -8  # of glibc's mallopt


def spin_less() -> None:
    """Lets the threads of a layer wait for each other with less spinning. Before torch is loaded.

    GNU OpenMP spins for long by default. As soon as another program (or our own window) wants a
    core, threads spin while the one that they wait for cannot run, and a forward pass takes several
    times as long. README.md has the figures. What the user has set is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def few_arenas() -> None:
    """Lets all threads take their memory from the same two pools. Before there are threads.

    glibc gives almost every thread a pool of its own. Pictures go from thread to thread, and pieces
    of megabytes stay behind in each pool: up to 130 MB more within minutes, in some runs. What the
    user has set is left alone.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status (2 for unusable input, with a one-line message)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # `livepose` alone, or with options only, opens the app.
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in
                         ("-h", "--help", "--version")):  # fmt: skip
        arguments.insert(0, "run")
    parser = argparse.ArgumentParser(
        prog="livepose", description="Real-time webcam pose demo; without a command: run."
    )
    parser.add_argument("--version", action="version", version=f"livepose {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    if arguments[0] in ("run", "soak", "compare"):  # training has the machine to itself
        spin_less()
        few_arenas()
    for name, (text, module) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name == arguments[0]:
            command = __import__(module, fromlist=["main"])
            command.add_arguments(sub)
            sub.set_defaults(main=command.main)
    args = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = args.main
    try:
        return run(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # piped into `head`
        return 0


def entry() -> int:
    """`main` for a process of its own: ends it even if a thread hangs in a driver or in torch.

    Such a thread was asked to end and given its time. Taking the process down around it in the
    usual way would abort it, or wait for it.
    """
    code = main()
    if any(thread.name.startswith(("capture", "inference")) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
