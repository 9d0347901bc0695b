"""A person's bones keep their lengths: what makes a skeleton look like a body.

A network judges every picture anew, so its bones breathe. Here each person's lengths are learned:
usual proportions, drawn towards the running mean of what is seen, left and right alike. The
skeleton is put together again from the pelvis outwards with the directions of the picture and the
lengths of the person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from livepose.rows import Rows
from livepose.skeleton import BONES, FLIP, INDEX, J, indices

_PARENT = {b: a for a, b in BONES} | {
    "nose": "head", "left_eye": "head", "right_eye": "head", "left_ear": "head",
    "right_ear": "head",
}  # fmt: skip
# From the pelvis outwards: every parent stands before its children.
_ORDER = [b for _, b in BONES] + [n for n in _PARENT if n not in {b for _, b in BONES}]
_CHILD = np.array(indices(_ORDER))
_FROM = np.array(indices([_PARENT[n] for n in _ORDER]))
# The bone at the same place of the body's other side, among `_ORDER`.
_OTHER = np.array([list(_CHILD).index(FLIP[c]) for c in _CHILD])


def _paths() -> np.ndarray:
    """(J, bones): which bones lead from the pelvis to each joint."""
    paths = np.zeros((J, len(_ORDER)))
    for bone, (child, parent) in enumerate(zip(_CHILD, _FROM, strict=True)):
        paths[child] = paths[parent]
        paths[child, bone] = 1
    return paths


_PATHS = _paths()
# By its further end, in heights as `livepose.lift.metric` measures them: the medians of 14,000
# rendered bodies, of which most are within 5 to 7 % of them.
_USUAL = {
    "spine": 0.144, "neck": 0.144, "head": 0.130, "head_top": 0.080, "shoulder": 0.105,
    "elbow": 0.163, "wrist": 0.144, "hip": 0.067, "knee": 0.248, "ankle": 0.262,
    "nose": 0.064, "eye": 0.055, "ear": 0.046,
}  # fmt: skip
_LENGTHS = np.array([_USUAL[n.removeprefix("left_").removeprefix("right_")] for n in _ORDER])
# What is usual counts as much as so many pictures: a network sees a bone that points at the camera
# wrong by up to a half, and all pictures of a second alike.
_BELIEF = 30
# And for ever so much beside all pictures together: a network sees one person's bones wrong in the
# same way for as long as it looks, by about as much as bodies differ.
_BIAS = 1.0
# So many sure pictures weigh as much as all before them, once there were as many.
_MEMORY = 300
_SHORTEST = 0.005  # of the body's height
_SURE = 0.3  # confidence from which a joint tells about its bone


@dataclass
class Bones(Rows):
    """The lengths of P people's bones, in parts of the body's height; `new` makes one.

    mean: (P, bones), of what was seen. count: of pictures, as far as they count.
    """

    mean: np.ndarray
    count: np.ndarray

    @classmethod
    def new(cls, people: int) -> Bones:
        """Of so many people who have not been seen yet."""
        return cls(np.tile(_LENGTHS, (people, 1)), np.zeros((people, len(_ORDER))))

    def __call__(self, points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """(P, J, 3) heights about the pelvis, (P, J) -> (P, J, 3) with everybody's own lengths."""
        along = points[:, _CHILD] - points[:, _FROM]
        seen = np.maximum(np.sqrt((along * along).sum(-1)), _SHORTEST)
        lengths = self._learn(seen, confidence)
        steps = along * (lengths / seen)[..., None]
        return points[:, [INDEX["pelvis"]]] + _PATHS @ steps

    def _learn(self, seen: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        sure = (np.minimum(confidence[:, _CHILD], confidence[:, _FROM]) >= _SURE).astype(float)
        # Both sides tell about one length.
        weight, told = sure + sure[:, _OTHER], seen * sure
        mean = (told + told[:, _OTHER]) / np.maximum(weight, 1)
        self.count = np.minimum(self.count + (weight > 0), _MEMORY)
        share = (weight > 0) / np.maximum(self.count, 1)
        self.mean = self.mean + share * (mean - self.mean)
        believed = self.count / (_BELIEF + (1 + _BIAS) * self.count)
        return _LENGTHS + believed * (self.mean - _LENGTHS)
