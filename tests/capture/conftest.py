from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from livepose.capture import CaptureOptions

from .fakes import FAST, Run, StuckSource, write_video


@pytest.fixture
def capture() -> Iterator[Callable[..., Run]]:
    """Starts capture threads with short times, and stops them after the test."""
    runs: list[Run] = []

    def begin(
        source: Any, options: CaptureOptions = FAST, lossless: bool = False, start: bool = True
    ) -> Run:
        run = Run(source, options, lossless)
        runs.append(run)
        if start:
            run.thread.start()
        return run

    yield begin
    while StuckSource.made:
        StuckSource.made.pop().let_go.set()
    for run in runs:
        run.thread.stop(0.5)


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "video.avi", **kwargs: Any) -> Path:
        return write_video(tmp_path / name, **kwargs)

    return make
