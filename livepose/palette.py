"""Colours that mean something, shared by every view (no Qt in here).

Left and right are orange and blue, which stay apart for every common kind of colour blindness
and in grey; the middle line of the body is neutral.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from livepose.skeleton import BONES, FACE_BONES, JOINTS, side

RGB = tuple[int, int, int]

SIDES: dict[str, RGB] = {
    "left": (255, 150, 46),
    "right": (58, 160, 255),
    "middle": (236, 240, 245),
}

# One colour for each person where several are followed (after Okabe & Ito, with four more).
PEOPLE: tuple[RGB, ...] = (
    (86, 180, 233), (230, 159, 0), (0, 178, 130), (224, 130, 184), (240, 228, 66),
    (213, 94, 0), (120, 130, 240), (150, 205, 90), (200, 160, 130), (190, 190, 200),
)  # fmt: skip
# A person's left side is so much lighter and the right side so much darker.
_SHADES = {"left": 0.4, "right": -0.25, "middle": 0.0}

# Below `FADE[0]` a joint is not drawn at all, above `FADE[1]` it is drawn in full.
FADE = (0.1, 0.5)

# Where the time goes: greys before the engine, cold colours inside it, warm ones towards the eye.
STAGES: dict[str, RGB] = {
    "capture": (139, 152, 168),
    "wait": (94, 106, 122),
    "detect": (104, 200, 120),
    "preprocess": (64, 196, 180),
    "upload": (48, 160, 214),
    "forward": (86, 124, 240),
    "decode": (146, 106, 232),
    "download": (196, 104, 208),
    "track": (226, 116, 168),
    "compare": (150, 160, 90),
    "probe": (190, 180, 110),
    "handover": (240, 170, 76),
    "paint": (236, 112, 99),
}

LEVELS: dict[str, RGB] = {
    "info": (58, 141, 222),
    "warning": (214, 146, 28),
    "error": (214, 69, 65),
}


def person_colour(number: int) -> RGB:
    """Of the person with this id, from 1 on."""
    return PEOPLE[(number - 1) % len(PEOPLE)]


def sides_of(number: int, middle: RGB = SIDES["middle"]) -> dict[str, RGB]:
    """Colours of left, right and middle: the usual ones for id 0, shades of one for a person."""
    if number == 0:
        return {**SIDES, "middle": middle}
    own = np.array(person_colour(number), float)
    shades = {side: own + (255 - own) * s if s > 0 else own * (1 + s)
              for side, s in _SHADES.items()}  # fmt: skip
    return {side: (int(c[0]), int(c[1]), int(c[2])) for side, c in shades.items()}


def bone_side(bone: tuple[str, str]) -> str:
    """The side that a bone is drawn in: that of its outer end."""
    return side(bone[1]) if side(bone[1]) != "middle" else side(bone[0])


def joint_colours(middle: RGB = SIDES["middle"], number: int = 0) -> np.ndarray:
    """(J, 3) uint8 RGB in the order of `JOINTS`; `middle` suits the background.

    number: the person's id, 0 where only one is followed.
    """
    sides = sides_of(number, middle)
    return np.array([sides[side(name)] for name in JOINTS], np.uint8)


def bone_colours(
    bones: Sequence[tuple[str, str]] = (*BONES, *FACE_BONES),
    middle: RGB = SIDES["middle"],
    number: int = 0,
) -> np.ndarray:
    """(len(bones), 3) uint8 RGB, see `joint_colours`."""
    sides = sides_of(number, middle)
    return np.array([sides[bone_side(bone)] for bone in bones], np.uint8)


def opacity(confidence: np.ndarray) -> np.ndarray:
    """Confidence 0..1 -> opacity 0..1: nothing below `FADE[0]`, all above `FADE[1]`."""
    low, high = FADE
    t = np.clip((np.asarray(confidence, np.float32) - low) / (high - low), 0, 1)
    # A joint just above the threshold should be faint, not invisible.
    return np.where(np.asarray(confidence) < low, 0, 0.15 + 0.85 * t * t * (3 - 2 * t))


def heat(values: np.ndarray, colour: RGB = (255, 72, 96)) -> np.ndarray:
    """(H, W) in 0..1 -> (H, W, 4) uint8 RGBA, see-through where low, hot to white where high."""
    t = np.clip(values, 0, 1)[..., None]
    base, hot = np.array(colour, np.float32), np.array((255, 244, 190), np.float32)
    rgb = base + (hot - base) * np.clip((t - 0.45) / 0.55, 0, 1)
    return np.concatenate([rgb, 235 * np.sqrt(t) * (t > 0.02)], axis=-1).astype(np.uint8)
