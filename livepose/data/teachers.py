"""Labels that teacher networks made: cleaning human labels with them, and weak depth.

The files are those of `livepose label`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from livepose import skeleton
from livepose.data.samples import DataError, Samples, torso
from livepose.skeleton import INDEX, J

# A teacher's joint is believed from this score on, and within this disagreement with its own
# labelling of the mirror image; below the low score the joint is taken as hidden or outside.
_SURE, AGREES, _ABSENT = 0.3, 0.03, 0.15
# MediaPipe only has a visibility, and says 1 rather often.
_VISIBLE = 0.7
# Voices within this part of a torso say the same; the winner needs so many more than the next.
_SAME, _MARGIN = 0.25, 0.4


def read_labels(
    file: Path, *columns: str, optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:  # fmt: skip
    """The given columns of a file of pseudo-labels (`optional`: where it has them), or all.

    Raises:
        DataError: it is missing or broken, or lacks a column.
    """
    try:
        with np.load(file, allow_pickle=False) as data:
            wanted = [*columns, *(c for c in optional if c in data.files)] or data.files
            return {c: data[c] for c in wanted}
    except FileNotFoundError:
        raise DataError(f"{file} is missing; `livepose label` makes such files") from None
    except (ValueError, KeyError, OSError) as error:
        raise DataError(f"{file} is not a file of pseudo-labels: {error}") from error


def seen_by_teacher(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., 4) rows of a teacher -> joints that it is sure of, and `Samples.present` by it."""
    score, disagreement = keypoints[..., 2], keypoints[..., 3]
    known = (score > _SURE) & (disagreement < AGREES)
    present = np.select([known, score < _ABSENT], [1.0, 0.0], np.nan).astype("f4")
    return known, present


