"""Pictures with labels: one column store for every data set, and the readers.

All readers return `Samples` in the joints of `livepose.skeleton.JOINTS`, pixels of the picture.
What a data set does not label is masked; joints that follow from labelled ones are derived.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.io

from livepose import skeleton
from livepose.skeleton import INDEX, J

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class DataError(Exception):
    """A data set is missing or broken; the message names the file and what is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """N pictures of one person each.

    joints: (N, J, 2) float32 pixels, anything where not known. known: (N, J) bool.
    present: (N, J) float32, 1 visible, 0 hidden or outside the picture, NaN where nobody can say.
    depth: (N, J) float32, z about the pelvis in pixels of the picture (weak perspective: metres
    times pixels per metre), positive away from the camera, NaN where not known.
    """

    name: str
    images: tuple[Path, ...]
    joints: np.ndarray
    known: np.ndarray
    present: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: np.ndarray) -> Samples:
        """The given rows (indices or a mask)."""
        rows = np.arange(len(self))[rows]
        return replace(
            self, images=tuple(self.images[i] for i in rows), joints=self.joints[rows],
            known=self.known[rows], present=self.present[rows], depth=self.depth[rows],
        )  # fmt: skip


def make(
    name: str, images: list[Path], layout: str, points: np.ndarray, known: np.ndarray,
    present: np.ndarray,
) -> Samples:  # fmt: skip
    """`Samples` from labels (N, K, ...) in the order of a layout; derives what follows."""
    joints, _ = skeleton.to_table(points, layout)
    mask = np.nan_to_num(skeleton.to_table(known[..., None].astype("f4"), layout)[0][..., 0]) > 0
    seen = skeleton.to_table(present[..., None], layout)[0][..., 0]
    joints, mask = skeleton.derive(joints, mask)
    # A derived joint is as present as the least present joint that it is derived from.
    for target, sources in (("pelvis", "hip"), ("neck", "shoulder")):
        if np.isnan(seen[:, INDEX[target]]).all():
            pair = seen[:, [INDEX[f"left_{sources}"], INDEX[f"right_{sources}"]]]
            seen[:, INDEX[target]] = pair.min(1)
    depth = np.full(joints.shape[:2], np.nan, "f4")
    return Samples(name, tuple(images), joints.astype("f4"), mask, seen.astype("f4"), depth)


def _mat(root: Path) -> np.ndarray:
    file = root / "joints.mat"
    if not file.is_file():
        raise DataError(f"{file} is missing: --root must be the folder with joints.mat and images/")
    try:
        return scipy.io.loadmat(file)["joints"]
    except Exception as error:  # scipy raises many kinds on a broken file
        raise DataError(f"{file} is not a readable MATLAB file with 'joints': {error}") from error


def read_lsp(root: Path, split: str) -> Samples:
    """Leeds Sports Pose, official layout. split: train (im0001-0900), val (0901-1000), test.

    Every joint is labelled; flag 1 means occluded. The near-duplicate of a test picture, im0550,
    is left out of train.
    """
    joints = _mat(root)
    if joints.shape != (3, 14, 2000):
        raise DataError(f"{root / 'joints.mat'}: expected (3, 14, 2000) joints, got {joints.shape}")
    rows = {"train": np.arange(900), "val": np.arange(900, 1000), "test": np.arange(1000, 2000)}
    if split not in rows:
        raise DataError(f"LSP has the splits train, val and test, not {split!r}")
    i = rows[split] if split != "train" else np.setdiff1d(rows[split], [549])
    x, y, occluded = joints.transpose(2, 1, 0)[i].transpose(2, 0, 1)
    images = [root / "images" / f"im{k + 1:04d}.jpg" for k in i]
    points = np.stack([x, y], -1) - 1  # MATLAB counts pixels from 1
    return make("lsp", images, "lsp14", points, np.ones_like(x, bool), (1 - occluded).astype("f4"))


def read_lspet(root: Path) -> Samples:
    """LSP Extended. Flag 1 means labelled; an unlabelled joint is mostly hidden or outside."""
    joints = _mat(root)
    if joints.ndim != 3 or joints.shape[:2] != (14, 3):
        raise DataError(f"{root / 'joints.mat'}: expected (14, 3, N) joints, got {joints.shape}")
    x, y, labelled = joints.transpose(2, 0, 1).transpose(2, 0, 1)
    known = labelled > 0
    images = [root / "images" / f"im{k + 1:05d}.jpg" for k in range(joints.shape[2])]
    points = np.stack([x, y], -1) - 1
    return make("lspet", images, "lsp14", points, known, known.astype("f4"))


def read_coco(root: Path, annotations: str = "person_keypoints.json") -> Samples:
    """COCO keypoints: one row a person, pictures in ``root/images`` or ``root``."""
    file = root / annotations
    try:
        data = json.loads(file.read_text())
        names = {image["id"]: image["file_name"] for image in data["images"]}
        rows = [
            a for a in data["annotations"] if a.get("num_keypoints", 1) and not a.get("iscrowd")
        ]
        flat = np.array([a["keypoints"] for a in rows], "f4").reshape(-1, 17, 3)
    except FileNotFoundError:
        raise DataError(f"{file} is missing") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is not in COCO's keypoint format: {error!r}") from error
    folder = root / "images" if (root / "images").is_dir() else root
    images = [folder / names[a["image_id"]] for a in rows]
    flag = flat[..., 2]
    present = np.select([flag == 2, flag == 1], [1.0, 0.0], np.nan).astype("f4")
    return make("coco", images, "coco17", flat[..., :2], flag > 0, present)


