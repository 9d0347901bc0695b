"""Exported networks, kept on disk from one run to the next: exporting takes seconds."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from livepose import __version__
from livepose.models.networks import PoseNetwork
from livepose.resources import cache_folder

_FORMAT = 5  # of what is kept
_MOST = 3 << 30  # bytes of each runtime; what was not used for longest goes first


def folder_of(net: PoseNetwork, runtime: str, version: str, kind: str = "") -> Path:
    """Where the network is kept; another one, or another version of anything, has another folder.

    runtime: ``openvino``, ... kind: of export, where a runtime has several.
    """
    settings = repr((net.config, sorted(net.ranges.items())))
    return folder_of_any(net, settings, runtime, version, kind)


def folder_of_any(
    net: nn.Module, settings: str, runtime: str, version: str, kind: str = ""
) -> Path:
    """As `folder_of`; settings: all that makes the network, but for its tensors."""
    digest = hashlib.sha256(f"{_FORMAT} {__version__} {torch.__version__} {version}".encode())
    digest.update(settings.encode())
    for tensor in net.state_dict().values():
        digest.update(tensor.float().numpy().tobytes())
    return cache_folder(runtime, digest.hexdigest()[:24] + kind)


def mark_used(folder: Path) -> None:
    """It has been read, so that it is not the next to go."""
    with suppress(OSError):
        os.utime(folder)


def keep(folder: Path, write: Callable[[Path], None]) -> None:
    """Has `write` fill the folder, which comes into being as a whole: another livepose may be
    reading. What cannot be kept is exported again the next time.
    """
    with suppress(OSError, RuntimeError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="new-") as place:
            fresh = Path(place) / folder.name
            fresh.mkdir()
            write(fresh)
            shutil.rmtree(folder, ignore_errors=True)  # a broken one
            fresh.rename(folder)
        _tidy(folder.parent)


def _tidy(parent: Path) -> None:
    total = 0
    for folder in sorted(parent.iterdir(), key=lambda f: -f.stat().st_mtime):
        total += sum(file.stat().st_size for file in folder.rglob("*"))
        if total > _MOST:
            shutil.rmtree(folder, ignore_errors=True)
