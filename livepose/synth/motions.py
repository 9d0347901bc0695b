"""Frames of the motion files: 3D joint positions by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from livepose.data.samples import DataError

TEST_SUBJECTS = ("S9", "S11")  # of Human3.6M
HUMAN36M = "human36m_10hz.npz"
FILES = {"train": (HUMAN36M, "bandai_namco_10hz.npz"), "test": (HUMAN36M,)}


class Motions:
    """The frames of a split: train, or test (Human3.6M's S9 and S11)."""

    def __init__(self, folder: Path, split: str) -> None:
        self._files = []
        for name in FILES[split]:
            file = folder / name
            try:
                with np.load(file, allow_pickle=False) as data:
                    positions, joints = data["positions"], [str(j) for j in data["joints"]]
                    lengths = data["clip_lengths"]
                    subjects = data["subjects"] if "subjects" in data else np.full(len(lengths), "")
            except FileNotFoundError:
                raise DataError(f"{file} is missing") from None
            except (ValueError, KeyError, OSError) as error:
                raise DataError(f"{file} is not a motion file: {error}") from error
            of_test = np.repeat(np.isin(subjects, TEST_SUBJECTS), lengths)
            keep = of_test if split == "test" else ~of_test
            # Clips of Bandai Namco are short and alike; Human3.6M has more of daily life.
            self._files.append((joints, positions[keep]))
        weights = np.array([0.75, 0.25][: len(self._files)])
        self._shares = weights / weights.sum()

    def __len__(self) -> int:
        return sum(len(positions) for _, positions in self._files)

    def pick(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A random frame: joint -> position (3,), metres, y up."""
        joints, positions = self._files[rng.choice(len(self._files), p=self._shares)]
        frame = positions[rng.integers(len(positions))].astype(float)
        return dict(zip(joints, frame, strict=True))
