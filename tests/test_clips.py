"""Real video: everybody is followed, nobody swaps, bones keep their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livepose import cli
from livepose.bench.following import figures, follow, ghosts, swaps
from livepose.data.readers.empty import read_empty
from livepose.engine import device
from livepose.engine.building import build
from livepose.engine.loading import Choice
from livepose.engine.session import DEFAULT_MODEL
from livepose.engine.settings import EngineSettings
from livepose.models.store import DETECTOR
from livepose.skeleton import FLIP
from tests.engine import fakes
from tests.lift.test_lift import standing

needs_detector = pytest.mark.skipif(not DETECTOR.exists(), reason="no weights of a detector")


def followed(clip: Path, people: int) -> dict[str, float]:
    predict, _ = build(Choice(DEFAULT_MODEL), device.choose("cpu"), EngineSettings(people=people))
    return figures(follow(predict, str(clip)))


@pytest.mark.parametrize(("wrong", "times"), [
    ((), 0), ((20,), 1), ((20, 21, 22, 23, 24), 1), ((20, 30, 31), 2), (range(20, 40), 0),
])  # fmt: skip
def test_swaps_are_counted(wrong: Sequence[int], times: int) -> None:
    body = standing()[:, :2] * 100
    track = {k: fakes.pose(body[list(FLIP)] if k in wrong else body) for k in range(40)}
    assert swaps(track) == 2 * times  # shoulders and hips


def test_who_is_missing_and_who_is_somebody_else() -> None:
    body = standing()[:, :2] * 100
    here = replace(fakes.pose(body), id=1, xyz=standing())
    there = replace(fakes.pose(body + 300), id=2, xyz=1.1 * standing())
    both = figures([(here, there)] * 50)
    assert both.pop("bones") == pytest.approx(0, abs=1e-9)
    assert both == {"pictures": 50, "people": 2, "ids": 2, "throughout": 2, "followed": 1,
                    "lost": 0, "jumps": 0, "swaps": 0}  # fmt: skip
    assert figures([(here, there)] * 20 + [(here,)] * 5 + [(here, there)] * 25)["lost"] == 5
    exchanged = replace(here, id=2), replace(there, id=1)
    assert figures([(here, there)] * 40 + [exchanged] * 40)["jumps"] == 2
    longer = [replace(here, xyz=(1.02 if k % 2 else 1) * here.xyz) for k in range(90)]
    assert figures([(pose,) for pose in longer])["bones"] == pytest.approx(0.01, rel=0.02)
    anew = figures([(here, there)] * 20 + [(here, replace(there, id=3))] * 30)
    assert (anew["ids"], anew["throughout"], anew["followed"]) == (3, 1, 1)
    nobody = figures([()] * 10)
    assert (nobody["people"], nobody["ids"]) == (0, 0)
    assert np.isnan(nobody["followed"])


@needs_detector
def test_three_people_keep_their_ids(shared: Path) -> None:
    found = followed(shared / "clips/three_people_exercising.avi", 4)
    assert (found["people"], found["ids"], found["throughout"]) == (3, 3, 3)
    assert found["followed"] >= 0.97
    assert (found["jumps"], found["swaps"]) == (0, 0)
    assert found["bones"] <= 0.03


@needs_detector
def test_one_person_is_one(shared: Path) -> None:
    found = followed(shared / "clips/one_person_indoor.avi", 5)
    assert (found["people"], found["ids"]) == (1, 1)
    assert found["followed"] >= 0.97
    assert found["swaps"] == 0
    assert found["bones"] <= 0.03


@needs_detector
def test_rooms_have_no_ghosts(shared: Path) -> None:
    """Every tenth room is one that no network has seen."""
    files = read_empty(shared / "data/backgrounds", "test").images
    predict, _ = build(Choice(DEFAULT_MODEL), device.choose("cpu"), EngineSettings(people=5))
    assert ghosts(predict, files) <= 0.02


def test_the_command_says_what_it_cannot_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["following", "--source", str(tmp_path / "no.mp4"), "--model", "no"]) == 2
    assert "no model 'no'" in capsys.readouterr().err
    assert cli.main(["following", "--empty", str(tmp_path)]) == 2
    assert "has no pictures" in capsys.readouterr().err
    assert cli.main(["following", "--people", "11"]) == 2
    assert "people must be 1 to 10" in capsys.readouterr().err
