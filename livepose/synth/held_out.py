"""What the test split of rendered people has to itself, beside motions and backgrounds.

Subjects of the motion capture: `livepose.synth.motions.TEST_SUBJECTS`; backgrounds: the test split
of `livepose.data.readers.empty`.
"""

from __future__ import annotations

CLOTHES = {"male_casualsuit06", "female_casualsuit02", "shoes06", "short04", "bob02"}
SKINS = {"young_lightskinned_male_diffuse2.jpg", "young_lightskinned_female_diffuse3.jpg"}
HEIGHTS = (0.15, 0.85)  # of all bodies, on anny's scale
_BANDS = 5  # of height, each of which has one such band of weight for the test split


def is_test_build(height: float, weight: float) -> bool:
    """Whether a body of this height and weight (0..1, anny's scales) is one of the test split."""
    return _band(weight) == _held(height)


def weight_of(split: str, height: float, weight: float) -> float:
    """The weight nearby that the split has in place of one that it may not have."""
    band, held = _band(weight), _held(height)
    within = weight * _BANDS - band
    if split == "test":
        band = held
    elif band == held:
        band += 1 if held < _BANDS // 2 else -1  # towards the middle, where most people are
    return (band + within) / _BANDS


def _band(share: float) -> int:
    return min(int(share * _BANDS), _BANDS - 1)


def _held(height: float) -> int:
    """The band of weight that is held out: at each height another one, thin and heavy ones too."""
    low, high = HEIGHTS
    return 2 * _band((height - low) / (high - low)) % _BANDS
