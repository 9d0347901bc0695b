"""Data sets mixed into one endless, reproducible stream of training squares."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from livepose.crop import cut
from livepose.cv import cv2
from livepose.data.augment import move, random_patch, random_square, recolour
from livepose.data.samples import Samples


@dataclass(frozen=True, slots=True)
class Item:
    """image: (S, S, 3) uint8 BGR. xyz: (J, 3). known, depth_known: (J,) bool. present: (J,)."""

    image: np.ndarray
    xyz: np.ndarray
    known: np.ndarray
    depth_known: np.ndarray
    present: np.ndarray


class Mix(Dataset[Item]):
    """Square number k of the run depends on (seed, k) alone, so a run can go on at any k.

    Args:
        parts: data sets with their shares of the stream.
    """

    def __init__(
        self, parts: list[tuple[Samples, float]], size: int, seed: int, length: int
    ) -> None:
        # A picture of which nothing is known teaches nothing; that nobody is there is knowledge.
        self.parts = [s.take(s.known.any(1) | (s.present == 0).any(1)) for s, _ in parts]
        self.shares = np.array([share for _, share in parts]) / sum(share for _, share in parts)
        self.size, self.seed, self.length = size, seed, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> Item:
        rng = np.random.default_rng((self.seed, k))
        for _ in range(10):
            samples = self.parts[rng.choice(len(self.parts), p=self.shares)]
            i = int(rng.integers(len(samples)))
            image = cv2.imread(str(samples.images[i]), cv2.IMREAD_COLOR)
            if image is not None:
                return self._item(rng, image, samples, i)
            print(f"{samples.images[i]}: not a readable picture, skipped", file=sys.stderr)
        raise OSError("ten pictures in a row could not be read: is the data set complete?")

    def _item(self, rng: np.random.Generator, image: np.ndarray, s: Samples, i: int) -> Item:
        if s.known[i].any():
            square = random_square(rng, s.joints[i], s.known[i])
        else:
            square = random_patch(rng, image.shape[1], image.shape[0])
        xyz, known, present = move(s.joints[i], s.known[i], s.present[i], s.depth[i], square)
        picture = recolour(rng, cut(image, square, self.size))
        depth_known = known & ~np.isnan(xyz[:, 2])
        return Item(picture, np.nan_to_num(xyz).astype("f4"), known, depth_known, present)


def collate(items: list[Item]) -> dict[str, torch.Tensor]:
    """Stacks items: image (B, S, S, 3) uint8 and the labels as tensors."""
    names = Item.__dataclass_fields__
    return {n: torch.from_numpy(np.stack([getattr(item, n) for item in items])) for n in names}
