"""Networks that give way to faster ones where they do not keep up with the pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
import torch

from livepose.engine import keeping_up
from livepose.engine import session as sessions
from livepose.engine.keeping_up import KeepingUp
from livepose.engine.loading import Choice
from livepose.engine.session import Session
from livepose.models.margipose import MargiPose
from livepose.models.store import WeightsError
from tests.engine.fakes import TINY, Log, session, tiny, wait_for


def shares(pictures: Iterable[tuple[float, int]]) -> list[float]:
    """What is told of these (seconds, replaced so far)."""
    keeping = KeepingUp()
    return [share for picture in pictures if (share := keeping.missed(*picture))]


def test_the_share_of_the_pictures_that_were_missed() -> None:
    assert shares((i / 30, 7) for i in range(3000)) == []
    tenth = shares((i / 30, i // 10) for i in range(3000) if i % 10)
    assert tenth == pytest.approx([0.1] * len(tenth), abs=0.005)
    assert len(tenth) == pytest.approx(100 / 8, abs=1)
    # Nine of ten, at another rate.
    assert shares((i / 5, 9 * i) for i in range(60)) == pytest.approx([0.9], abs=0.01)


def test_short_trouble_and_pauses_are_no_reason() -> None:
    """Of a third of a second, and of a minute in which many were replaced."""
    assert shares((i / 30, 0 if i < 500 else 11) for i in range(3000)) == []
    pause = [(i / 30, 0) for i in range(500)] + [(76 + i / 30, 400) for i in range(500)]
    assert shares(pause) == []


class Slow(MargiPose):
    def logits(self, x: torch.Tensor):  # type: ignore[no-untyped-def]
        time.sleep(0.3)
        return super().logits(x)


def load(name: str) -> MargiPose:
    if name == "broken":
        raise WeightsError("broken.safetensors is cut off; get it again")
    torch.manual_seed(0)
    return Slow(TINY).eval() if name == "slow" else tiny()


def running(log: Log, monkeypatch: pytest.MonkeyPatch, *instead: str) -> Session:
    monkeypatch.setattr(keeping_up, "_WINDOW_S", 1.2)
    monkeypatch.setattr(keeping_up, "_MISSED", 0.3)
    monkeypatch.setattr(sessions, "DEFAULT_MODEL", "slow")
    monkeypatch.setattr(sessions, "INSTEAD", instead)
    s = session("synthetic:64x48@10", log, load=load, model=None)
    s.start()
    wait_for(lambda: log.results)
    return s


def test_a_network_gives_way_until_one_keeps_up(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    s = running(log, monkeypatch, "slow@96", "broken", "fast@96", "never")
    wait_for(lambda: log.results[-1].model == "fast")
    told = [e for e in log.events if e.kind == "gave-way"]
    time.sleep(2.6)  # two windows more
    assert s.choice.name == "fast@96"
    assert s.choice.backend == "torch"
    assert s.stop()
    assert [e.level for e in told] == ["warning"] * 2
    assert "slow missed" in told[0].message
    assert "slow@96 runs now" in told[0].message
    assert "slow@96 missed" in told[1].message
    assert "fast@96 runs now" in told[1].message
    assert [e.kind for e in log.events].count("gave-way") == 2


def test_what_the_user_has_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    s = running(log, monkeypatch, "fast")
    s.use(Choice("slow", "torch", size=96))
    wait_for(lambda: s.choice.size == 96)
    time.sleep(2.6)
    assert s.choice.size == 96
    assert "gave-way" not in log.kinds()
    assert s.stop()


def test_a_page_that_takes_time_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    s = running(log, monkeypatch, "fast")
    s.want_heatmaps = True
    time.sleep(2.6)
    assert s.model == "slow"
    with s.turns:  # the explorer
        s.want_heatmaps = False
        time.sleep(0.3)
    assert s.model == "slow"
    wait_for(lambda: s.model == "fast")  # on its own, it has to
    assert s.stop()
