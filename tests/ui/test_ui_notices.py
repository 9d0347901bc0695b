from __future__ import annotations

import numpy as np
import pytest

from livepose.frames import Event, Frame
from livepose.timing.timeline import Timeline, now_ns
from livepose.ui.notices import Notices


def frame(start_ns: int | None = None) -> Frame:
    start = now_ns() if start_ns is None else start_ns
    return Frame(0, np.zeros((2, 2, 3), np.uint8), Timeline(start))


def shown(notices: Notices) -> str | None:
    return notices.current.event.kind if notices.current else None


@pytest.mark.parametrize("kind", ["stalled", "unplugged", "retry", "failed", "ended"])
def test_a_new_picture_ends_what_it_disproves(kind: str) -> None:
    notices = Notices()
    before = frame()
    notices.add(Event("capture", "error", kind, "No pictures."))
    assert not notices.frame(before), "it was taken before the fault"
    assert shown(notices) == kind
    assert notices.frame(frame())
    assert shown(notices) is None


def test_good_news_end_bad_news_of_the_same_origin_only() -> None:
    notices = Notices()
    notices.add(Event("capture", "warning", "unplugged", "Gone."))
    notices.add(Event("engine", "error", "model", "Broken file."))
    notices.add(Event("capture", "info", "opened", "Back."))
    assert shown(notices) == "model"
    notices.add(Event("engine", "info", "model", "Loaded."))
    assert notices.current is not None
    assert notices.current.event.level == "info"
    assert notices.current.lasts_s is not None


def test_no_camera_stays_until_the_user_acts() -> None:
    notices = Notices()
    notices.add(Event("capture", "warning", "no-camera", "Playing the clip."))
    notices.add(Event("capture", "info", "opened", "The clip is open."))
    notices.frame(frame())
    assert shown(notices) == "no-camera"
    assert notices.current is not None
    assert notices.current.lasts_s is None
    notices.source_chosen()
    assert shown(notices) is None


def test_the_most_severe_is_shown_and_the_next_after_it() -> None:
    notices = Notices()
    notices.add(Event("engine", "warning", "fallback", "On the CPU."))
    notices.add(Event("ui", "error", "exception", "A bug."))
    notices.add(Event("capture", "warning", "broken", "A torn picture."))
    assert shown(notices) == "exception"
    notices.dismiss()
    assert shown(notices) == "broken"
    notices.dismiss()
    assert shown(notices) == "fallback"
    notices.dismiss()
    notices.dismiss()
    assert shown(notices) is None


def test_passing_troubles_have_a_time() -> None:
    notices = Notices()
    notices.add(Event("capture", "warning", "broken", "A torn picture."))
    assert not notices.frame(frame()), "pictures go on, that is no answer to it"
    assert notices.current is not None
    assert notices.current.lasts_s == 8
