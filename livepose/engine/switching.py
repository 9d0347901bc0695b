"""Which networks run: how others become ready beside them and take over.

One network runs live, another one may look at the same pictures to be compared with. On a GPU all
of it happens on the inference thread, which compiled code and CUDA graphs want. On the CPU only the
first network is waited for; later ones become ready beside the one that works.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import torch

from livepose.engine import crowd
from livepose.engine.detector import LoadDetector, PersonDetector
from livepose.engine.device import Placement, on_cpu
from livepose.engine.loading import Choice, Loader, LoadModel, Ready
from livepose.engine.predictor import Predictor
from livepose.engine.settings import EngineSettings
from livepose.frames import Event, first_line
from livepose.models.networks import PoseNetwork
from livepose.models.store import WeightsError

# What a network is for: the live picture, or a comparison. For n people and more there are smaller
# squares: n is the role of the live network's, -n of the other one's.
LIVE, RIVAL = 0, -1


class Networks:
    """`use`, `compare` and all properties are for any thread, the rest for the inference thread.

    choice: what runs, and wished: what was asked for last (torch may stand in until it is ready).
    note: why it does not run as was hoped for. live, rival: follow people with it, and with what
    it is compared with.

    Args:
        on_event: told of networks that run, and of those that cannot.
        instead: MODEL[@SIZE] to go over to, one after the other, where those before do not keep up
            with the pictures; until `use` says what is wanted.
        on_change: called when another network than the first one has taken over.
    """

    def __init__(
        self, first: Choice, placement: Placement, load: LoadModel, load_detector: LoadDetector,
        on_event: Callable[[Event], None], on_change: Callable[[], None],
        instead: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.placement = placement
        self.choice = self.wished = first
        self.note = ""
        self.device_name, self.precision = placement.device_name, placement.precision_name
        self.live: Predictor | None = None
        self.rival: Predictor | None = None
        self._loader, self._load_detector = Loader(load), load_detector
        self._on_event, self._on_change = on_event, on_change
        # What shall be made ready, by role, what is under way, and what is ready.
        self._lock = threading.RLock()
        self._wanted: list[tuple[int, Choice]] = [(LIVE, first)]
        self._under_way: int | None = None
        self._ready: tuple[int, Ready] | None = None
        self._rival_wished: Choice | None = None
        self._running: dict[int, Ready] = {}  # of the roles LIVE and RIVAL
        self._smaller: set[int] = set()  # roles that have been asked for
        self._asked = False  # for another network than the first one
        self._instead = tuple(instead)
        self._missed = 0.0  # the share of pictures for which another network takes over

    @property
    def running(self) -> Choice:
        """`choice` with the backend and precision that it has led to."""
        live = self.live
        if live is None:
            return self.choice
        return replace(self.choice, backend=live.backend.name, precision=live.backend.precision)

    @property
    def loading(self) -> bool:
        """Whether another network was asked for that does not run yet, and perhaps never will."""
        with self._lock:
            return self._under_way == LIVE or any(role == LIVE for role, _ in self._wanted)

    @property
    def settled(self) -> bool:
        """Whether nothing becomes ready beside what runs."""
        with self._lock:
            return self._under_way is None and not self._wanted

    @property
    def network(self) -> PoseNetwork | None:
        """The live one in torch, to look into."""
        ready = self._running.get(LIVE)
        return None if ready is None else ready.net

    @property
    def size(self) -> int | None:
        """Pixels of the live one's squares."""
        return None if self.live is None else self.live.backend.size

    @property
    def threads(self) -> int:
        """That the live one uses on the CPU, 0 on a GPU."""
        if self.placement.device.type != "cpu":
            return 0
        return self.choice.threads or torch.get_num_threads()

    def use(self, choice: Choice) -> None:
        """Goes over to another network; the old one works until it is ready, and on if it fails."""
        with self._lock:
            self.wished, self._asked = choice, True
            self._instead, self._missed = (), 0.0
            self._want(LIVE, choice)

    def give_way(self, missed: float) -> None:
        """The live one misses so large a share of the pictures: goes over to the next of those that
        shall run instead, if there is one left.
        """
        with self._lock:
            if self._instead:
                name, *rest = self._instead
                there = Choice.of(name)
                self.use(replace(self.wished, model=there.model, size=there.size))
                self._instead, self._missed = tuple(rest), missed

    def compare(self, choice: Choice | None) -> None:
        """Another network shall look at the same pictures; None: no more."""
        self._rival_wished = choice
        if choice is not None:
            self._want(RIVAL, choice)
            return
        with self._lock:
            self._wanted = [w for w in self._wanted if w[0] >= LIVE]
        self._on_change()

    def advance(self, settings: EngineSettings) -> None:
        """Takes over what is ready, and begins what is wanted next."""
        if self.rival is not None and self._running[RIVAL].choice != self._rival_wished:
            self.rival = None
        if self._ready is not None:
            (role, ready), self._ready = self._ready, None
            if role == LIVE:
                self._swap(ready, settings)
            elif role == RIVAL:
                self._swap_rival(ready)
            else:
                self._take_smaller(role, ready)
            self._under_way = None
        self._want_smaller(settings.people)
        if self._under_way is not None:
            return
        with self._lock:
            # The others follow once the live one runs.
            now = [w for w in self._wanted if w[0] == LIVE or self.live is not None]
            if not now:
                return
            wanted = now[0]
            self._wanted.remove(wanted)
            self._under_way = wanted[0]
        kept = False
        with suppress(Exception):  # `_prepare` will say what is wrong
            kept = self._loader.is_ready(wanted[1], self.placement)
        if kept or self.live is None or self.placement.device.type != "cpu":
            self._prepare(*(wanted if kept else self._soonest(*wanted)), beside=False)
            if self._ready is not None:
                self.advance(settings)
        else:
            threading.Thread(
                target=self._prepare, args=wanted, name="inference-load", daemon=True
            ).start()

    def expect(self, shape: tuple[int, ...]) -> None:
        """What becomes ready from now on shall be ready for pictures of this shape."""
        self._loader.shape = shape

    def fall_back(self, reason: str) -> None:
        """To the CPU: nothing that was ready can be used there, all is wanted anew."""
        self.placement = on_cpu(reason, self.placement)
        self._loader.forget()
        self.live = self.rival = None
        self._want(LIVE, self.wished)
        if self._rival_wished is not None:
            self._want(RIVAL, self._rival_wished)
        self._emit(
            "warning", "fallback", f"{reason[0].upper()}{reason[1:]}: running on the CPU now."
        )

    def _want(self, role: int, choice: Choice) -> None:
        """The newest wish counts."""
        with self._lock:
            self._wanted = [*(w for w in self._wanted if w[0] != role), (role, choice)]

    def _emit(self, level: str, kind: str, message: str) -> None:
        self._on_event(Event("engine", level, kind, message))

    # Becoming ready

    def _soonest(self, role: int, wanted: Choice) -> tuple[int, Choice]:
        """What can run at once; what is wanted becomes ready beside it."""
        with suppress(Exception):  # `_prepare` will say what is wrong
            now = self._loader.at_once(wanted, self.placement)
            if now != wanted:
                self._want(role, wanted)
            return role, now
        return role, wanted

    def _prepare(self, role: int, wanted: Choice, beside: bool = True) -> None:
        try:
            self._ready = (role, self._loader(wanted, self.placement, beside))
            return
        except (WeightsError, OSError) as error:
            problem = f"{error}"
        except Exception as error:  # torch.cuda.OutOfMemoryError, a kernel that is missing, ...
            problem = f"{wanted.model} cannot run ({first_line(error)}); choose another model."
            if role == LIVE and self.placement.device.type != "cpu":
                self.fall_back(f"{wanted.model} does not run on the GPU ({first_line(error)})")
                self._under_way = None
                return
        self._under_way = None
        self._emit("error", "model" if role >= LIVE else "compare", problem)

    # Taking over

    def _swap(self, ready: Ready, settings: EngineSettings) -> None:
        before, self.choice = self.choice.name, ready.choice
        self.note, self._running[LIVE] = ready.note, ready
        self._smaller = {role for role in self._smaller if role < 0}
        self.precision, self.device_name = ready.backend.precision, ready.device_name
        model = ready.choice.model
        if self.live is None:
            self.live = Predictor(
                ready.backend, model, ready.device_name, self._detector(settings), settings
            )
        else:  # whoever is followed stays followed
            self.live.use(ready.backend, model, ready.device_name)
        if self._asked:  # else a file that has ended would get a picture too many
            self._on_change()
        where = f"{self.device_name}, {self.precision}"
        self._emit("info", "model", f"{self.choice.name} runs on {where}.")
        with self._lock:
            missed, self._missed = self._missed, 0.0
        if missed:
            self._emit("warning", "gave-way", f"{before} missed {100 * missed:.0f} % of the "
                       f"pictures, so {self.choice.name} runs now, with less lag. A model that "
                       "you choose stays.")  # fmt: skip

    def _swap_rival(self, ready: Ready) -> None:
        if self.live is None or ready.choice != self._rival_wished:
            return
        model = ready.choice.model
        self.rival = Predictor(ready.backend, model, ready.device_name, self.live.detector)
        self.rival.join(self.live)
        self._running[RIVAL] = ready
        self._smaller = {role for role in self._smaller if role > 0}
        self._on_change()
        where = f"{ready.device_name}, {ready.backend.precision}"
        self._emit("info", "model", f"Compared with {model} on {where}.")

    def _detector(self, settings: EngineSettings) -> PersonDetector | None:
        try:
            return PersonDetector.ready(self._load_detector, self.placement)
        except WeightsError as error:
            if settings.people > 1:
                self._emit("warning", "detector", f"Only one person can be followed: {error}.")
        except Exception as error:  # one person can be followed without it, by whatever runs
            self._emit("error", "detector", "Only one person can be followed: the detector does "
                       f"not run on {self.device_name} ({first_line(error)}).")  # fmt: skip
        return None

    # Smaller squares for several people

    def _want_smaller(self, people: int) -> None:
        """On the CPU, several people are looked at in smaller squares. They come once in use."""
        for sign, predictor, ready in self._both():
            if predictor.detector is None:
                continue
            wanted = crowd.choices(ready.choice, ready.net.config, people, self.placement)
            for least, choice in wanted.items():
                if sign * least not in self._smaller:
                    self._smaller.add(sign * least)
                    self._want(sign * least, choice)

    def _take_smaller(self, role: int, small: Ready) -> None:
        """Unless another network has come meanwhile."""
        for sign, predictor, ready in self._both():
            same = replace(small.choice, size=ready.choice.size, squares=ready.choice.squares)
            if sign * role > 0 and same == ready.choice:
                predictor.smaller[abs(role)] = small.backend

    def _both(self) -> Iterator[tuple[int, Predictor, Ready]]:
        """The live one and the one that it is compared with, with the sign of their roles."""
        for sign, role, predictor in ((1, LIVE, self.live), (-1, RIVAL, self.rival)):
            if predictor is not None:
                yield sign, predictor, self._running[role]
