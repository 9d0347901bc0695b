"""What the user may change while the engine runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from livepose.engine.smoothing import Smoothing
from livepose.engine.steady import View
from livepose.engine.tracking import MOST


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """people: followed at the same time, 1 to `MOST`. detect_every: pictures between two looks
    for new people, while there is room for more.
    """

    people: int = 1
    detect_every: int = 10
    smoothing: Smoothing = field(default_factory=Smoothing)
    view: View = field(default_factory=View)

    def __post_init__(self) -> None:
        if not 1 <= self.people <= MOST:
            raise ValueError(f"people must be 1 to {MOST}: {self.people}")
        if self.detect_every < 1:
            raise ValueError(f"detect_every must be at least 1: {self.detect_every}")
