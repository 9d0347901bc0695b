"""Pictures, labels of teachers and a small data set, made for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from livepose.cv import cv2
from livepose.data import teachers
from livepose.data.readers import read
from livepose.data.samples import Samples
from livepose.skeleton import COCO_17


def write_image(file: Path, width: int = 60, height: int = 80) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    cv2.imwrite(str(file), noise)


def pseudo(folder: Path, n: int = 2, score: float = 0.9) -> dict[str, np.ndarray]:
    """Labels of `n` pictures of a folder, which are written, too, but not the labels."""
    n += 1  # the first of twenty is for validation: read() gives the n others
    keypoints = np.zeros((n, 17, 4), "f4")
    rng = np.random.default_rng(0)
    keypoints[..., :2] = rng.uniform(10, 60, (n, 17, 2))
    keypoints[..., 2], keypoints[..., 3] = score, 0.01
    labels = {"image": np.array([f"{i}.jpg" for i in range(n)]), "keypoints": keypoints}
    folder.mkdir(exist_ok=True)
    for name in labels["image"]:
        write_image(folder / "images" / str(name))
    return labels


def blaze(keypoints: np.ndarray, metre: float = 50.0) -> tuple[np.ndarray, np.ndarray]:
    """MediaPipe's rows of the same people, `metre` pixels a metre, the wrist 0.1 m behind."""
    n = len(keypoints)
    world, flat = np.zeros((n, 33, 4), "f4"), np.zeros((n, 33, 3), "f4")
    for name, i in teachers._BLAZE.items():
        flat[:, i, :2] = keypoints[:, COCO_17.index(name), :2]
    flat[..., 2] = 1
    hips = flat[:, [23, 24], :2].mean(1, keepdims=True)
    world[..., :2] = (flat[..., :2] - hips) / metre
    world[:, 15, 2] = 0.1
    return world, flat


def people(tmp_path: Path) -> Samples:
    """Four of them, from the folder ``p``."""
    labels = pseudo(tmp_path / "p", 4)
    world, flat = blaze(labels["keypoints"])
    np.savez(tmp_path / "p/labels.npz", **labels, world=world, image33=flat)
    return read("pseudo", tmp_path / "p")
