"""Motion capture with cameras: Human3.6M and MPI-INF-3DHP (true 3D labels)."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from livepose import skeleton
from livepose.data.samples import DataError, Samples, make, with_xyz

# Which of Human3.6M's 32 joints are its usual 17, and of MPI-INF-3DHP's 28 those of MargiPose.
H36M_JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
MPI_JOINTS = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
H36M_SUBJECTS = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
# As in MargiPose: cameras at the height of a person, and its split of the training sequences.
MPI_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
MPI_SEQUENCES = {
    "train": [f"S{s}/Seq{q}" for s, q in itertools.product(range(1, 9), (1, 2))
              if (s, q) not in ((4, 1), (8, 2))],
    "val": ["S4/Seq1", "S8/Seq2"],
    "test": [f"TS{i}" for i in range(1, 7)],
}  # fmt: skip
MPI_SHORT = {("S6/Seq2", 2)}  # the video ends before its labels


def _h5(file: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise DataError("this data set needs h5py: pip install 'livepose[data]'") from None
    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise DataError(f"{file} is not a readable HDF5 file: {error}") from error


def fit_camera(joints: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Focal lengths and principal point (fx, fy, cx, cy) that project xyz (N, J, 3) to joints."""
    u, p = joints.reshape(-1, 2).astype(float), xyz.reshape(-1, 3).astype(float)
    good = np.isfinite(u).all(1) & np.isfinite(p).all(1) & (p[:, 2] > 0)
    u, p = u[good], p[good]
    out = []
    for axis in (0, 1):
        system = np.column_stack([p[:, axis] / p[:, 2], np.ones(len(p))])
        out.append(np.linalg.lstsq(system, u[:, axis], rcond=None)[0])
    return np.array([out[0][0], out[1][0], out[0][1], out[1][1]])


def _made(
    name: str, images: list[Path], layout: str, joints: np.ndarray, xyz: np.ndarray,
    camera: np.ndarray,
) -> Samples:  # fmt: skip
    """Samples from pixels, millimetres and (fx, fy, cx, cy); markers are seen from somewhere."""
    known = np.ones(joints.shape[:2], bool)
    flat = make(name, images, layout, joints, known, np.full(known.shape, np.nan, "f4"))
    table, has = skeleton.to_table(xyz / 1000, layout)
    table, _ = skeleton.derive(table, np.broadcast_to(has, table.shape[:2]))
    return with_xyz(flat, table, camera)


def _missing(what: str, names: list[str]) -> dict[str, int]:
    """For `Samples.omitted`."""
    return {f"missing {what} ({', '.join(names)})": len(names)}


def read_human36m(root: Path, split: str = "train") -> Samples:
    """Human3.6M as h36m-fetch writes it: ``S1/Directions-1/annot.h5`` and ``imageSequence/``.

    split: train (S1, S5, S6, S7, S8) or test (S9, S11). The true, not the universal skeletons.
    """
    found = {s: sorted((root / s).glob("*/annot.h5")) for s in H36M_SUBJECTS[split]}
    files = [file for own in found.values() for file in own]
    if not files:
        raise DataError(f"{root} has no S*/*/annot.h5 of {split}; h36m-fetch makes them")
    images: list[Path] = []
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for file in files:
        with _h5(file) as data:
            try:
                kind = "" if "pose/3d" in data else "-univ"  # early versions have only these
                own = f"intrinsics{kind}" if f"intrinsics{kind}" in data else "intrinsics"
                joints, xyz = data["pose/2d"][:], data[f"pose/3d{kind}"][:]
                cameras, frames = data["camera"][:], data["frame"][:]
                fitted = {int(c): np.array(data[own][c])[[0, 2, 1, 3]] for c in data[own]}
                camera = np.stack([fitted[int(c)] for c in cameras])
            except KeyError as error:
                raise DataError(f"{file} lacks {error}; make it again with h36m-fetch") from error
        folder = file.parent / "imageSequence"
        images += [folder / str(c) / f"img_{f:06d}.jpg"
                   for c, f in zip(cameras, frames, strict=True)]  # fmt: skip
        parts.append((joints[:, H36M_JOINTS], xyz[:, H36M_JOINTS], camera))
    joints, xyz, camera = (np.concatenate(p) for p in zip(*parts, strict=True))
    out = _made("human36m", images, "h36m17", joints, xyz, camera)
    return out.omitting(_missing("subjects", [s for s, own in found.items() if not own]))


