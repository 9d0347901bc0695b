"""What is measured is what the app runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from livepose.engine.building import build
from livepose.engine.loading import Choice
from livepose.engine.settings import EngineSettings
from livepose.models.detector import PersonNet
from livepose.models.margipose import MargiPose
from livepose.models.store import WeightsError
from tests.engine.fakes import CPU, TINY, frame, nobody

TORCH = Choice("some", "torch")


def load(name: str) -> MargiPose:
    torch.manual_seed(0)
    return MargiPose(replace(TINY, input_size=128)).eval()


@pytest.mark.parametrize(("people", "sizes"), [(1, {}), (5, {4: 96})])
def test_it_has_the_detector_and_the_smaller_squares_of_a_session(
    people: int, sizes: dict[int, int]
) -> None:
    settings = EngineSettings(people=people)
    predict, note = build(TORCH, CPU, settings, load, lambda: PersonNet().eval())
    assert not note
    assert predict.detector is not None
    assert predict.settings is settings
    assert predict.backend.size == 128
    assert {least: backend.size for least, backend in predict.smaller.items()} == sizes
    assert predict(frame()).model == "some"


def test_one_person_needs_no_detector_and_several_do() -> None:
    predict, _ = build(TORCH, CPU, EngineSettings(), load, nobody)
    assert predict.detector is None
    with pytest.raises(WeightsError):
        build(TORCH, CPU, EngineSettings(people=2), load, nobody)
