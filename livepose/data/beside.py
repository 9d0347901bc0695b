"""Other people beside the one whom a square is about.

In a group, or where two cross, the square about one person shows parts of the next. A network that
has only seen people by themselves then takes the limbs of whoever is easier to see. So people who
were cut out by their masks are pasted beside the one in the middle, who stays the one to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from livepose.crop import Square, cut
from livepose.data.augment import blended, soft
from livepose.data.pictures import Pictures, box_of
from livepose.data.samples import Samples, extent

_SIZES = (0.6, 1.3)  # of the other one, in sizes of the person in the middle
_GAPS = (-0.25, 0.3)  # between the two, in widths of the narrower one; below 0 they overlap


class Beside:
    """Pastes people beside others.

    Args:
        cutouts: data sets; of those with masks people are taken.
        share: of the squares that get another person.
    """

    def __init__(self, cutouts: Sequence[Samples], share: float) -> None:
        self.cutouts = [s for s in cutouts if s.masks is not None]
        self.share = share

    def __call__(
        self, rng: np.random.Generator, picture: np.ndarray, xy: np.ndarray, known: np.ndarray,
        files: Pictures,
    ) -> np.ndarray:  # fmt: skip
        """The square (S, S, 3) with somebody beside the person in it, or as it is.

        xy: (J, 2) normalised coordinates of the person. known: (J,) bool.
        """
        if not (self.share and self.cutouts and known.any() and rng.random() < self.share):
            return picture
        samples = self.cutouts[rng.integers(len(self.cutouts))]
        i = int(rng.integers(len(samples)))
        image = files.read(samples.images[i])
        if image is None or samples.masks is None:
            return picture
        mask = files.mask_of(image, samples.masks[i])
        box = None if mask is None else box_of(mask)
        if mask is None or box is None:
            return picture
        x, y, w, h = box
        corners = np.array([[x, y], [x + w - 1, y + h - 1]])
        square, size = square_beside(rng, xy, known, corners), picture.shape[0]
        return blended(cut(image, square, size), picture, soft(cut(mask, square, size), 0.7))


def square_beside(
    rng: np.random.Generator, xy: np.ndarray, known: np.ndarray, box: np.ndarray
) -> Square:
    """The square of another picture that shows its person beside the one at `xy`.

    On the side that is farther from the middle of the square, so that the person in the middle
    stays the one in the middle.

    xy: (J, 2) normalised. known: (J,) bool. box: (2, 2) corners of the other one, pixels.
    """
    (low, high), (first, last) = extent(xy, known), box
    mine, other = np.maximum(high - low, 0.05), np.maximum(last - first, 4.0)
    larger = mine.max() * np.exp(rng.uniform(*np.log(_SIZES)))
    side = 2 * other.max() / larger
    width = 2 * other[0] / side
    centre = (low + high) / 2
    outwards = np.sign(centre[0]) if abs(centre[0]) > 0.1 else rng.choice([-1.0, 1.0])
    gap = rng.uniform(*_GAPS) * min(mine[0], width)
    across = outwards * ((mine[0] + width) / 2 + gap)
    at = centre + np.array([across, rng.normal(0, 0.1) * mine[1]])
    middle = (first + last) / 2
    about = Square(middle[0], middle[1], side, rng.normal(0, 0.15), bool(rng.random() < 0.5))
    # The person comes to `at` where the square's centre is what is at -`at` of one about her.
    cx, cy = about.to_picture(-at)
    return replace(about, cx=cx, cy=cy)
