"""The inference thread: newest frame in, result out, whatever fails in between."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from livepose.capture import Slot
from livepose.engine.detector import LoadDetector
from livepose.engine.device import Placement
from livepose.engine.keeping_up import KeepingUp
from livepose.engine.loading import Choice, LoadModel
from livepose.engine.predictor import Predictor
from livepose.engine.probing import Probe, probed
from livepose.engine.settings import EngineSettings
from livepose.engine.switching import Networks
from livepose.engine.turns import Turns
from livepose.frames import Event, Frame, Result, first_line
from livepose.models.networks import PoseNetwork
from livepose.models.store import load_detector, load_model
from livepose.timing.stats import Rate
from livepose.timing.timeline import HELD, Timeline, now_ns

# So many failures in a row on a GPU, and the CPU takes over.
GIVE_UP_AFTER = 3
_QUIET_S = 2.0
# A picture that is so old is the last one for now: paused, ended, stalled.
_HELD_S = 0.5

# What is told when something beside the live network fails, by stage.
_BROKEN = {
    "compare": "The network to compare with fails ({}): choose another one.",
    "probe": "The unit cannot be shown ({}): choose another layer.",
}


def _load(model: str) -> PoseNetwork:
    return load_model(model)[0]


@cache
def spare_the_start() -> None:
    """Garbage is looked for among what is made from now on, not among all that start-up has made.

    That is a quarter of a million objects of torch, OpenVINO and vispy, which stay: a full round
    through them holds up every thread, the window's too, for a tenth of a second.
    """
    gc.freeze()


class InferenceThread:
    """Takes frames from the slot and delivers results; callbacks come on its own thread.

    Args:
        deliver: called with each result.
        on_event: told of models loaded, fall-backs, and failures (the thread goes on).
        load: from a model's name to its network. load_detector: the network that finds people.
        backend: see `livepose.engine.backends`. instead: see `Networks`.
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
        instead: Sequence[str] = (),
    ) -> None:
        self.networks = Networks(
            Choice.of(model, backend), placement, load, load_detector, on_event, self.redo, instead
        )
        self.want_heatmaps = False
        self.settings = EngineSettings()
        self.ahead_s = 0.0  # from a picture to its painting
        self.probe: Probe | None = None  # the unit whose answer is wanted
        self.turns = Turns()  # one for each frame
        self.rate = Rate()
        self._keeping_up = KeepingUp()
        self.failures = 0  # in a row
        self._slot, self._deliver, self._on_event = slot, deliver, on_event
        self._forget = False
        self._last: Frame | None = None
        self._last_way: object = None  # how that was looked at
        self._redo = threading.Event()
        self._broken: dict[str, object] = {}  # what fails beside the live network, and was told
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
    def busy(self) -> bool:
        """Whether a frame is under way in it."""
        return self._busy

    def redo(self) -> None:
        """What is wanted of a picture has changed: if no other comes, the last one goes again."""
        self._redo.set()

    def forget(self) -> None:
        """Nobody is followed any more: the source has changed."""
        self._forget = True

    def _emit(self, level: str, kind: str, message: str) -> None:
        self._on_event(Event("engine", level, kind, message))

    def _run(self) -> None:
        while not self._stop.is_set():
            self.networks.advance(self.settings)
            there = self._slot.wait_full(0.1)
            with self.turns as waited:
                if waited:
                    self._keeping_up.restart()
                # The newest one, now that it is our turn.
                frame = self._slot.get(0) if there else self._held()
                if frame is None:
                    if there and self._slot.closed:
                        return
                    continue
                if there:
                    self._redo.clear()
                    frame.timeline.mark("wait")
                self._busy = True
                self._infer(frame)
                self._busy = False

    def _held(self) -> Frame | None:
        """The last frame once more, if something else is wanted of it and no other comes.

        It is shown as old as it is: its timeline begins when the picture did. The time since then
        was spent looking at it and is no lag, see `HELD`.
        """
        last = self._last
        if last is None or self._forget or not self._redo.is_set():
            return None
        timeline = Timeline(last.timeline.start_ns)
        if timeline.mark(HELD).ms < 1e3 * _HELD_S:
            return None
        self._redo.clear()
        if self._way() != self._last_way:
            # What others made of this picture shall not steady what these make of it.
            for predictor in (self.networks.live, self.networks.rival):
                if predictor is not None:
                    predictor.restart()
        return replace(last, timeline=timeline)

    def _way(self) -> object:
        return self.networks.choice, self.settings, self.networks.rival

    def _infer(self, frame: Frame) -> None:
        self._last, self._last_way = frame, self._way()
        networks, probe = self.networks, self.probe
        networks.expect(frame.image.shape)
        try:
            result = self._looked(frame)
            self.failures = 0
        except Exception as error:
            self._failed(error)
            result = self._nothing(frame)
        else:
            if networks.rival is not None:
                result = self._beside("compare", networks.rival, self._compared, result)
            if probe is not None:
                result = self._beside("probe", probe, self._probed, result)
        self._watch(frame)
        self.rate.tick()
        try:
            self._deliver(result)
        except Exception as error:
            self._quietly("deliver", f"A result could not be delivered ({error}).")

    def _looked(self, frame: Frame) -> Result:
        predictor, rival, forget = self.networks.live, self.networks.rival, self._forget
        self._forget = False
        if predictor is None:
            return self._nothing(frame)
        if forget:
            predictor.forget()
            if rival is not None:
                rival.forget()
        predictor.settings = self.settings
        result = predictor(frame, self.want_heatmaps, self.ahead_s)
        spare_the_start()
        return result

    def _watch(self, frame: Frame) -> None:
        """Where the network alone does not keep up, another one may take over."""
        networks = self.networks
        more = self.want_heatmaps or self.probe is not None or networks.rival is not None
        if more or frame.timeline.held or not networks.settled:
            self._keeping_up.restart()
            return
        taken_s = frame.timeline.start_ns / 1e9
        if missed := self._keeping_up.missed(taken_s, self._slot.replaced):
            networks.give_way(missed)

    def _nothing(self, frame: Frame) -> Result:
        """Without a network there is still a picture to show."""
        return Result(frame, (), self.networks.choice.model, self.networks.device_name)

    def _beside(
        self, stage: str, what: object, look: Callable[[Any, Result], Result], result: Result
    ) -> Result:
        """Adds what only a page shows. If it fails, that is told once and the skeletons stay."""
        try:
            result = look(what, result)
            self._broken.pop(stage, None)
        except Exception as error:
            if self._broken.get(stage) != what:
                self._broken[stage] = what
                self._emit("error", stage, _BROKEN[stage].format(first_line(error)))
        result.frame.timeline.mark(stage)
        return result

    def _compared(self, rival: Predictor, result: Result) -> Result:
        """The same picture, id and all, by the other network, on a clock of its own."""
        rival.settings = self.settings
        frame = replace(result.frame, timeline=Timeline(now_ns()))
        return replace(result, other=rival(frame, ahead_s=self.ahead_s))

    def _probed(self, probe: Probe, result: Result) -> Result:
        net = self.networks.network
        return result if net is None else replace(result, activation=probed(net, probe, result))

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        text = first_line(error)
        on_gpu = self.networks.placement.device.type == "cuda"
        if on_gpu and self.failures >= GIVE_UP_AFTER:
            self.networks.fall_back(f"the GPU failed {self.failures} times ({text})")
            self.failures = 0
        else:
            self._quietly(
                "stage", f"A frame could not be processed ({text}); going on with the next."
            )

    def _quietly(self, kind: str, message: str) -> None:
        """An error that may come with every frame is told every few seconds."""
        if time.monotonic() - self._told > _QUIET_S:
            self._told = time.monotonic()
            self._emit("error", kind, message)
