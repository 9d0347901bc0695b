"""Ids that last: through crossings, jumps of the network, exits and returns."""

from __future__ import annotations

import numpy as np
import pytest

from livepose.engine.region import Found
from livepose.engine.tracking import Tracker, alike, colours, distinct, same_colours
from livepose.skeleton import FLIP, INDEX, J
from tests.engine.fakes import found
from tests.lift.test_lift import standing

FPS = 30
RED, BLUE, GREEN = (30, 30, 200), (200, 40, 20), (40, 180, 40)


def at(x: float, arms: float = 0.3, turn: float = 0.0, size: float = 150.0) -> Found:
    return found(standing(arms=arms, turn=turn)[:, :2] * size + np.array([x, 240.0]))


def scene(*people: tuple[Found, tuple[int, int, int]]) -> np.ndarray:
    """A grey picture with a coloured torso for each person."""
    image = np.full((480, 900, 3), 128, np.uint8)
    for pose, colour in people:
        torso = pose.joints[[INDEX["left_shoulder"], INDEX["right_hip"]]].astype(int)
        (x0, y0), (x1, y1) = torso.min(0), torso.max(0)
        image[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = colour
    return image


def ids(tracker: Tracker, t: float, *people: tuple[Found, tuple[int, int, int]]) -> list[int]:
    """Ids in the order of the people given; 0 for one who is not shown."""
    shown = tracker.update(distinct([p for p, _ in people]), t, scene(*people))
    by = {id(f): person.id for person, f in shown}
    return [by.get(id(p), 0) for p, _ in people]


def test_everybody_keeps_the_id_in_a_crossing() -> None:
    tracker = Tracker(3)
    seen = []
    for k in range(120):
        a, b = at(150 + 5 * k), at(750 - 5 * k, arms=1.2)
        seen.append(ids(tracker, k / FPS, (a, RED), (b, BLUE)))
    hidden = [now for now in seen if now != [1, 2]]
    assert len(hidden) <= 5  # while one stands right before the other
    assert all(now == [1, 0] or now == [0, 2] for now in hidden)


def test_who_is_hidden_in_a_crossing_comes_out_with_the_same_id() -> None:
    tracker = Tracker(3)
    for k in range(120):
        a, b = (at(150 + 5 * k), RED), (at(750 - 5 * k, arms=1.2), BLUE)
        hidden = abs(a[0].joints[0, 0] - b[0].joints[0, 0]) < 100
        now = ids(tracker, k / FPS, a) if hidden else ids(tracker, k / FPS, a, b)
        assert now == ([1] if hidden else [1, 2])


def test_who_comes_back_is_known_by_the_clothes() -> None:
    tracker = Tracker(3)
    for k in range(30):
        assert ids(tracker, k / FPS, (at(200), RED), (at(600), BLUE)) == [1, 2]
    for k in range(30, 120):
        assert ids(tracker, k / FPS, (at(200), RED)) == [1]
    # Back on the other side, and somebody new beside.
    for k in range(120, 150):
        now = ids(tracker, k / FPS, (at(200), RED), (at(400), BLUE), (at(700), GREEN))
        assert now == [1, 2, 3]
    assert tracker.ids == {1, 2, 3}


def test_after_long_nobody_is_known() -> None:
    tracker = Tracker()
    for k in range(10):
        ids(tracker, k / FPS, (at(200), RED))
    for k in range(3):
        assert ids(tracker, 60 + k / FPS, (at(200), RED)) == [2]
    assert tracker.ids == {2}


def test_a_person_seen_twice_is_one() -> None:
    better, worse = at(200), found(at(204).joints, 0.5)
    assert alike([better], [worse])[0, 0] > 0.9
    assert distinct([worse, better, at(600)])[0] is better
    assert len(distinct([worse, better, at(600)])) == 2
    # So is one whose left was taken for right the second time.
    mirrored = found(worse.joints[list(FLIP)], 0.5)
    assert alike([better], [mirrored])[0, 0] < 0.8
    assert len(distinct([mirrored, better])) == 1
    # Side by side, arm in arm, they are two.
    assert len(distinct([at(200), at(280)])) == 2


@pytest.mark.parametrize("back", [(250, 800), (400, 800), (800, 400)])
def test_two_in_the_same_clothes_are_two(back: tuple[int, int]) -> None:
    """Somebody comes back while a stranger in the same clothes appears."""
    tracker = Tracker(3)
    for k in range(30):
        assert ids(tracker, k / FPS, (at(200), RED), (at(600), BLUE)) == [1, 2]
    for k in range(30, 44):
        assert ids(tracker, k / FPS, (at(600), BLUE)) == [2]
    for k in range(44, 60):
        red = [(at(x), RED) for x in back]
        now = ids(tracker, k / FPS, *red, (at(600), BLUE))
        assert now[2] == 2
        nearer = int(back[1] < back[0])
        assert now[nearer] == 1
        assert now[1 - nearer] == 3


def test_unsure_newcomers_are_shown_once_they_are_clear() -> None:
    tracker = Tracker(1)
    faint, clear = (found(at(200).joints, c) for c in (0.4, 0.6))
    for k in range(60):
        assert ids(tracker, k / FPS, (faint, RED)) == [0]  # however long: it may be furniture
    assert [ids(tracker, k / FPS, (clear, RED)) for k in (60, 61)] == [[1]] * 2
    # From then on, faint is enough.
    assert [ids(tracker, k / FPS, (faint, RED)) for k in (62, 63)] == [[1]] * 2


def test_what_does_not_become_clear_keeps_nobody_out() -> None:
    tracker = Tracker(1)
    faint, other = found(at(200).joints, 0.4), at(600)
    for k in range(10):
        ids(tracker, k / FPS, (faint, RED))
        assert len(tracker.looks((k + 1) / FPS, 900, 480)) == (k < 9)  # 0.3 s
    assert ids(tracker, 10 / FPS, (other, BLUE)) == [1]


def test_newcomers_are_looked_at_in_other_squares_until_they_are_sure() -> None:
    faint, sure = Tracker(), Tracker()
    looks = []
    for k in range(9):
        for tracker, confidence in ((faint, 0.4), (sure, 0.9)):
            ids(tracker, k / FPS, (found(at(200).joints, confidence), RED))
            looks.append(tracker.looks((k + 1) / FPS, 900, 480)[0])
    assert len(set(looks[::2])) == 2
    assert len(set(looks[1::2])) == 1


def test_the_limit_keeps_those_who_were_there_first() -> None:
    tracker = Tracker(2)
    for k in range(5):
        assert sorted(ids(tracker, k / FPS, (at(150), RED), (at(450), BLUE), (at(750), GREEN))
                      ) == [0, 1, 2]  # fmt: skip
    tracker.most = 1
    assert ids(tracker, 5 / FPS, (at(150), RED), (at(450), BLUE)).count(1) == 1
    assert len(tracker.looks(5 / FPS, 900, 480)) == 1


def test_it_looks_where_people_were_a_moment_ago() -> None:
    tracker = Tracker(2)
    ids(tracker, 0.0, (at(200), RED), (at(600), BLUE))
    centres = sorted(look.cx for look in tracker.looks(1 / FPS, 900, 480))
    assert centres == pytest.approx([200, 600], abs=40)
    assert tracker.looks(0.5, 900, 480) == []
    tracker.forget()
    assert tracker.looks(1 / FPS, 900, 480) == []


def test_whoever_is_there_is_looked_at_although_somebody_else_was_there_first() -> None:
    tracker = Tracker(1)
    for k in range(10):
        ids(tracker, k / FPS, (at(200), RED))
    now = 9 / FPS + 0.5
    assert ids(tracker, now, (at(700), BLUE)) == [2]
    (look,) = tracker.looks(now + 1 / FPS, 900, 480)
    assert look.cx == pytest.approx(700, abs=40)


def test_colours_tell_clothes_apart_and_need_a_torso() -> None:
    a, b = ((at(200), c) for c in (RED, BLUE))
    red, blue = (colours(scene(p), p[0]) for p in (a, b))
    dark = colours(scene((at(200), (20, 20, 130))), at(200))
    assert same_colours(red, red) == pytest.approx(1)
    assert same_colours(red, blue) < 0.3
    assert same_colours(red, dark) < 0.8
    confidence = np.full(J, 0.9)
    confidence[INDEX["left_hip"]] = 0.1
    assert colours(scene(a), found(at(200).joints, confidence)) is None
    assert colours(scene(a), at(5000)) is None
    assert colours(scene(a), at(-100)) is None
    assert same_colours(red, None) == 0
