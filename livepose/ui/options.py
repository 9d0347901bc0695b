"""What the window needs to know to start, and what it needs a session to be able to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from livepose.engine.loading import Choice
from livepose.engine.probing import Probe
from livepose.engine.settings import EngineSettings
from livepose.engine.turns import Turns
from livepose.frames import Event, Result

if TYPE_CHECKING:
    from livepose.models.networks import PoseNetwork
    from livepose.timing.stats import Stats


class SessionLike(Protocol):
    """The part of `livepose.engine.session.Session` that the window uses."""

    want_heatmaps: bool
    settings: EngineSettings
    probe: Probe | None

    @property
    def paused(self) -> bool: ...
    @property
    def source(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def models(self) -> list[str]: ...
    def start(self) -> None: ...
    def stop(self, timeout_s: float = 3.0) -> bool: ...
    def open(self, source: str) -> None: ...
    @property
    def choice(self) -> Choice: ...
    @property
    def size(self) -> int | None: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def network(self) -> PoseNetwork | None: ...
    @property
    def loading(self) -> bool: ...
    def use(self, choice: str | Choice) -> None: ...
    def compare(self, choice: Choice | None) -> None: ...
    def redo(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def step(self) -> None: ...
    def painted(self, result: Result) -> None: ...
    def stats(self) -> Stats: ...
    def sources(self) -> list[tuple[str, str]]: ...


SessionFactory = Callable[[Callable[[Result], None], Callable[[Event], None]], SessionLike]


@dataclass(frozen=True)
class AppOptions:
    """Options of the window; what is None is taken from the last time or from the machine.

    session_factory: makes the session from its two callbacks (called on worker threads).
    device: as asked for; the session decides what it gets.
    theme: ``"system"``, ``"light"`` or ``"dark"``. settings: an ini file in place of the user's
    settings. samples: multisampling of the 3D view (None: 4 on a GPU, 0 in software).
    """

    session_factory: SessionFactory
    device: str = "auto"
    mirror: bool | None = None
    size: tuple[int, int] | None = None
    theme: str | None = None
    settings: str | None = None
    samples: int | None = None
