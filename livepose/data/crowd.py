"""Pictures of several people with their boxes, made from pictures of one.

For the person detector: people cut out by their masks are put before rooms and streets, some
before others; whole pictures stand side by side; and rooms stay empty.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from livepose.cv import cv2
from livepose.data.augment import blended, recolour, soft
from livepose.data.pictures import Pictures, box_of
from livepose.data.samples import Samples
from livepose.data.teachers import read_labels

# Width and height of the scenes, of about one area.
SHAPES = ((320, 192), (320, 192), (288, 224), (256, 256), (192, 320))
_SURE, _DOUBT = 0.3, 0.1  # scores of a teacher's boxes: a person, or perhaps one
_LEAST = 0.3  # part of a person that must be seen


@dataclass(frozen=True, slots=True)
class Scene:
    """image: (H, W, 3) uint8 BGR. boxes: (N, 4) left, top, right, bottom in pixels.

    doubtful: (M, 4) boxes where a detector is neither right nor wrong.
    """

    image: np.ndarray
    boxes: np.ndarray
    doubtful: np.ndarray


@dataclass(frozen=True, slots=True)
class Photos:
    """Whole pictures with the boxes of all people in them, by a teacher.

    boxes: one (N, 5) array a picture: left, top, right, bottom, score.
    """

    images: tuple[Path, ...]
    boxes: tuple[np.ndarray, ...]


def photos(folder: Path, labels: Path) -> Photos:
    """Pictures of a folder (and those in it) that a file of the MultiPose teacher names."""
    data = read_labels(labels, "image", "boxes")
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    files = {p.name: p for p in files.values()} | files
    rows = [(files[str(n)], b[b[:, 4] >= _DOUBT]) for n, b in
            zip(data["image"], data["boxes"], strict=True) if str(n) in files]  # fmt: skip
    return Photos(tuple(p for p, _ in rows), tuple(b for _, b in rows))


class Crowd(Dataset[Scene]):
    """Scene k depends on (seed, k) alone.

    Args:
        cutouts: samples with masks, with their shares. whole: photos. empty: pictures of nobody.
    """

    def __init__(
        self, cutouts: Sequence[Samples], whole: Sequence[Photos], empty: Sequence[Path],
        seed: int, length: int, batch: int,
    ) -> None:  # fmt: skip
        self.cutouts, self.whole, self.empty = list(cutouts), list(whole), list(empty)
        self.seed, self.length, self.batch = seed, length, batch
        self.files = Pictures()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> Scene:
        # One shape a batch, so that its scenes can be stacked.
        shape = np.random.default_rng((self.seed, k // self.batch)).integers(len(SHAPES))
        rng = np.random.default_rng((self.seed, k, 1))
        kind = rng.random()
        if kind < 0.45:
            image, boxes = self._cut_out(rng, *SHAPES[shape])
        else:
            image, boxes = self._side_by_side(rng, *SHAPES[shape], 1 if kind < 0.7 else 0)
        if rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])
            boxes[:, [0, 2]] = image.shape[1] - 1 - boxes[:, [2, 0]]
        boxes = _clipped(boxes, *SHAPES[shape])
        sure = boxes[:, 4] >= _SURE
        return Scene(recolour(rng, image), boxes[sure, :4], boxes[~sure, :4])

    def _read(self, rng: np.random.Generator, files: Sequence[Path]) -> tuple[np.ndarray, int]:
        for _ in range(10):
            i = int(rng.integers(len(files)))
            image = self.files.read(files[i])
            if image is not None:
                return image, i
        raise OSError("ten pictures in a row could not be read: is the data set complete?")

    def _cut_out(
        self, rng: np.random.Generator, width: int, height: int
    ) -> tuple[np.ndarray, np.ndarray]:
        image = _fill(rng, self._read(rng, self.empty)[0], width, height)
        number = int(rng.choice([0, 1, 2, 3, 4, 5, 6], p=[0.1, 0.2, 0.25, 0.2, 0.1, 0.1, 0.05]))
        # Small people are far away: the large ones stand before them.
        sizes = np.sort(np.exp(rng.uniform(np.log(0.2), np.log(1.4), number)))
        owner = np.full((height, width), -1)
        total = np.zeros(number)
        for k, size in enumerate(sizes):
            person, mask = self._person(rng, size * height)
            y = int(rng.uniform(-0.15, 1.05) * height - 0.6 * person.shape[0])
            y = y if rng.random() < 0.5 else height - int(person.shape[0] * rng.uniform(0.45, 1))
            x = int(rng.uniform(-0.3, 1.3) * width - person.shape[1] / 2)
            total[k] = (mask > 127).sum()
            _paste(image, owner, k, person, mask, x, y)
        boxes = []
        for k in range(number):
            rows, columns = np.nonzero(owner == k)
            seen = len(rows) / max(1.0, total[k])
            if len(rows) >= 30:
                score = 1.0 if seen >= _LEAST else _DOUBT
                boxes.append([columns.min(), rows.min(), columns.max(), rows.max(), score])
        return image, np.array(boxes, float).reshape(-1, 5)

    def _person(self, rng: np.random.Generator, tall: float) -> tuple[np.ndarray, np.ndarray]:
        """A person cut to its mask, about `tall` pixels high."""
        samples = self.cutouts[int(rng.integers(len(self.cutouts)))]
        assert samples.masks is not None
        image, i = self._read(rng, samples.images)
        mask = self.files.mask_of(image, samples.masks[i])
        box = None if mask is None else box_of(mask)
        if mask is None or box is None:
            return image[:1, :1], np.zeros((1, 1), np.uint8)
        x, y, w, h = box
        image, mask = image[y : y + h, x : x + w], mask[y : y + h, x : x + w]
        scale = tall / image.shape[0]
        size = (max(2, round(image.shape[1] * scale)), max(2, round(image.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return cv2.resize(image, size, interpolation=how), cv2.resize(mask, size)

    def _side_by_side(
        self, rng: np.random.Generator, width: int, height: int, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        number = number or int(rng.integers(2, 5))
        empty = rng.random() < 0.3
        image = (_fill(rng, self._read(rng, self.empty)[0], width, height) if empty
                 else np.zeros((height, width, 3), np.uint8))  # fmt: skip
        across = width >= height
        edges = np.linspace(0, width if across else height, number + 1).astype(int)
        boxes = []
        for a, b in itertools.pairwise(edges):
            cell = (a, 0, b - a, height) if across else (0, a, width, b - a)
            if number > 1 and rng.random() < 0.15:
                continue
            photo, i = self._photo(rng)
            boxes.append(_place(rng, image, photo, i, cell))
        return image, np.concatenate(boxes) if boxes else np.zeros((0, 5))

    def _photo(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        sizes = np.array([len(w.images) for w in self.whole], float)
        whole = self.whole[int(rng.choice(len(sizes), p=sizes / sizes.sum()))]
        image, i = self._read(rng, whole.images)
        return image, whole.boxes[i]


def _fill(rng: np.random.Generator, image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A part of the picture that fills the size."""
    scale = max(width / image.shape[1], height / image.shape[0]) * rng.uniform(1, 1.6)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = np.pad(image, ((0, 1), (0, 1), (0, 0)), "edge")
    y = int(rng.integers(0, image.shape[0] - height + 1))
    x = int(rng.integers(0, image.shape[1] - width + 1))
    return image[y : y + height, x : x + width].copy()


