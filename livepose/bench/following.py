"""``livepose following``: who is followed through a video, and how steadily.

Counted are ids, pictures in which somebody is missing, ids that jump from one person to another,
left and right exchanged for a moment, and how much the lengths of bones vary; with ``--empty``,
people who are shown where nobody is. All of it is of what the app shows: smoothed, in metres.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from livepose import resources
from livepose.bench.compare import frames
from livepose.cv import cv2
from livepose.data.readers.empty import read_empty
from livepose.data.samples import DataError
from livepose.engine import device
from livepose.engine.building import build
from livepose.engine.loading import Choice
from livepose.engine.predictor import Predictor
from livepose.engine.session import DEFAULT_MODEL
from livepose.engine.settings import EngineSettings
from livepose.frames import Frame, Pose
from livepose.lift.camera import Intrinsics
from livepose.lift.metric import to_metres, to_pixels
from livepose.models.store import WeightsError
from livepose.skeleton import BONES, INDEX, indices
from livepose.timing.timeline import Timeline, now_ns

Track = dict[int, Pose]  # by the number of the picture

# Of a person's size from one picture to the next: farther is somebody else.
_JUMP = 0.3
# Pictures in which the lengths of bones are learned.
_LEARNING = 30
# Seen from the side, left and right lie behind each other and say nothing: of the person's size.
_SIDEWAYS = 0.05
# An empty room is looked at so often, ten times a second: who is shown late counts, too.
_LOOKS, _LOOKS_A_SECOND = 10, 10
_TIMED = 2000  # calls


def tracks(pictures: Iterable[Sequence[Pose]]) -> dict[int, Track]:
    """The people of a video by their ids."""
    out: dict[int, Track] = defaultdict(dict)
    for k, people in enumerate(pictures):
        for pose in people:
            out[pose.id][k] = pose
    return dict(out)


def bone_variation(track: Track) -> float:
    """The most that a bone varies in length: standard deviation over mean; NaN if not known."""
    xyz = np.array([pose.xyz for pose in track.values()])[_LEARNING:]
    if not len(xyz):
        return np.nan
    ends = [indices([bone[i] for bone in BONES]) for i in (0, 1)]
    lengths = np.linalg.norm(xyz[:, ends[0]] - xyz[:, ends[1]], axis=-1)
    return float((lengths.std(0) / lengths.mean(0)).max())


def swaps(track: Track, longest: int = 5) -> int:
    """How often left and right of hips or shoulders changed places, and back within so many
    pictures.
    """
    count = 0
    for part in ("shoulder", "hip"):
        left, right = (INDEX[f"{side}_{part}"] for side in ("left", "right"))
        widths = {k: pose.joints[left, 0] - pose.joints[right, 0] for k, pose in track.items()}
        told = [k for k in sorted(track) if abs(widths[k]) > _SIDEWAYS * _size(track[k])]
        turns = [b for a, b in pairwise(told) if widths[a] * widths[b] < 0]
        count += sum(b - a <= longest for a, b in pairwise(turns))
    return count


def jumps(track: Track) -> int:
    """How often an id went farther from one picture to the next than a person goes."""
    pelvis = INDEX["pelvis"]
    steps = {k: np.linalg.norm(track[k].joints[pelvis] - track[k - 1].joints[pelvis])
             for k in track if k - 1 in track}  # fmt: skip
    return sum(bool(step > _JUMP * _size(track[k])) for k, step in steps.items())


def _size(pose: Pose) -> float:
    return float(np.ptp(pose.joints, axis=0).max())


def figures(pictures: Sequence[Sequence[Pose]]) -> dict[str, float]:
    """Of the people in a video who, as many as are seen at once at most, are there all the time.

    Returns ``pictures``, ``people``, ``ids``, ``throughout`` (ids of the first picture that the
    last one has, too), ``followed`` (share of people's pictures), ``lost`` (how many of them that
    leaves), ``jumps``, ``swaps``, ``bones`` (see `bone_variation`, the worst of all people; NaN
    without any).
    """
    by_id = tracks(pictures)
    people = max(map(len, pictures), default=0)
    seen, all_of_them = sum(map(len, pictures)), people * len(pictures)
    ends = [{pose.id for pose in pictures[k]} for k in (0, -1)] if pictures else [set()]
    variations = [bone_variation(track) for track in by_id.values()]
    return {
        "pictures": len(pictures), "people": people, "ids": len(by_id),
        "throughout": len(set.intersection(*ends)),
        "followed": seen / all_of_them if all_of_them else np.nan, "lost": all_of_them - seen,
        "jumps": sum(map(jumps, by_id.values())), "swaps": sum(map(swaps, by_id.values())),
        "bones": float(np.nanmax(variations)) if np.isfinite(variations).any() else np.nan,
    }  # fmt: skip


def follow(predict: Predictor, source: str) -> list[tuple[Pose, ...]]:
    """The poses of every picture of a video."""
    predict.forget()
    return [predict(frame).poses for frame, _ in frames(source)]


def ghosts(predict: Predictor, files: Sequence[Path]) -> float:
    """People shown in a picture, on average; each file is looked at as a camera would see it."""
    shown = 0
    for k, file in enumerate(files):
        image = cv2.imread(str(file))
        if image is None:
            raise DataError(f"{file} cannot be read")
        predict.forget()
        for look in range(_LOOKS):
            at_s = 2 * k + look / _LOOKS_A_SECOND  # never back: the clock is the pictures' own
            frame = Frame(_LOOKS * k + look, image, Timeline(now_ns()), media_s=at_s)
            shown += len(predict(frame).poses)
    return shown / (_LOOKS * len(files))


def metres_us(people: Sequence[Pose]) -> float:
    """Microseconds a person from joints in pixels to joints in metres, all people at once."""
    camera = Intrinsics.of_fov(1280, 720)
    joints, depth = to_pixels(np.array([pose.xyz + pose.position for pose in people]), camera)
    confidence = np.array([pose.confidence for pose in people])
    begin = time.perf_counter()
    for _ in range(_TIMED):
        to_metres(joints, depth, confidence, camera)
    return 1e6 * (time.perf_counter() - begin) / (_TIMED * len(people))


# --------------------------------------------------------------------------- the command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", nargs="+", default=[str(resources.CLIP)], help="videos in "
                        "which nobody comes or goes (default: the bundled clip)")  # fmt: skip
    parser.add_argument("--model", default=DEFAULT_MODEL, help="MODEL[@SIZE], as of livepose run")
    parser.add_argument("--people", type=int, default=5, help="follow so many at most, 1 to 10")
    parser.add_argument("--empty", type=Path, metavar="FOLDER", help="pictures without people: "
                        "every tenth one, which training leaves out, is looked at")  # fmt: skip
    parser.add_argument("--json", type=Path, help="file for the figures")


def main(args: argparse.Namespace) -> int:
    try:
        found = measure(args)
    except (DataError, WeightsError, ValueError) as error:
        print(f"livepose following: {error}", file=sys.stderr)
        return 2
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    print(as_text(found))
    return 0


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Raises DataError, WeightsError or ValueError for what cannot be used."""
    rooms = read_empty(args.empty, "test").images if args.empty else ()
    settings = EngineSettings(people=args.people)
    predict, _ = build(Choice.of(args.model), device.choose(), settings)
    found: dict[str, Any] = {"model": args.model, "at_most": args.people, "videos": []}
    most: Sequence[Pose] = ()
    for source in args.source:
        pictures = follow(predict, source)
        if not pictures:
            raise DataError(f"{source} is no video that can be read")
        found["videos"].append({"source": Path(source).name, **figures(pictures)})
        most = max([most, *pictures], key=len)
    if most:
        found["metres_us"] = metres_us(most)
    if rooms:
        found["empty"] = {"files": len(rooms), "people": ghosts(predict, rooms)}
    return found


def as_text(found: dict[str, Any]) -> str:
    # fmt: off
    head = ("pictures", "people", "ids", "throughout", "followed", "lost", "jumps", "swaps",
            "bones")
    # fmt: on
    lines = [f"{'':<32}" + "".join(f"{title:>11}" for title in head)]
    for video in found["videos"]:
        cells = [f"{100 * video[name]:.1f} %" if name in ("followed", "bones") else f"{video[name]}"
                 for name in head]  # fmt: skip
        lines.append(f"{video['source']:<32}" + "".join(f"{cell:>11}" for cell in cells))
    if "metres_us" in found:
        lines.append(f"From pixels to metres: {found['metres_us']:.0f} microseconds a person.")
    if "empty" in found:
        empty = found["empty"]
        lines.append(f"Without people: {empty['people']:.4f} people a picture, {empty['files']} "
                     "files.")  # fmt: skip
    return "\n".join(lines)
