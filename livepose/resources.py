"""Where the files that come with livepose are: the bundled clip and the shipped weights."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def _folder(name: str) -> Path:
    # Installed, they lie inside the package; in a checkout, beside it.
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


ASSETS = _folder("assets")
WEIGHTS = _folder("weights")
CLIP = ASSETS / "clip.mp4"
