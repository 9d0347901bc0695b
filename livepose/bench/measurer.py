"""Measures points of the explorer in a process of its own, beside the live view or alone.

The process (`livepose.bench.explore_worker`) may crash, hang or be killed: the point under way
fails then, and another process goes on with the next.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from livepose.bench.explore import Point
from livepose.engine.turns import Turns

WORKER = (sys.executable, "-m", "livepose.bench.explore_worker")
_START_S = 120.0  # until the first point begins: everything is imported
_TURN_S = 1.0  # the live view waits no longer, however slow a pass is


@dataclass(frozen=True, slots=True)
class DataSet:
    """Labelled pictures to measure accuracy on.

    reader: of `livepose.data.readers`. limit: so many pictures, evenly spread.
    """

    reader: str
    root: Path
    split: str
    limit: int

    @property
    def name(self) -> str:
        return f"{self.reader} {self.split}"


class Measurer:
    """Measures the times of points, or with `data` their accuracy (once for each network).

    Args:
        on_point: called with each point as it is known now, on a thread of the measurer.
        on_end: called last, with "" or what went wrong; after `cancel` too.
        on_progress: called with the part that is done, 0 to 1.
        turns: of the session that runs meanwhile: one batch of passes for each of its frames.
        limit_s: between two signs of life; a point that takes longer fails.
    """

    def __init__(
        self, found: Sequence[Point], on_point: Callable[[Point], None],
        on_end: Callable[[str], None], *, data: DataSet | None = None, turns: Turns | None = None,
        on_progress: Callable[[float], None] = lambda done: None, limit_s: float = 300.0,
    ) -> None:  # fmt: skip
        if data is not None:  # the first of each: the others compute the same
            found = list({p.network: p for p in reversed(found)}.values())[::-1]
        # The models' own sizes first: they are what most people want to know.
        self._left, self._number = sorted(found, key=lambda p: not p.native), len(found)
        self._on_point, self._on_end, self._on_progress = on_point, on_end, on_progress
        self._data, self._turns, self._limit_s = data, turns, limit_s
        self._cancelled, self._failed = False, ""
        self._process: _Process | None = None
        self._thread = threading.Thread(target=self._run, name="explorer", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ends it; what was measured stays measured."""
        self._cancelled = True
        if self._process is not None:
            self._process.kill()

    def wait(self, timeout_s: float | None = None) -> bool:
        """True once it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        problem = "measuring ended early"
        try:
            while self._left and not self._cancelled:
                self._run_process()
            problem = self._failed
        except (OSError, _NotBegunError) as error:
            problem += f": {error}"
        finally:
            self._on_end("" if self._cancelled else problem)

    def _run_process(self) -> None:
        """Measures what is left, until one process ends."""
        data = self._data and {**asdict(self._data), "root": str(self._data.root)}
        request = {"points": [asdict(p) for p in self._left], "turns": self._turns is not None,
                   "data": data}  # fmt: skip
        self._process = process = _Process(json.dumps(request))
        if self._cancelled:  # before there was a process
            process.kill()
        begun, limit_s, why = False, _START_S, ""
        try:
            while self._left and (row := process.row(limit_s)) is not None:
                limit_s = self._limit_s
                if "turn" in row:
                    self._give_turn(process)
                elif "part" in row:
                    self._tell(row["part"])
                elif "begins" in row:
                    begun = True
                elif "result" in row:
                    self._finish(row["result"])
                    begun = False
        except TimeoutError:
            why = f"nothing came for {limit_s:.0f} s"
        finally:
            process.end()
        if self._left and not self._cancelled:
            why = why or process.last_words()
            if not begun:  # the next process would not, either
                raise _NotBegunError(why)
            self._finish({"problem": why})

    def _give_turn(self, process: _Process) -> None:
        assert self._turns is not None
        with self._turns, suppress(TimeoutError):
            process.tell("go")
            process.row(_TURN_S)

    def _finish(self, known: Mapping[str, Any]) -> None:
        """The point that was under way has a result, or a problem."""
        point = self._left.pop(0)
        if self._data is None:
            date, beside = datetime.date.today().isoformat(), self._turns is not None
            self._on_point(replace(point, date=date, beside=beside,
                                   **{"ms": None, "problem": "", **known}))  # fmt: skip
        elif "problem" in known:
            self._failed = f"no accuracy of {point.key}: {known['problem']}"
        else:
            self._on_point(replace(point, data=self._data.name, **known))
        self._tell(0)

    def _tell(self, part: float) -> None:
        self._on_progress((self._number - len(self._left) + part) / self._number)


class _NotBegunError(Exception):
    """The process ended before it began a point; the message says why."""


class _Process:
    """The worker's process: it takes lines and gives rows of JSON."""

    def __init__(self, request: str) -> None:
        self._popen = subprocess.Popen(
            WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self._rows: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._said: deque[str] = deque(maxlen=1)
        self._readers = [threading.Thread(target=read, daemon=True)
                         for read in (self._read_rows, self._read_errors)]  # fmt: skip
        for reader in self._readers:
            reader.start()
        self.tell(request)

    def tell(self, line: str) -> None:
        stdin = self._popen.stdin
        assert stdin is not None
        with suppress(OSError):  # it has ended, as `row` will say
            stdin.write(line + "\n")
            stdin.flush()

    def row(self, timeout_s: float) -> dict[str, Any] | None:
        """The next row, None once the process has ended; raises TimeoutError."""
        try:
            row = self._rows.get(timeout=timeout_s)
        except Empty:
            raise TimeoutError from None
        if row is None:
            self._rows.put(None)  # for whoever asks again
        return row

    def last_words(self) -> str:
        """The last line of its errors, or how it ended. It has ended."""
        for reader in self._readers:
            reader.join(1)
        return next((line for line in self._said), f"status {self._popen.wait()}")

    def kill(self) -> None:
        self._popen.kill()

    def end(self) -> None:
        self.kill()
        self._popen.wait()

    def _read_rows(self) -> None:
        for line in _lines(self._popen.stdout):
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict):  # and not something that a library has printed
                    self._rows.put(row)
        self._rows.put(None)

    def _read_errors(self) -> None:
        self._said.extend(line.strip() for line in _lines(self._popen.stderr) if line.strip())


def _lines(stream: IO[str] | None) -> Iterator[str]:
    assert stream is not None
    with stream:
        yield from stream
