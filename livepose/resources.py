"""Where the files that come with livepose are: the bundled clip and the shipped weights."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent


def _folder(name: str) -> Path:
    # Installed, they lie inside the package; in a checkout, beside it.
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


ASSETS = _folder("assets")
WEIGHTS = _folder("weights")
CLIP = ASSETS / "clip.mp4"


def cache_folder(*parts: str) -> Path:
    """Where livepose keeps what it can make again; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache").joinpath("livepose", *parts)
