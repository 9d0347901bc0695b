"""Data sets mixed into one endless, reproducible stream of training squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from livepose.crop import cut
from livepose.data.augment import move, random_patch, random_square, recolour, replace_background
from livepose.data.beside import Beside
from livepose.data.pictures import Pictures
from livepose.data.samples import DataError, Samples, inside

BACKGROUND = 0.5  # of the people with a mask are put before another background


@dataclass(frozen=True, slots=True)
class Item:
    """image: (S, S, 3) uint8 BGR. xyz: (J, 3). known, depth_known: (J,) bool. present: (J,)."""

    image: np.ndarray
    xyz: np.ndarray
    known: np.ndarray
    depth_known: np.ndarray
    present: np.ndarray


def usable(samples: Samples) -> Samples:
    """Those that teach something: of which a joint is known, or that nobody is there."""
    return samples.keep(samples.known.any(1) | (samples.present == 0).any(1),
                        "without any label")  # fmt: skip


class Mix(Dataset[Item]):
    """Square number k of the run depends on (seed, k) alone, so a run can go on at any k.

    In place of a picture that cannot be read another one is drawn; `files` knows which.

    Args:
        parts: data sets with their shares of the stream.
        backgrounds: pictures that people with a mask are now and then put before.
        sizes: of the squares in pixels in place of `size`, one for each `batch` of them.
        turned: share of the people who are turned any way up.
        beside: share of the people who get another one beside them (`livepose.data.beside`).
    """

    def __init__(
        self, parts: list[tuple[Samples, float]], size: int, seed: int, length: int,
        backgrounds: Sequence[Path] = (), sizes: Sequence[int] = (), batch: int = 1,
        turned: float = 0.1, beside: float = 0.0,
    ) -> None:  # fmt: skip
        self.parts = [usable(samples) for samples, _ in parts]
        for samples in self.parts:
            if not len(samples):
                raise DataError(f"nothing is labelled in {samples.name}; name its teachers?")
        self.shares = np.array([share for _, share in parts]) / sum(share for _, share in parts)
        self.sizes, self.batch = tuple(sizes) or (size,), batch
        self.seed, self.length, self.turned = seed, length, turned
        self.backgrounds = tuple(backgrounds)
        self.files = Pictures()
        self.beside = Beside(self.parts, beside)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> Item:
        rng = np.random.default_rng((self.seed, k))
        for _ in range(10):
            samples = self.parts[rng.choice(len(self.parts), p=self.shares)]
            i = int(rng.integers(len(samples)))
            image = self.files.read(samples.images[i])
            if image is not None:
                return self._item(rng, image, samples, i, self._size(k))
        raise OSError("ten pictures in a row could not be read: is the data set complete?")

    def _size(self, k: int) -> int:
        return self.sizes[np.random.default_rng((self.seed, k // self.batch)).integers(
            len(self.sizes))]  # fmt: skip

    def _item(
        self, rng: np.random.Generator, image: np.ndarray, s: Samples, i: int, side: int
    ) -> Item:
        size = np.array(image.shape[1::-1])
        # What lies outside the picture is neither to be found nor to be looked at.
        seen = s.known[i] & inside(s.joints[i], size)
        present = np.where(s.known[i] & ~seen, 0, s.present[i])
        if s.masks is not None and self.backgrounds and rng.random() < BACKGROUND:
            chosen = self.backgrounds[rng.integers(len(self.backgrounds))]
            other, mask = self.files.read(chosen), self.files.mask_of(image, s.masks[i])
            if other is not None and mask is not None:
                image = replace_background(rng, image, mask, other)
        square = (random_square(rng, s.joints[i], seen, self.turned) if seen.any()
                  else random_patch(rng, *size))  # fmt: skip
        xyz, known, present = move(s.joints[i], seen, present, s.depth[i], square)
        picture = cut(image, square, side)
        picture = self.beside(rng, picture, xyz[:, :2], known, self.files)
        picture = recolour(rng, picture)
        depth_known = known & ~np.isnan(xyz[:, 2])
        return Item(picture, np.nan_to_num(xyz).astype("f4"), known, depth_known, present)


def collate(items: list[Item]) -> dict[str, torch.Tensor]:
    """Stacks items: image (B, S, S, 3) uint8 and the labels as tensors."""
    names = Item.__dataclass_fields__
    return {n: torch.from_numpy(np.stack([getattr(item, n) for item in items])) for n in names}
