"""What the user should know right now, and when it is over (no Qt)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from livepose.frames import Event, Frame
from livepose.timing.timeline import now_ns

_RANK = {"info": 0, "warning": 1, "error": 2}
# There are no pictures: over with the first one that was taken afterwards.
_NO_PICTURES = {"stalled", "unplugged", "retry", "failed", "ended"}
# True until the user acts or the matter is settled, however many pictures come.
_LASTING = {"no-camera", "fallback", "model", "exception"}
# Good news are no answer to these.
_UNSETTLED = {"no-camera", "fallback"}
_INFO_S, _TROUBLE_S = 4.0, 8.0


@dataclass(frozen=True)
class Notice:
    """lasts_s: how long to show it if nothing else ends it (None: until it is over)."""

    event: Event
    at_ns: int
    lasts_s: float | None


class Notices:
    """The notices in force, one for each origin and kind; `current` is the one to show."""

    def __init__(self) -> None:
        self._active: dict[tuple[str, str], Notice] = {}

    @property
    def current(self) -> Notice | None:
        """The most severe one, the newest among equals."""
        best: Notice | None = None
        for notice in self._active.values():
            if best is None or _RANK[notice.event.level] >= _RANK[best.event.level]:
                best = notice
        return best

    def add(self, event: Event) -> None:
        """A new event; good news of an origin end its bad news."""
        if event.level == "info":
            self._drop(lambda n: n.event.origin == event.origin and n.event.kind not in _UNSETTLED)
        key = (event.origin, event.kind)
        self._active.pop(key, None)
        if event.kind in _NO_PICTURES or (event.kind in _LASTING and event.level != "info"):
            lasts = None
        else:
            lasts = _INFO_S if event.level == "info" else _TROUBLE_S
        self._active[key] = Notice(event, now_ns(), lasts)

    def frame(self, frame: Frame) -> bool:
        """A picture came: ends what it disproves. True if that changed anything."""
        if not self._active:
            return False
        taken = frame.timeline.start_ns
        # What was still in the pipe when the camera was unplugged disproves nothing.
        return self._drop(lambda n: n.event.kind in _NO_PICTURES and taken > n.at_ns)

    def source_chosen(self) -> None:
        """The user picked another source: what was said about the last one is history."""
        self._drop(lambda n: n.event.origin == "capture")

    def dismiss(self) -> None:
        """The user closed the one that is shown, or its time was up."""
        shown = self.current
        if shown is not None:
            del self._active[(shown.event.origin, shown.event.kind)]

    def _drop(self, over: Callable[[Notice], bool]) -> bool:
        kept = {key: notice for key, notice in self._active.items() if not over(notice)}
        changed = len(kept) != len(self._active)
        self._active = kept
        return changed
