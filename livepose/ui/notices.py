"""What the user should know right now, and when it is over (no Qt)."""

from __future__ import annotations

from dataclasses import dataclass

from livepose.frames import Event, Frame

_RANK = {"info": 0, "warning": 1, "error": 2}
# True as long as the program runs or until the user acts; frames that flow do not end them.
_LASTING = {"no-camera", "fallback"}
# Over as soon as a frame comes.
_UNTIL_FRAME = {"stalled", "stall", "unplugged", "lost", "ended", "reconnecting"}


@dataclass(frozen=True)
class Notice:
    """lasts_s: how long to show it if nothing else ends it (None: until it is over)."""

    event: Event
    lasts_s: float | None = None


class Notices:
    """The notices in force, one for each origin and kind; `current` is the one to show."""

    def __init__(self) -> None:
        self._active: dict[tuple[str, str], Notice] = {}
        self._last_frame: tuple[str, int] | None = None

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
        if event.level not in _RANK:
            event = Event(event.origin, "error", event.kind, event.message)
        if event.level == "info":
            self._drop(lambda e: e.origin == event.origin and e.kind not in _LASTING)
        key = (event.origin, event.kind)
        self._active.pop(key, None)
        if event.message:
            lasts = 5.0 if event.level == "info" and event.kind not in _LASTING else None
            self._active[key] = Notice(event, lasts)

    def frame(self, frame: Frame) -> bool:
        """A frame came: ends what it disproves. True if that changed anything."""
        before, self._last_frame = self._last_frame, (frame.source, frame.id)
        if not self._active:
            return False
        reopened = before is None or before[0] != frame.source or frame.id < before[1]
        return self._drop(
            lambda e: e.origin == "capture"
            and e.level != "info"
            and e.kind not in _LASTING
            and (reopened or e.kind in _UNTIL_FRAME)
        )

    def source_chosen(self) -> None:
        """The user picked another source: what was said about the last one is history."""
        self._drop(lambda e: e.origin == "capture")

    def dismiss(self) -> None:
        """The user closed the one that is shown."""
        shown = self.current
        if shown is not None:
            del self._active[(shown.event.origin, shown.event.kind)]

    def _drop(self, over) -> bool:  # type: ignore[no-untyped-def]
        kept = {key: n for key, n in self._active.items() if not over(n.event)}
        changed = len(kept) != len(self._active)
        self._active = kept
        return changed
