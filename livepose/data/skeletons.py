"""Skeletons without pictures: those of samples with true 3D, seen from other sides.

What a network needs to learn how 2D poses go with depth. Rendering a picture costs a tenth of a
second, turning a skeleton nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from livepose.data.samples import Samples, extent
from livepose.skeleton import FLIP, INDEX, J, indices

_PELVIS = INDEX["pelvis"]
_LOW = indices(["left_knee", "right_knee", "left_ankle", "right_ankle", "left_wrist",
                "right_wrist"])  # fmt: skip
_UPPER = 0.3  # of the squares are about the upper body
_NEAREST = 0.15  # metres from the camera, what is nearer is not seen
_MISSED = 0.05  # of the joints are not found
# How sure a network is of a joint, 1 - beta(...), and how far off it is then (normalised): a little
# where it is sure, more and more where it is not, and sometimes far (Student's t, degrees of
# freedom). So `base` is on rendered people.
_DOUBT = (1.2, 2.2)
_OFF, _OFF_BY_DOUBT, _FREEDOM = 0.010, 0.055, 3


@dataclass(frozen=True, slots=True)
class Lifted:
    """xyz: (N, J, 3) float32 normalised, as of `livepose.models.margipose`; x and y are a bit off.

    sure: (N, J) float32 in 0..1, 0 for joints that are not found. known: (N, J) bool, whose depth
    counts. What a data set does not label is neither, and 0.
    """

    xyz: np.ndarray
    sure: np.ndarray
    known: np.ndarray


class Skeletons:
    """Draws squares of skeletons at random.

    Args:
        parts: data sets; those without true 3D are left out, and people without a pelvis.
        turned: share of the squares with any way up.
    """

    def __init__(self, parts: Sequence[Samples], turned: float = 0.1) -> None:
        xyz, focal = [np.zeros((0, J, 3))], [np.zeros(0)]
        for s in parts:
            if s.xyz is not None and s.camera is not None:
                rooted = ~np.isnan(s.xyz[:, _PELVIS]).any(1)
                xyz.append(s.xyz[rooted])
                focal.append(s.camera[rooted, :2].mean(1))
        self._xyz, self._focal = np.concatenate(xyz), np.concatenate(focal)
        self._turned = turned

    def __len__(self) -> int:
        return len(self._xyz)

    def __call__(self, rng: np.random.Generator, number: int) -> Lifted:
        """`number` of them, each turned about the vertical and tilted a little, or mirrored."""
        i = rng.integers(len(self), size=number)
        body, root = self._xyz[i] - self._xyz[i, None, _PELVIS], self._xyz[i, _PELVIS]
        mirrored = body[:, list(FLIP)] * [-1, 1, 1]
        body = np.where(rng.random((number, 1, 1)) < 0.5, mirrored, body)
        body = np.einsum("nij,nkj->nki", _turns(rng, number), body)
        away = np.maximum(root[:, 2], 0.5) * np.exp(rng.normal(0, 0.15, number))
        scale = (self._focal[i] / away)[:, None]  # pixels per metre at the pelvis
        z = body[..., 2] + away[:, None]
        seen = z > _NEAREST  # which a joint without label is not
        flat = body[..., :2] * (self._focal[i, None] / np.maximum(z, _NEAREST))[..., None]
        xy, side = self._square(rng, flat, seen)
        xyz = np.dstack([xy, body[..., 2] * scale * 2 / side[:, None]])
        known = seen & (np.abs(xyz) < 1).all(-1)
        found = known & (rng.random(known.shape) >= _MISSED)
        doubt = rng.beta(*_DOUBT, known.shape)
        off = (_OFF + _OFF_BY_DOUBT * doubt) * rng.uniform(0.5, 1.5, (number, 1))
        xyz[..., :2] += rng.standard_t(_FREEDOM, xy.shape) * off[..., None]
        sure = np.where(found, 1 - doubt, 0)
        return Lifted(np.nan_to_num(xyz).astype("f4"), sure.astype("f4"), known)

    def _square(
        self, rng: np.random.Generator, flat: np.ndarray, seen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joints (N, J, 2) in pixels -> normalised in squares about them, and the squares' sides.

        Like the squares of `livepose.data.augment.random_square`.
        """
        n = len(flat)
        angle = np.where(rng.random(n) < self._turned, rng.uniform(-np.pi, np.pi, n),
                         rng.normal(0, 0.3, n))  # fmt: skip
        c, s = np.cos(angle), np.sin(angle)
        flat = np.einsum("ijn,nkj->nki", np.array([[c, -s], [s, c]]), flat)
        use = seen.copy()
        use[:, _LOW] &= rng.random((n, 1)) >= _UPPER
        low, high = extent(flat, use)
        side = np.ptp(np.stack([low, high]), axis=0).max(-1) * np.exp(rng.uniform(0.05, 0.75, n))
        middle = (low + high) / 2 + rng.normal(0, 0.06, (n, 2)) * side[:, None]
        return (flat - middle[:, None]) * 2 / side[:, None, None], side


def _turns(rng: np.random.Generator, number: int) -> np.ndarray:
    """(N, 3, 3): about the vertical by any angle, then about the horizontal by a small one."""
    a, b = rng.uniform(-np.pi, np.pi, number), rng.normal(0, 0.25, number)
    one, zero = np.ones(number), np.zeros(number)
    about_y = [[np.cos(a), zero, np.sin(a)], [zero, one, zero], [-np.sin(a), zero, np.cos(a)]]
    about_x = [[one, zero, zero], [zero, np.cos(b), -np.sin(b)], [zero, np.sin(b), np.cos(b)]]
    return np.einsum("ijn,jkn->nik", np.array(about_x), np.array(about_y))
