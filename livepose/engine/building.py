"""What a session comes to when all of it is ready: for everything that measures the app."""

from __future__ import annotations

from livepose.engine import crowd
from livepose.engine.detector import LoadDetector, PersonDetector
from livepose.engine.device import Placement
from livepose.engine.loading import Choice, Loader, LoadModel
from livepose.engine.predictor import Predictor
from livepose.engine.settings import EngineSettings
from livepose.models.store import WeightsError, load_detector, load_model


def build(
    choice: Choice, placement: Placement, settings: EngineSettings = EngineSettings(),
    load: LoadModel = lambda model: load_model(model)[0],
    load_detector: LoadDetector = load_detector,
) -> tuple[Predictor, str]:  # fmt: skip
    """The predictor, warm, with its detector and the smaller squares for several people; and why
    its network does not run as was hoped for, or nothing.

    Raises:
        WeightsError: there is no such model, or no detector where several people are wanted.
    """
    loader = Loader(load, patient=True)
    ready = loader(choice, placement)
    detector = None
    try:
        detector = PersonDetector.ready(load_detector, placement)
    except WeightsError:
        if settings.people > 1:
            raise
    predict = Predictor(ready.backend, choice.model, ready.device_name, detector, settings)
    if detector is not None:
        smaller = crowd.choices(choice, ready.net.config, settings.people, placement)
        predict.smaller = {n: loader(c, placement).backend for n, c in smaller.items()}
    return predict, ready.note
