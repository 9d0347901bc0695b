"""Fixtures for all tests: seeds, and the data folder that not every machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Behaviour, not speed: a loaded machine must not fail a property test. The same cases each time.
settings.register_profile("livepose", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("livepose")

torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def _state_of_torch() -> None:
    torch.manual_seed(0)
    torch.set_flush_denormal(False)  # training sets it for the whole thread


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the user's, and nothing for the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data sets; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("LIVEPOSE_DATA", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no data folder (set LIVEPOSE_DATA): real data sets are not redistributed")
    return folder
