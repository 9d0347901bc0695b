"""Real video: everybody is followed, nobody swaps, bones keep their lengths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from livepose.cv import cv2
from livepose.engine import device
from livepose.engine.building import build
from livepose.engine.loading import Choice
from livepose.engine.session import DEFAULT_MODEL
from livepose.engine.settings import EngineSettings
from livepose.frames import Frame, Pose
from livepose.models.store import DETECTOR
from livepose.skeleton import BONES, FLIP, INDEX, indices
from livepose.timing.timeline import Timeline, now_ns
from tests.engine import fakes
from tests.lift.test_lift import standing

needs_detector = pytest.mark.skipif(not DETECTOR.exists(), reason="no weights of a detector")


def followed(clip: Path, people: int) -> tuple[list[tuple[Pose, ...]], float]:
    """Poses of every picture of a clip, and its pictures a second."""
    placement = device.choose("cpu")
    predict, _ = build(Choice(DEFAULT_MODEL), placement, EngineSettings(people=people))
    capture = cv2.VideoCapture(str(clip))
    fps, out = capture.get(cv2.CAP_PROP_FPS), []
    while True:
        ok, image = capture.read()
        if not ok:
            return out, fps
        frame = Frame(len(out), image, Timeline(now_ns()), media_s=len(out) / fps)
        out.append(predict(frame).poses)


def tracks(poses: list[tuple[Pose, ...]]) -> dict[int, dict[int, Pose]]:
    """By id, the poses by the number of the picture."""
    out: dict[int, dict[int, Pose]] = defaultdict(dict)
    for k, people in enumerate(poses):
        for pose in people:
            out[pose.id][k] = pose
    return out


def breathing(track: dict[int, Pose]) -> float:
    """The largest variation (standard deviation over mean) of a bone's length in a track."""
    xyz = np.array([pose.xyz for pose in track.values()])[30:]
    ends = [indices([bone[i] for bone in BONES]) for i in (0, 1)]
    lengths = np.linalg.norm(xyz[:, ends[0]] - xyz[:, ends[1]], axis=-1)
    return float((lengths.std(0) / lengths.mean(0)).max())


def swaps(track: dict[int, Pose], longest: int = 5) -> int:
    """How often left and right of hips or shoulders changed places, and back within so many
    pictures."""
    count = 0
    for part in ("shoulder", "hip"):
        left, right = (INDEX[f"{side}_{part}"] for side in ("left", "right"))
        widths = {k: pose.joints[left, 0] - pose.joints[right, 0] for k, pose in track.items()}
        sizes = {k: np.ptp(pose.joints, axis=0).max() for k, pose in track.items()}
        # Seen from the side, they lie behind each other and say nothing.
        told = [k for k in sorted(track) if abs(widths[k]) > 0.05 * sizes[k]]
        turns = [b for a, b in pairwise(told) if widths[a] * widths[b] < 0]
        count += sum(b - a <= longest for a, b in pairwise(turns))
    return count


@pytest.mark.parametrize(("wrong", "times"), [
    ((), 0), ((20,), 1), ((20, 21, 22, 23, 24), 1), ((20, 30, 31), 2), (range(20, 40), 0),
])  # fmt: skip
def test_swaps_are_counted(wrong: Sequence[int], times: int) -> None:
    body = standing()[:, :2] * 100
    track = {k: fakes.pose(body[list(FLIP)] if k in wrong else body) for k in range(40)}
    assert swaps(track) == 2 * times  # shoulders and hips


@needs_detector
def test_three_people_keep_their_ids(shared: Path) -> None:
    poses, _ = followed(shared / "clips/three_people_exercising.avi", 4)
    by_id = tracks(poses)
    assert sorted(by_id) == [1, 2, 3]
    assert sum(map(len, poses)) >= 0.97 * 3 * len(poses)
    assert {pose.id for pose in poses[0]} == {pose.id for pose in poses[-1]} == {1, 2, 3}
    for track in by_id.values():
        # A switch is a jump to somebody else.
        middles = {k: pose.joints[INDEX["pelvis"]] for k, pose in track.items()}
        sizes = {k: np.ptp(pose.joints, axis=0).max() for k, pose in track.items()}
        steps = [np.linalg.norm(middles[k] - middles[k - 1]) / sizes[k]
                 for k in middles if k - 1 in middles]  # fmt: skip
        assert max(steps) < 0.3
        assert swaps(track) == 0
        assert breathing(track) <= 0.03


@needs_detector
def test_one_person_is_one(shared: Path) -> None:
    poses, _ = followed(shared / "clips/one_person_indoor.avi", 5)
    (track,) = tracks(poses).values()
    assert len(track) >= 0.97 * len(poses)
    assert swaps(track) == 0
    assert breathing(track) <= 0.03


@needs_detector
def test_rooms_have_no_ghosts(shared: Path) -> None:
    """Every tenth room is one that no network has seen."""
    files = sorted((shared / "data/backgrounds").rglob("*.jpg"))[::10]
    predict, _ = build(Choice(DEFAULT_MODEL), device.choose("cpu"), EngineSettings(people=5))
    ghosts = 0
    for k, file in enumerate(files):
        predict.forget()
        for picture in range(5):  # long enough for whoever the network is not sure of
            frame = Frame(k, np.asarray(cv2.imread(str(file))), Timeline(now_ns()),
                          media_s=picture / 10)  # fmt: skip
            ghosts += len(predict(frame).poses)
    assert ghosts <= 0.02 * 5 * len(files)