def read_empty(root: Path) -> Samples:
    """Pictures without people, from a folder and those in it: nothing is present."""
    images = sorted(p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise DataError(f"{root} has no pictures")
    n = len(images)
    nothing = np.zeros((n, J), bool)
    unknown = np.full((n, J), np.nan, "f4")
    return Samples("empty", tuple(images), np.zeros((n, J, 2), "f4"), nothing, nothing.astype("f4"),
                   unknown)  # fmt: skip


# A teacher's joint is believed from this score on, and within this disagreement with its own
# labelling of the mirror image; below the low score the joint is taken as hidden or outside.
_SURE, _AGREES, _ABSENT = 0.3, 0.03, 0.15


def _labels(file: Path, *columns: str) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as data:
            return {c: data[c] for c in columns}
    except FileNotFoundError:
        raise DataError(f"{file} is missing; `livepose label` makes such files") from None
    except (ValueError, KeyError, OSError) as error:
        raise DataError(f"{file} is not a file of pseudo-labels: {error}") from error


def _seen_by_teacher(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    score, disagreement = keypoints[..., 2], keypoints[..., 3]
    known = (score > _SURE) & (disagreement < _AGREES)
    present = np.select([known, score < _ABSENT], [1.0, 0.0], np.nan).astype("f4")
    return known, present


def read_pseudo(root: Path, labels: str = "labels.npz") -> Samples:
    """Pictures labelled by teachers only (see `livepose.data.label`), depth included."""
    data = _labels(root / labels, "image", "keypoints")
    known, present = _seen_by_teacher(data["keypoints"])
    images = [root / "images" / str(name) for name in data["image"]]
    out = make("pseudo", images, "coco17", data["keypoints"][..., :2], known, present)
    out = out.take(known.sum(1) >= 5)  # with fewer joints nobody is there, or nobody sure
    return with_depth(out, root / labels)


def with_teacher(samples: Samples, file: Path) -> Samples:
    """Cleans human labels with a teacher's: fills what is missing, replaces gross errors.

    Where the teacher is sure and more than 0.5 torso (at least a tenth of the person) away from
    the label, the teacher is believed if it is very sure (score > 0.5).
    """
    data = _labels(file, "image", "keypoints")
    row = {str(name): i for i, name in enumerate(data["image"])}
    index = np.array([row.get(path.name, -1) for path in samples.images])
    keypoints = np.where(index[:, None, None] >= 0, data["keypoints"][index], np.nan)
    sure, present = _seen_by_teacher(keypoints)
    points, _ = skeleton.to_table(keypoints[..., :2], "coco17")
    pad = J - 17
    sure = np.pad(sure, ((0, 0), (0, pad)))
    very_sure = sure & (np.pad(keypoints[..., 2], ((0, 0), (0, pad))) > 0.5)
    present = np.pad(present, ((0, 0), (0, pad)), constant_values=np.nan)

    far = np.linalg.norm(points - samples.joints, axis=-1) > 0.5 * torso(samples)[:, None]
    wrong = samples.known & far & very_sure
    fill = ~samples.known & sure
    use = wrong | fill
    joints = np.where(use[..., None], points, samples.joints)
    # "Not labelled" in LSP Extended says little; the teacher's score decides there.
    seen = np.where(samples.known & ~wrong, samples.present, present)
    known = samples.known | fill
    # Joints derived from others follow their corrected parents.
    middle = skeleton.indices(["pelvis", "spine"])
    known[:, middle] = False
    joints, known = skeleton.derive(joints, known)
    return replace(samples, joints=joints.astype("f4"), known=known, present=seen.astype("f4"))


def torso(samples: Samples) -> np.ndarray:
    """(N,) left shoulder to right hip in pixels, at least a tenth of the extent of the joints."""
    a, b = INDEX["left_shoulder"], INDEX["right_hip"]
    length = np.linalg.norm(samples.joints[:, a] - samples.joints[:, b], axis=-1)
    both = samples.known[:, a] & samples.known[:, b]
    low, high = extent(samples.joints, samples.known)
    floor = 0.1 * (high - low).max(-1)
    return np.where(both, np.maximum(length, floor), 2 * floor)


def extent(joints: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., J, 2), (..., J) -> the corners (..., 2) of the box of known joints, NaN without any."""
    with np.errstate(all="ignore"):
        low = np.where(known[..., None], joints, np.inf).min(-2)
        high = np.where(known[..., None], joints, -np.inf).max(-2)
    empty = ~known.any(-1)
    low[empty], high[empty] = np.nan, np.nan
    return low, high


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
    data = _labels(file, "image", "world", "image33")
    row = {str(name): i for i, name in enumerate(data["image"])}
    index = np.array([row.get(path.name, -1) for path in samples.images])
    world, flat = (
        np.where(index[:, None, None] >= 0, blaze_to_table(data[key][index][..., :n]), np.nan)
        for key, n in (("world", 3), ("image33", 2))
    )
    # Pixels per metre: the least-squares scale between the two flat skeletons.
    a, b = (p - p[:, [INDEX["pelvis"]]] for p in (flat, world[..., :2]))
    with np.errstate(all="ignore"):
        scale = (a * b).sum((1, 2)) / (b * b).sum((1, 2))
        error = np.linalg.norm(flat - samples.joints, axis=-1) / torso(samples)[:, None]
        agrees = samples.known & (error < 0.3)
        judged = samples.known & ~np.isnan(error)
        trust = (agrees.sum(1) >= 0.75 * judged.sum(1)) & (judged.sum(1) >= 6) & (scale > 0)
        depth = world[..., 2] * scale[:, None]
    # The row is trusted as a whole; a joint of it only if its own 2D is right.
    depth = np.where(trust[:, None] & agrees, depth, np.nan)
    return replace(samples, depth=depth.astype("f4"))