def _voice(samples: Samples, file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What one teacher says of the samples: joints (N, J, 2), sure (N, J), present (N, J)."""
    points, score, disagreement = _in_table(samples, read_labels(file), file)
    if np.isnan(disagreement).all():
        sure = score > _VISIBLE
        return points, sure, np.where(sure, 1, np.nan)
    return points, *seen_by_teacher(np.dstack([points, score, disagreement]))


def points_of(samples: Samples, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The labels in a file as predictions: (N, J, 3) pixels, NaN where it has none, and scores.

    z is about the pelvis, as `Samples.depth`; only MediaPipe's files have it.
    """
    columns = read_labels(file)
    points, score, _ = _in_table(samples, columns, file)
    z = np.full(score.shape, np.nan, "f4")
    if "world" in columns:
        z = _in_pixels(points, _blaze(samples, columns, "world", file))
    return np.dstack([points, z]), np.nan_to_num(score)


def _in_table(
    samples: Samples, columns: dict[str, np.ndarray], file: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (N, J, 2), scores (N, J), disagreements (N, J) of a file, NaN where it has none.

    The first joints of the table are COCO's, so a file with these is one with the whole table.
    """
    index = _rows(samples, columns, file)
    found = np.flatnonzero(index >= 0)
    table = np.full((len(samples), J, 4), np.nan, "f4")
    if "keypoints" in columns:
        labels = columns["keypoints"][index[found]]
        table[found, : labels.shape[1]] = labels
    else:
        table[found, :, :3] = blaze_to_table(columns["image33"][index[found]])
    return table[..., :2], table[..., 2], table[..., 3]


def _rows(samples: Samples, columns: dict[str, np.ndarray], file: Path) -> np.ndarray:
    """(N,) the row of each sample in a file of labels, -1 where it has none."""
    row = {str(name): i for i, name in enumerate(columns["image"])}

    def of(picture: Path) -> int:
        # In folders of folders, names alone may occur twice: as much of the path as is labelled.
        tails = ("/".join(picture.parts[k:]) for k in range(len(picture.parts)))
        return next((row[tail] for tail in tails if tail in row), -1)

    index = np.array([of(picture) for picture in samples.images], int)
    if len(index) and (index < 0).all():
        raise DataError(f"{file} has labels for none of the pictures of {samples.name}")
    return index


def _blaze(samples: Samples, columns: dict[str, np.ndarray], key: str, file: Path) -> np.ndarray:
    """A column of MediaPipe's without its visibility, (N, J, 2 or 3), NaN where there is nobody."""
    index = _rows(samples, columns, file)
    points = blaze_to_table(columns[key][index][..., :-1])
    return np.where(index[:, None, None] >= 0, points, np.nan)


def _in_pixels(flat: np.ndarray, world: np.ndarray) -> np.ndarray:
    """Joints (N, J, 2) in pixels, (N, J, 3) in metres -> (N, J) depth in pixels, NaN for nobody.

    Pixels per metre are the least-squares scale between the two flat skeletons.
    """
    a, b = (p - p[:, [INDEX["pelvis"]]] for p in (flat, world[..., :2]))
    with np.errstate(all="ignore"):
        scale = (a * b).sum((1, 2)) / (b * b).sum((1, 2))
    return np.where(scale[:, None] > 0, world[..., 2] * scale[:, None], np.nan)


def with_teachers(samples: Samples, files: Sequence[Path], trust: float = 1.5) -> Samples:
    """Cleans human labels by a vote, joint by joint: fills what is missing, corrects what is wrong.

    The human label has `trust` votes, each teacher that is sure has one. Labels within a quarter
    of a torso of each other are one opinion; the strongest one wins if it is clearly stronger than
    the next, else the joint counts as unknown. Within the winning opinion the human label is kept,
    and without one it is the mean of the teachers. With a `trust` above the number of teachers
    they only fill in.
    """
    voices = [_voice(samples, file) for file in files]
    points = np.stack([samples.joints, *(v[0] for v in voices)])
    sure = np.stack([samples.known, *(v[1] for v in voices)]) & ~np.isnan(points[..., 0])
    weight = sure * np.array([trust, *(1.0 for _ in voices)])[:, None, None]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nobody says anything of a picture
        unit = np.nanmedian(torso(np.nan_to_num(points), sure), 0)
    near = np.linalg.norm(points[:, None] - points[None], axis=-1) < _SAME * unit[:, None]
    support = np.where(sure, (near * weight[None]).sum(1), 0)
    best = support.argmax(0)[None]
    together = np.take_along_axis(near, best[:, None], 0)[0] & sure
    against = np.where(together, 0, support).max(0)
    known = np.take_along_axis(support, best, 0)[0] - against >= _MARGIN

    by_human = together[0]
    count = together[1:].sum(0)[..., None]
    mean = np.where(together[1:, ..., None], points[1:], 0).sum(0) / np.maximum(count, 1)
    joints = np.where(by_human[..., None], samples.joints, mean)
    with np.errstate(all="ignore"):
        said = np.stack([v[2] for v in voices])
        present = np.where((said == 1).any(0), 1, np.where((said == 0).any(0), 0, np.nan))
    present = np.where(by_human, samples.present, present)
    # Only where nobody is sure of a place may "hidden" stand without one.
    present = np.where(known | ~sure.any(0), present, np.nan)
    # Joints derived from others follow their corrected parents.
    middle = skeleton.indices(["pelvis", "spine"])
    known[:, middle] = False
    joints, known = skeleton.derive(joints, known)
    return replace(samples, joints=joints.astype("f4"), known=known, present=present.astype("f4"))


# MediaPipe's 33 joints that the table has.
_BLAZE = {
    "nose": 0, "left_eye": 2, "right_eye": 5, "left_ear": 7, "right_ear": 8,
    "left_shoulder": 11, "right_shoulder": 12, "left_elbow": 13, "right_elbow": 14,
    "left_wrist": 15, "right_wrist": 16, "left_hip": 23, "right_hip": 24,
    "left_knee": 25, "right_knee": 26, "left_ankle": 27, "right_ankle": 28,
}  # fmt: skip


def blaze_to_table(points: np.ndarray) -> np.ndarray:
    """MediaPipe's (N, 33, D) -> (N, J, D); the top of the head extends the line neck - ears."""
    table = np.full((len(points), J, points.shape[-1]), np.nan, "f4")
    table[:, skeleton.indices(list(_BLAZE))] = points[:, list(_BLAZE.values())]
    table, _ = skeleton.derive(table, ~np.isnan(table[..., 0]))
    head, neck = table[:, INDEX["head"]], table[:, INDEX["neck"]]
    table[:, INDEX["head_top"]] = head + 0.6 * (head - neck)
    return table


def with_depth(samples: Samples, file: Path) -> Samples:
    """Adds weak depth from a MediaPipe teacher, only where its 2D agrees with the labels."""
    data = read_labels(file, "image", "world", "image33")
    world, flat = (_blaze(samples, data, key, file) for key in ("world", "image33"))
    with np.errstate(all="ignore"):
        error = (
            np.linalg.norm(flat - samples.joints, axis=-1)
            / torso(samples.joints, samples.known)[:, None]
        )
        agrees = samples.known & (error < 0.3)
        judged = samples.known & ~np.isnan(error)
        trust = (agrees.sum(1) >= 0.75 * judged.sum(1)) & (judged.sum(1) >= 6)
    depth = _in_pixels(flat, world)
    # The row is trusted as a whole; a joint of it only if its own 2D is right.
    depth = np.where(trust[:, None] & agrees, depth, np.nan)
    return replace(samples, depth=depth.astype("f4"))
