"""The times of one frame: contiguous stages on the monotonic clock.

A stage begins where the one before it ended, so the parts add up to the whole by construction,
and a wait that nobody named cannot hide between two of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

# capture: the picture exists -> it is in memory (exposure or decoding, transfer)
# wait: in the one-slot hand-over, until inference takes it
# detect .. track: the engine (detect: looking for people; track: who is who, smoothing, metres)
# compare: the other network of a comparison, all of it
# probe: the network once more, for the answer of one unit
# handover: engine -> the UI thread begins to paint
# paint: painting
STAGES = (
    "capture", "wait", "detect", "preprocess", "upload", "forward", "decode", "download", "track",
    "compare", "probe", "handover", "paint",
)  # fmt: skip
# Before the engine's stages of a picture that is put through again while no other comes (paused):
# the time since it existed. Its age is true; as lag it would mean nothing.
HELD = "held"

now_ns = time.monotonic_ns


@dataclass(frozen=True, slots=True)
class Span:
    stage: str
    begin_ns: int
    end_ns: int

    @property
    def ms(self) -> float:
        return (self.end_ns - self.begin_ns) / 1e6


@dataclass(slots=True)
class Timeline:
    """Stages of one frame since `start_ns`, the earliest moment at which the picture existed.

    One thread at a time owns it: it travels with its frame.
    """

    start_ns: int
    spans: list[Span] = field(default_factory=list)

    @property
    def end_ns(self) -> int:
        return self.spans[-1].end_ns if self.spans else self.start_ns

    def mark(self, stage: str, at_ns: int | None = None) -> Span:
        """Ends `stage` now (or at `at_ns`); it began where the last one ended."""
        begin = self.end_ns
        span = Span(stage, begin, max(begin, now_ns() if at_ns is None else at_ns))
        self.spans.append(span)
        return span

    def mark_parts(self, parts: Sequence[tuple[str, float]], at_ns: int | None = None) -> None:
        """Ends several stages at once, their lengths in ms measured by another clock (CUDA events).

        They are laid out one behind the other from where the last stage ended, the last of them
        ends now, taking what the device's clock does not account for (the host's wait), and none
        reaches beyond now.
        """
        end = now_ns() if at_ns is None else at_ns
        for stage, ms in parts[:-1]:
            self.mark(stage, min(end, self.end_ns + round(ms * 1e6)))
        if parts:
            self.mark(parts[-1][0], end)

    def ms(self) -> dict[str, float]:
        """Milliseconds by stage (a stage marked twice is summed)."""
        out: dict[str, float] = {}
        for span in self.spans:
            out[span.stage] = out.get(span.stage, 0.0) + span.ms
        return out

    @property
    def held(self) -> bool:
        """Whether the picture was put through again, see `HELD`."""
        return any(span.stage == HELD for span in self.spans)

    @property
    def total_ms(self) -> float:
        return (self.end_ns - self.start_ns) / 1e6
