"""A running pipeline: the capture thread, the inference thread, and the figures of both.

The app and the headless runner drive the same session; it knows no Qt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from livepose import resources
from livepose.capture import DEFAULT, CaptureOptions, CaptureThread, Source, list_cameras
from livepose.engine import device as devices
from livepose.engine.detector import LoadDetector
from livepose.engine.loading import Choice, LoadModel
from livepose.engine.probing import Probe
from livepose.engine.settings import EngineSettings
from livepose.engine.turns import Turns
from livepose.engine.worker import InferenceThread, _load
from livepose.frames import Event, Result
from livepose.models import store
from livepose.models.networks import PoseNetwork
from livepose.models.store import load_detector
from livepose.timing.stats import Latency, Rate, Stats

DEFAULT_MODEL = "base"
# One after the other, where those before do not keep up: each is faster, and of what is as fast the
# most accurate (`livepose explore`).
INSTEAD = ("base@224", "base@192", "lite")


class Session:
    """Owns both threads; callbacks come on them, everything else may be called from any thread.

    Args:
        source: what `livepose.capture.parse_source` takes, or a source. None: the first camera,
            and where there is none, the bundled clip (told by an event of kind ``no-camera``).
        model: name of a shipped model or path to a .safetensors file, with @PIXELS behind it for
            squares of another size. None: the default, or in its place one of `INSTEAD`, where
            it does not keep up with the pictures.
        device, precision: see `livepose.engine.device.choose`. backend: a name of
            `livepose.engine.backends.BACKENDS`.
        lossless: every picture is processed, however long it takes (no live demo, then).
        window: frames that `stats` covers, None for all.
        settings: see `settings`.

    Raises:
        DeviceError: the device or precision means nothing.
    """

    def __init__(
        self,
        source: str | Source | None,
        model: str | None = DEFAULT_MODEL,
        *,
        options: CaptureOptions = CaptureOptions(),
        device: str = "auto",
        precision: str = "auto",
        on_result: Callable[[Result], None],
        on_event: Callable[[Event], None],
        lossless: bool = False,
        window: int | None = 150,
        load: LoadModel = _load,
        backend: str = "auto",
        load_detector: LoadDetector = load_detector,
        settings: EngineSettings = EngineSettings(),
    ) -> None:
        placement = devices.choose(device, precision)
        self._on_event = on_event
        self._start_note = placement.note
        # Without a wish for a source: a camera, and if that gives nothing, the clip.
        self._may_fall_back = source is None
        if source is None:
            source = DEFAULT  # looked for on the capture thread: that may take a while
        self._source = source if isinstance(source, str) else source.name
        self._options = options
        self._capture = CaptureThread(source, options, on_event=self._captured, lossless=lossless)
        self._engine = InferenceThread(
            self._capture.slot, model or DEFAULT_MODEL, placement, on_result, on_event, load,
            backend, load_detector, () if model else INSTEAD,
        )  # fmt: skip
        self._networks = self._engine.networks
        self._engine.settings = settings
        self.latency = Latency(window)
        self._paints = Rate()
        self._painted = 0

    # -- control -------------------------------------------------------------------------------

    def start(self) -> None:
        if self._start_note:
            self._on_event(Event("engine", "warning", "fallback", f"{self._start_note}."))
        self._engine.start()
        self._capture.start()

    def stop(self, timeout_s: float = 3.0) -> bool:
        """True if all threads have ended within the time."""
        captured = self._capture.stop(timeout_s / 2)
        return self._engine.stop(timeout_s / 2) and captured

    def open(self, source: str) -> None:
        """Goes over to another source; returns at once."""
        self._may_fall_back = False
        self._switch(source)

    def use(self, choice: str | Choice) -> None:
        """Goes over to another model, or the same in another way; returns at once.

        The old one works until the new one is ready. A name alone keeps the backend.
        """
        if isinstance(choice, str):
            choice = Choice.of(choice, self._networks.wished.backend)
        self._networks.use(choice)

    def compare(self, choice: Choice | None) -> None:
        """Looks at every picture with another network, too; None: no more."""
        self._networks.compare(choice)

    def redo(self) -> None:
        """Puts the last picture through again if no other comes: paused, ended, stalled.

        All that changes what is wanted of a picture does so by itself. The result has the age that
        the picture has by then, and does not count for `stats`.
        """
        self._engine.redo()

    @property
    def choice(self) -> Choice:
        """What runs now, with the names of what "auto" has led to."""
        return self._networks.running

    @property
    def loading(self) -> bool:
        """Whether a network was asked for that does not run yet, and perhaps never will."""
        return self._networks.loading

    @property
    def size(self) -> int | None:
        """Pixels of the squares that the network looks at, None before there is one."""
        return self._networks.size

    @property
    def turns(self) -> Turns:
        """Taken for each frame; who times something beside the live view takes turns with it."""
        return self._engine.turns

    def pause(self) -> None:
        self._capture.pause()

    def resume(self) -> None:
        self._capture.resume()

    def step(self) -> None:
        self._capture.step()

    @property
    def paused(self) -> bool:
        return self._capture.paused

    @property
    def want_heatmaps(self) -> bool:
        return self._engine.want_heatmaps

    @want_heatmaps.setter
    def want_heatmaps(self, want: bool) -> None:
        self._engine.want_heatmaps = want
        self.redo()

    @property
    def network(self) -> PoseNetwork | None:
        """The network that runs now, in torch, to look into; None before there is one."""
        return self._networks.network

    @property
    def probe(self) -> Probe | None:
        """The unit of a layer whose answer comes with each result, if one is looked at."""
        return self._engine.probe

    @probe.setter
    def probe(self, probe: Probe | None) -> None:
        self._engine.probe = probe
        self.redo()

    @property
    def settings(self) -> EngineSettings:
        """May be set at any time; holds from the next picture on."""
        return self._engine.settings

    @settings.setter
    def settings(self, settings: EngineSettings) -> None:
        self._engine.settings = settings
        self.redo()

    def painted(self, result: Result) -> None:
        """The result has been painted (or, headless, used): its times count from here on."""
        if result.frame.timeline.held:
            return
        total = result.frame.timeline.total_ms / 1e3
        self._engine.ahead_s += 0.1 * (total - self._engine.ahead_s)
        self._paints.tick()
        self._painted += 1
        self.latency.add(result.frame.timeline)

    # -- what is going on ----------------------------------------------------------------------

    @property
    def source(self) -> str:
        """The source as it was asked for."""
        return self._source

    @property
    def model(self) -> str:
        return self._networks.choice.model

    @property
    def models(self) -> list[str]:
        return store.available()

    @property
    def state(self) -> str:
        """Of the capture, see `CaptureThread.state`."""
        return self._capture.state

    @property
    def source_fps(self) -> float:
        """Pictures per second that the source says it has, 0 where it does not."""
        applied = self._capture.applied
        return applied.fps if applied else 0.0

    @property
    def idle(self) -> bool:
        """Whether no frame waits or is being worked on."""
        return self._capture.slot.wait_free(0) and not self._engine.busy

    def sources(self) -> list[tuple[str, str]]:
        """(source, name for people): cameras, the bundled clip, the synthetic figure."""
        found = [(str(spec), name) for spec, name in list_cameras()]
        return [*found, (str(resources.CLIP), "Bundled clip"), ("synthetic", "Synthetic figure")]

    def stats(self) -> Stats:
        capture, networks = self._capture, self._networks
        stages, end_to_end = self.latency.summary()
        notes = [networks.placement.note, networks.note]
        source = capture.source_name
        if capture.applied:
            source = f"{source} · {capture.applied}"
            notes.append(capture.applied.note)
        camera = capture.applied if capture.live else None
        return Stats(
            stages=stages,
            end_to_end=end_to_end,
            capture_fps=capture.fps,
            inference_fps=self._engine.rate.per_second(),
            paint_fps=self._paints.per_second(),
            captured=capture.captured,
            dropped=capture.dropped,
            painted=self._painted,
            device=networks.device_name,
            precision=networks.precision,
            note="; ".join(n for n in notes if n),
            source=source,
            threads=networks.threads,
            camera_fps=camera.fps if camera else 0.0,
            fourcc=camera.fourcc if camera else "",
        )

    # -- inside --------------------------------------------------------------------------------

    def _switch(self, source: str) -> None:
        self._source = source
        self.latency.clear()
        self._capture.switch(source)
        self._engine.forget()

    def _captured(self, event: Event) -> None:
        """Events of the capture, on its thread."""
        no_camera = event.kind in ("retry", "failed") and self._capture.captured == 0
        if not (self._may_fall_back and no_camera):
            if event.kind == "opened":
                self._may_fall_back = False
            self._on_event(event)
            return
        self._may_fall_back = False
        self._capture.options = replace(self._options, loop=True)
        if event.kind == "failed":
            message = ("No camera was found, so the bundled clip is playing. Plug one in and "
                       "choose it, or open a file or stream.")  # fmt: skip
        else:  # there is one, but it does not work
            reason = event.message.partition(" Trying again")[0]
            message = f"{reason} The bundled clip is playing; choose the camera to try it again."
        self._on_event(Event("capture", "warning", "no-camera", message))
        self._switch(str(resources.CLIP))
