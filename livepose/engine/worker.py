"""The inference thread: newest frame in, result out, whatever fails in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch

from livepose.capture import Slot
from livepose.engine.backends import takes_sizes
from livepose.engine.crowd import smaller
from livepose.engine.detector import PersonDetector
from livepose.engine.device import Placement, on_cpu
from livepose.engine.loading import Choice, Loader, LoadModel, Ready
from livepose.engine.predictor import Predictor
from livepose.engine.probing import Probe, probed
from livepose.engine.settings import EngineSettings
from livepose.frames import Event, Frame, Result
from livepose.models.detector import PersonNet
from livepose.models.networks import PoseNetwork
from livepose.models.store import WeightsError, load_detector, load_model
from livepose.timing.stats import Rate
from livepose.timing.timeline import Timeline, now_ns

# So many failures in a row on a GPU, and the CPU takes over.
GIVE_UP_AFTER = 3
_QUIET_S = 2.0
_LIVE, _RIVAL = 0, -1

LoadDetector = Callable[[], PersonNet]


def _load(model: str) -> PoseNetwork:
    return load_model(model)[0]


class InferenceThread:
    """Takes frames from the slot and delivers results; callbacks come on its own thread.

    Args:
        deliver: called with each result.
        on_event: told of models loaded, fall-backs, and failures (the thread goes on).
        load: from a model's name to its network. load_detector: the network that finds people.
        backend: see `livepose.engine.backends`.
    """

    def __init__(
        self,
        slot: Slot[Frame],
        model: str,
        placement: Placement,
        deliver: Callable[[Result], None],
        on_event: Callable[[Event], None],
        load: LoadModel = _load,
        backend: str = "auto",
        load_detector: LoadDetector = load_detector,
    ) -> None:
        self.placement = placement
        # What runs, and what was asked for last: torch may stand in until that is ready.
        self.choice = self.wished = Choice(model, backend)
        self.backend_note = ""
        self._load_detector = load_detector
        self.device_name, self.precision = placement.device_name, placement.precision_name
        self.want_heatmaps = False
        self.settings = EngineSettings()
        self.ahead_s = 0.0  # from a picture to its painting
        self.probe: Probe | None = None  # the unit whose answer is wanted
        self.rate = Rate()
        self.failures = 0  # in a row
        self._slot, self._deliver, self._on_event = slot, deliver, on_event
        self._loader = Loader(load)
        self._predictor: Predictor | None = None
        # What shall be made ready, and what is. Role: _LIVE, _RIVAL, or from so many people on.
        self._wanted: list[tuple[int, Choice]] = [(_LIVE, self.choice)]
        self._ready: tuple[int, Ready] | None = None
        self._rival: Predictor | None = None
        self._smaller: set[int] = set()  # roles that have been asked for
        self._net: PoseNetwork | None = None
        self._loading: threading.Thread | None = None
        self._rival_off = True
        self._forget = False
        self._stop = threading.Event()
        self._busy = False
        self._told = -_QUIET_S
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """True if the thread has ended in time."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def threads(self) -> int:
        """That the network uses on the CPU, 0 on a GPU."""
        if self.placement.device.type != "cpu":
            return 0
        return self.choice.threads or torch.get_num_threads()

    @property
    def busy(self) -> bool:
        """Whether a frame is under way in it."""
        return self._busy

    @property
    def model(self) -> str:
        return self.choice.model

    @property
    def running(self) -> Choice:
        """`choice` with the backend and precision that it has led to."""
        ready = self._predictor
        if ready is None:
            return self.choice
        return replace(self.choice, backend=ready.backend.name, precision=ready.backend.precision)

    @property
    def network(self) -> PoseNetwork | None:
        return self._net

    @property
    def size(self) -> int | None:
        return None if self._predictor is None else self._predictor.backend.size

    def use(self, choice: Choice) -> None:
        """Goes over to another network; the old one works until it is ready, and on if it fails."""
        self.wished = choice
        self._want(_LIVE, choice)

    def compare(self, choice: Choice | None) -> None:
        """Looks at every picture with this network too (None: no more), see `Result.other`."""
        if choice is None:
            self._wanted = [w for w in self._wanted if w[0] != _RIVAL]
            self._rival_off = True
        else:
            self._rival_off = False
            self._want(_RIVAL, choice)

    def _want(self, role: int, choice: Choice) -> None:
        """The newest wish counts."""
        self._wanted = [*(w for w in self._wanted if w[0] != role), (role, choice)]

    def forget(self) -> None:
        """Nobody is followed any more: the source has changed."""
        self._forget = True

    def _emit(self, level: str, kind: str, message: str) -> None:
        self._on_event(Event("engine", level, kind, message))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._take_change()
            frame = self._slot.get(0.1)
            if frame is None:
                if self._slot.closed:
                    return
                continue
            self._busy = True
            frame.timeline.mark("wait")
            self._infer(frame)
            self._busy = False

    def _infer(self, frame: Frame) -> None:
        self._loader.shape = frame.image.shape  # what becomes ready from now on is ready for it
        predictor = self._predictor
        try:
            if predictor is None:
                # Without a model there is still a picture to show.
                result = Result(frame, (), self.model, self.device_name)
            else:
                if self._forget:
                    self._forget = False
                    predictor.forget()
                    if self._rival is not None:
                        self._rival.forget()
                predictor.settings = self.settings
                result = predictor(frame, self.want_heatmaps, self.ahead_s)
                if self._rival is not None:
                    result = self._compared(self._rival, result)
                if self.probe is not None and self._net is not None:
                    activation = probed(self._net, self.probe, result)
                    result = replace(result, activation=activation)
            self.failures = 0
        except Exception as error:
            self._failed(error)
            result = Result(frame, (), self.model, self.device_name)
        self.rate.tick()
        try:
            self._deliver(result)
        except Exception as error:
            self._quietly("deliver", f"A result could not be delivered ({error}).")

    def _compared(self, rival: Predictor, result: Result) -> Result:
        """The same picture, id and all, by the other network, on a clock of its own."""
        rival.settings = self.settings
        frame = replace(result.frame, timeline=Timeline(now_ns()))
        other = rival(frame, self.want_heatmaps, self.ahead_s)
        result.frame.timeline.mark("compare")
        return replace(result, other=other)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        if self.placement.device.type == "cuda" and self.failures >= GIVE_UP_AFTER:
            self._fall_back(f"the GPU failed {self.failures} times ({text})")
            self._want(_LIVE, self.wished)
        else:
            self._quietly(
                "stage", f"A frame could not be processed ({text}); going on with the next."
            )

    def _quietly(self, kind: str, message: str) -> None:
        """An error that may come with every frame is told every few seconds."""
        if time.monotonic() - self._told > _QUIET_S:
            self._told = time.monotonic()
            self._emit("error", kind, message)

    def _fall_back(self, reason: str) -> None:
        self.placement = on_cpu(reason, self.placement)
        self.failures = 0
        self._loader.forget()
        self._predictor = self._rival = None  # nothing of them can be used on the CPU
        self._emit(
            "warning", "fallback", f"{reason[0].upper()}{reason[1:]}: running on the CPU now."
        )

    # Going over to another network

    def _take_change(self) -> None:
        """Begins what is wanted, ends what was begun.

        On a GPU all of it happens on this thread, which compiled code and CUDA graphs want, and the
        first network is waited for. On the CPU later ones become ready beside the one that works.
        """
        if self._rival_off:
            self._rival = None
        if self._ready is not None:
            (role, ready), self._ready = self._ready, None
            if role == _LIVE:
                self._swap(ready)
            elif role == _RIVAL:
                self._swap_rival(ready)
            elif self._predictor and replace(ready.choice, size=self.choice.size) == self.choice:
                self._predictor.smaller[role] = ready.backend
        self._want_smaller()
        if not self._wanted or (self._loading is not None and self._loading.is_alive()):
            return
        wanted, *self._wanted = self._wanted
        if self._predictor is None or self.placement.device.type != "cpu":
            self._prepare(*self._soonest(*wanted), beside=False)
            if self._ready is not None:
                self._take_change()
        else:
            self._loading = threading.Thread(
                target=self._prepare, args=wanted, name="inference-load", daemon=True
            )
            self._loading.start()

    def _want_smaller(self) -> None:
        """On the CPU, several people are looked at in smaller squares. They come once in use."""
        if self._predictor is None or self._net is None or self.placement.device.type != "cpu":
            return
        config, people = self._net.config, self.settings.people
        if people == 1 or not takes_sizes(config) or self._predictor.detector is None:
            return
        for least, size in smaller(config.input_size, people).items():
            if least not in self._smaller:
                self._smaller.add(least)
                self._want(least, replace(self.choice, size=size))

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
            self._emit("error", "model", f"{error}")
            return
        except Exception as error:  # torch.cuda.OutOfMemoryError, a kernel that is missing, ...
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
        if self.placement.device.type == "cpu":
            message = f"{wanted.model} cannot run ({text}); choose another model."
            self._emit("error", "model", message)
            return
        self._fall_back(f"{wanted.model} does not run on the GPU ({text})")
        self._prepare(role, wanted, beside)

    def _swap_rival(self, ready: Ready) -> None:
        if self._rival_off or self._predictor is None:
            return
        model = ready.choice.model
        self._rival = Predictor(ready.backend, model, ready.device_name, self._predictor.detector)
        where = f"{ready.device_name}, {ready.backend.precision}"
        self._emit("info", "model", f"Compared with {model} on {where}.")

    def _swap(self, ready: Ready) -> None:
        self.choice, self.backend_note, self._net = ready.choice, ready.note, ready.net
        self._smaller.clear()
        self.precision, self.device_name = ready.backend.precision, ready.device_name
        if self._predictor is None:
            self._predictor = Predictor(
                ready.backend, self.model, self.device_name, self._detector(), self.settings
            )
        else:  # whoever is followed stays followed
            self._predictor.use(ready.backend, self.model, self.device_name)
        self._emit("info", "model", f"{self.model} runs on {self.device_name}, {self.precision}.")

    def _detector(self) -> PersonDetector | None:
        try:
            detector = PersonDetector(self._load_detector(), self.placement.floating)
        except WeightsError as error:
            if self.settings.people > 1:
                self._emit("warning", "detector", f"Only one person can be followed: {error}.")
            return None
        detector(np.zeros((720, 1280, 3), np.uint8))  # warm
        return detector
