"""Several people share the time: smaller squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from livepose.engine.backends import TorchBackend
from livepose.engine.crowd import smaller
from livepose.engine.loading import Choice
from livepose.engine.settings import EngineSettings
from livepose.frames import Region
from livepose.models.detector import PersonNet
from livepose.models.margipose import MargiPose
from tests.engine.fakes import CPU, TINY, Log, frame, predictor, session, tiny, wait_for


@pytest.mark.parametrize(("size", "people", "steps"), [
    (256, 10, {3: 224, 4: 192, 5: 160}), (192, 10, {4: 160, 5: 128}), (256, 4, {3: 224, 4: 192}),
    (256, 2, {}), (64, 10, {}),
])  # fmt: skip
def test_more_people_smaller_squares(size: int, people: int, steps: dict[int, int]) -> None:
    assert smaller(size, people) == steps


class Row:
    """Finds so many people beside each other."""

    def __init__(self, people: int) -> None:
        self.people = people

    def __call__(self, image: np.ndarray) -> list[Region]:
        return [Region(30 + 50 * k, 120, 45) for k in range(self.people)]


class Spy(TorchBackend):
    """Remembers how many squares it was given."""

    def __init__(self) -> None:
        net = tiny()
        net.presence_bias.data.fill_(50.0)
        super().__init__(net, CPU)
        self.squares = 0

    def __call__(self, image: np.ndarray, squares: Sequence[Any], *more: Any, **named: Any) -> Any:
        self.squares = len(squares)
        return super().__call__(image, squares, *more, **named)


@pytest.mark.parametrize(("people", "used"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2)])
def test_the_squares_go_through_the_network_for_so_many(people: int, used: int) -> None:
    spies = [Spy(), Spy(), Spy()]
    predict = predictor(tiny(), Row(people), settings=EngineSettings(people=10))
    predict.backend, predict.smaller = spies[0], {3: spies[1], 5: spies[2]}
    predict(frame(media_s=0.0))
    assert spies[0].squares  # nobody has been seen yet
    for spy in spies:
        spy.squares = 0
    predict(frame(media_s=0.1))
    assert [spy.squares for spy in spies] == [people * (k == used) for k in range(3)]


def test_a_session_makes_them_ready_when_several_people_are_wanted() -> None:
    def load(name: str) -> MargiPose:
        torch.manual_seed(0)
        return MargiPose(replace(TINY, input_size=128)).eval()

    log = Log()
    live = session("synthetic", log, load=load, load_detector=lambda: PersonNet().eval())
    try:
        live.start()
        wait_for(lambda: len(log.results) > 2)
        predict = live._engine.networks.live
        assert predict is not None
        assert not predict.smaller
        live.settings = EngineSettings(people=5)
        wait_for(lambda: predict.smaller)
        assert {n: backend.size for n, backend in predict.smaller.items()} == {4: 96}
        live.compare(Choice("rival", "torch", "float32"))  # it gets the same squares
        wait_for(lambda: live._engine.networks.rival and live._engine.networks.rival.smaller)
        rival = live._engine.networks.rival
        assert rival is not None
        assert {n: backend.size for n, backend in rival.smaller.items()} == {4: 96}
        assert rival.smaller[4] is not predict.smaller[4]
        live.use("other")  # another network starts without them, and gets its own
        wait_for(lambda: live.model == "other" and predict.smaller)
        assert predict.smaller[4].size == 96
    finally:
        live.stop()
