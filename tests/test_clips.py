"""Real video: everybody is followed, nobody swaps, bones keep their lengths."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from livepose.cv import cv2
from livepose.engine import backends, device
from livepose.engine.detector import PersonDetector
from livepose.engine.predictor import Predictor
from livepose.engine.session import DEFAULT_MODEL
from livepose.engine.settings import EngineSettings
from livepose.frames import Frame, Pose
from livepose.models.store import DETECTOR, load_detector, load_model
from livepose.skeleton import BONES, INDEX, indices
from livepose.timing.timeline import Timeline, now_ns

pytestmark = pytest.mark.skipif(not DETECTOR.exists(), reason="no weights of a detector")


def followed(clip: Path, people: int) -> tuple[list[tuple[Pose, ...]], float]:
    """Poses of every picture of a clip, and its pictures a second."""
    placement = device.choose("cpu")
    backend, _ = backends.make(load_model(DEFAULT_MODEL)[0], placement)
    predict = Predictor(backend, DEFAULT_MODEL, "", PersonDetector(load_detector(), placement),
                        EngineSettings(people=people))  # fmt: skip
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


def swaps(track: dict[int, Pose]) -> int:
    """Pictures in which left and right of hips and shoulders changed places and back."""
    joints = {k: pose.joints for k, pose in track.items()}
    pairs = [(INDEX[f"left_{part}"], INDEX[f"right_{part}"]) for part in ("shoulder", "hip")]
    count = 0
    for k in sorted(joints)[1:-1]:
        if not (k - 1 in joints and k + 1 in joints):
            continue
        side = [np.array([joints[n][a, 0] - joints[n][b, 0] for a, b in pairs])
                for n in (k - 1, k, k + 1)]  # fmt: skip
        size = np.ptp(joints[k], axis=0).max()
        wide = np.minimum.reduce([np.abs(s) for s in side]) > 0.05 * size
        count += int((wide & (side[0] * side[1] < 0) & (side[1] * side[2] < 0)).any())
    return count


def test_three_people_keep_their_ids(shared: Path) -> None:
    poses, _ = followed(shared / "clips/three_people_exercising.avi", 5)
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


def test_one_person_is_one(shared: Path) -> None:
    poses, _ = followed(shared / "clips/one_person_indoor.avi", 5)
    (track,) = tracks(poses).values()
    assert len(track) >= 0.97 * len(poses)
    assert swaps(track) == 0
    assert breathing(track) <= 0.03


def test_rooms_have_no_ghosts(shared: Path) -> None:
    """Every tenth room is one that no network has seen."""
    files = sorted((shared / "data/backgrounds").rglob("*.jpg"))[::10]
    placement = device.choose("cpu")
    backend, _ = backends.make(load_model(DEFAULT_MODEL)[0], placement)
    detector = PersonDetector(load_detector(), placement)
    ghosts = 0
    for k, file in enumerate(files):
        predict = Predictor(backend, "", "", detector, EngineSettings(people=5))
        for picture in range(2):  # the second confirms what the first was not sure of
            frame = Frame(k, np.asarray(cv2.imread(str(file))), Timeline(now_ns()),
                          media_s=picture / 30)  # fmt: skip
            ghosts += len(predict(frame).poses)
    assert ghosts <= 0.02 * 2 * len(files)