def read_mpi_inf_3dhp(root: Path, split: str = "train", every: int = 10) -> Samples:
    """MPI-INF-3DHP as published: ``S1/Seq1/annot.mat`` and ``TS1/annot_data.mat``.

    split: train, val (S4/Seq1, S8/Seq2) or test (the valid frames of TS1-TS6). Of the training
    videos one frame in `every` is read, from ``imageSequence/video_0/000000.jpg``: `livepose data
    frames` writes these out of the videos. Intrinsics follow from the 2D and 3D labels.
    """
    images: list[Path] = []
    parts = []
    omitted: Counter[str] = Counter()
    there = [sequence for sequence in MPI_SEQUENCES[split] if (root / sequence).is_dir()]
    if not there:
        raise DataError(f"{root} has none of {', '.join(MPI_SEQUENCES[split])}")
    for sequence in there:
        folder = root / sequence
        parts += _mpi_test(folder, images, omitted) if split == "test" else _mpi_train(
            folder, sequence, every, images, omitted
        )  # fmt: skip
    joints, xyz, camera = (np.concatenate(p) for p in zip(*parts, strict=True))
    out = _made("mpi-inf-3dhp", images, "margipose17", joints, xyz, camera).omitting(omitted)
    missing = [sequence for sequence in MPI_SEQUENCES[split] if sequence not in there]
    return out.omitting(_missing("sequences", missing))


def _mpi_train(
    folder: Path, name: str, every: int, images: list[Path], omitted: Counter[str]
) -> list[tuple[Any, ...]]:
    file = folder / "annot.mat"
    try:
        data = scipy.io.loadmat(file)
        flat, deep = data["annot2"].ravel(), data["annot3"].ravel()
    except Exception as error:  # scipy raises many kinds on a broken file
        raise DataError(f"{file} is not a readable annot.mat: {error!r}") from error
    parts = []
    for k in MPI_CAMERAS:
        video = folder / "imageSequence" / f"video_{k}"
        if k >= len(flat):
            omitted["cameras without labels"] += 1
            continue
        if (name, k) in MPI_SHORT:
            omitted["videos that end before their labels"] += 1
            continue
        if not video.is_dir():
            raise DataError(f"{video} is missing: `livepose data frames` writes it from the video")
        joints = flat[k].reshape(-1, 28, 2)[::every, MPI_JOINTS]
        xyz = deep[k].reshape(-1, 28, 3)[::every, MPI_JOINTS]
        images += [video / f"{i * every:06d}.jpg" for i in range(len(joints))]
        parts.append((joints, xyz, np.tile(fit_camera(joints, xyz), (len(joints), 1))))
    return parts


def _mpi_test(
    folder: Path, images: list[Path], omitted: Counter[str]
) -> list[tuple[Any, ...]]:  # fmt: skip
    file = folder / "annot_data.mat"
    with _h5(file) as data:
        try:
            of_use = np.array(data["valid_frame"]).ravel() > 0
            valid = np.flatnonzero(of_use)
            joints, xyz = (np.array(data[n])[valid].reshape(len(valid), 17, -1)
                           for n in ("annot2", "annot3"))  # fmt: skip
        except KeyError as error:
            raise DataError(f"{file} lacks {error}; get it again") from error
    omitted["frames that are not valid"] += int((~of_use).sum())
    images += [folder / "imageSequence" / f"img_{i + 1:06d}.jpg" for i in valid]
    return [(joints, xyz, np.tile(fit_camera(joints, xyz), (len(joints), 1)))]