def _paste(
    image: np.ndarray, owner: np.ndarray, k: int, person: np.ndarray, mask: np.ndarray, x: int,
    y: int,
) -> None:  # fmt: skip
    h, w = image.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + person.shape[1], w), min(y + person.shape[0], h)
    if x0 >= x1 or y0 >= y1:
        return
    inner = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
    there = np.s_[y0:y1, x0:x1]
    image[there] = blended(person[inner], image[there], soft(mask, 0.7)[inner])
    owner[there][mask[inner] > 127] = k


def _place(
    rng: np.random.Generator, image: np.ndarray, photo: np.ndarray, boxes: np.ndarray,
    cell: tuple[int, int, int, int],
) -> np.ndarray:  # fmt: skip
    """A photo into a cell (left, top, width, height) of the scene; its boxes there (N, 5)."""
    left, top, w, h = cell
    scale = min(w / photo.shape[1], h / photo.shape[0]) * np.exp(rng.normal(0, 0.25))
    x = left + (w - photo.shape[1] * scale) * rng.random()
    y = top + (h - photo.shape[0] * scale) * rng.random()
    matrix = np.array([[scale, 0, x + (scale - 1) / 2], [0, scale, y + (scale - 1) / 2]])
    low, high = np.array([left, top]), np.array([left + w, top + h])
    inner = np.s_[low[1] : high[1], low[0] : high[0]]
    matrix[:, 2] -= low
    if scale < 0.5:
        photo = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix[:, 2] += scale / 2
        matrix[:, :2] *= 2
    target = np.ascontiguousarray(image[inner])
    cv2.warpAffine(photo, matrix, (w, h), target, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    image[inner] = target
    moved = boxes.astype(float)
    moved[:, :4] = moved[:, :4] * scale + np.tile([x, y], 2)
    area = (moved[:, 2:4] - moved[:, :2]).prod(1)
    corner = np.tile(low, 2), np.tile(high - 1, 2)
    moved[:, :4] = moved[:, :4].clip(*corner)
    seen = (moved[:, 2:4] - moved[:, :2]).prod(1) / np.maximum(area, 1)
    moved[:, 4] = np.where(seen >= _LEAST, moved[:, 4], np.minimum(moved[:, 4], _DOUBT))
    return moved


def _clipped(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes inside the scene, without those of next to nothing."""
    boxes = boxes.copy()
    boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, width - 1)
    boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, height - 1)
    return boxes[((boxes[:, 2:4] - boxes[:, :2]) >= 5).all(1)]
