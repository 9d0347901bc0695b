"""The inference thread: newest frame in, result out, whatever fails in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch

from livepose.capture import Slot
from livepose.engine import backends
from livepose.engine.detector import PersonDetector
from livepose.engine.device import Placement, on_cpu
from livepose.engine.predictor import Predictor
from livepose.engine.settings import EngineSettings
from livepose.frames import Event, Frame, Result
from livepose.models.detector import PersonNet
from livepose.models.networks import PoseNetwork
from livepose.models.store import WeightsError, load_detector, load_model
from livepose.timing.stats import Rate

# So many failures in a row on a GPU, and the CPU takes over.
GIVE_UP_AFTER = 3
_QUIET_S = 2.0

LoadModel = Callable[[str], PoseNetwork]
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
        self.backend, self.backend_note = backend, ""
        self._load_detector = load_detector
        self.model = model
        self.device_name, self.precision = placement.device_name, placement.precision_name
        self.want_heatmaps = False
        self.settings = EngineSettings()
        self.ahead_s = 0.0  # from a picture to its painting
        self.rate = Rate()
        self.failures = 0  # in a row
        self._slot, self._deliver, self._on_event, self._load = slot, deliver, on_event, load
        self._predictor: Predictor | None = None
        self._wanted: str | None = model
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
        return torch.get_num_threads() if self.placement.device.type == "cpu" else 0

    @property
    def busy(self) -> bool:
        """Whether a frame is under way in it."""
        return self._busy

    def use(self, model: str) -> None:
        """Goes over to another model; the old one works on if that fails."""
        self._wanted = model

    def forget(self) -> None:
        """Nobody is followed any more: the source has changed."""
        self._forget = True

    def _emit(self, level: str, kind: str, message: str) -> None:
        self._on_event(Event("engine", level, kind, message))

    def _run(self) -> None:
        # Loading, warming up and running stay on one thread: compiled code and CUDA graphs want it.
        while not self._stop.is_set():
            if self._wanted is not None:
                wanted, self._wanted = self._wanted, None
                self._change(wanted)
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
        predictor = self._predictor
        try:
            if predictor is None:
                # Without a model there is still a picture to show.
                result = Result(frame, (), self.model, self.device_name)
            else:
                if self._forget:
                    self._forget = False
                    predictor.forget()
                predictor.settings = self.settings
                result = predictor(frame, self.want_heatmaps, self.ahead_s)
            self.failures = 0
        except Exception as error:
            self._failed(error)
            result = Result(frame, (), self.model, self.device_name)
        self.rate.tick()
        try:
            self._deliver(result)
        except Exception as error:
            self._quietly("deliver", f"A result could not be delivered ({error}).")

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        if self.placement.device.type == "cuda" and self.failures >= GIVE_UP_AFTER:
            self._fall_back(f"the GPU failed {self.failures} times ({text})")
            self._wanted = self.model
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
        self.placement = on_cpu(reason)
        self.failures = 0
        self._emit(
            "warning", "fallback", f"{reason[0].upper()}{reason[1:]}: running on the CPU now."
        )

    def _ready(self, net: PoseNetwork, model: str) -> Predictor:
        backend, self.backend_note = backends.make(net, self.placement, self.backend)
        self.precision = backend.precision
        self.device_name = self.placement.device_name
        if backend.name != "torch":
            self.device_name = self.device_name.replace(" (", f", {backend.name} (", 1)
        predictor = Predictor(backend, model, self.device_name, self._detector())
        predictor.warm_up()
        return predictor

    def _detector(self) -> PersonDetector | None:
        try:
            return PersonDetector(self._load_detector(), self.placement)
        except WeightsError as error:
            if self.settings.people > 1:
                self._emit("warning", "detector", f"Only one person can be followed: {error}.")
            return None

    def _change(self, model: str) -> None:
        try:
            net = self._load(model)
        except (WeightsError, OSError) as error:
            self._emit("error", "model", f"{error}")
            return
        try:
            predictor = self._ready(net, model)
        except Exception as error:  # torch.cuda.OutOfMemoryError, a kernel that is missing, ...
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            if self.placement.device.type == "cpu":
                self._emit("error", "model", f"{model} cannot run ({text}); choose another model.")
                return
            self._fall_back(f"{model} does not run on the GPU ({text})")
            predictor = self._ready(self._load(model), model)
        self._predictor, self.model = predictor, model
        where = f"{self.device_name}, {self.precision}"
        self._emit("info", "model", f"{model} runs on {where}.")


def set_cpu_threads(threads: int | None) -> None:
    """How many CPU threads the network may use (None: torch's choice, one per physical core)."""
    if threads is not None:
        torch.set_num_threads(max(1, threads))
