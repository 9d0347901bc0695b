"""Data sets in their official layouts, made small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.data.made import write_image


@pytest.fixture
def lsp(tmp_path: Path) -> Path:
    """Leeds Sports Pose with three of its pictures."""
    joints = np.zeros((3, 14, 2000))
    joints[0], joints[1] = np.arange(14)[:, None] * 2 + 11, np.arange(14)[:, None] * 3 + 21
    joints[2, 4] = 1  # left knee occluded
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": joints})
    for i in (1, 2, 1001):
        write_image(tmp_path / "images" / f"im{i:04d}.jpg")
    return tmp_path
