"""``livepose synth``: renders labelled people, in parallel and resumable (extra ``synth``).

Writes shards: a folder of pictures and masks (``00000.jpg``, ``00000.png``), and beside it an
``.npz`` of labels that is written last, so that a shard that has one is whole:

- ``image`` (N): file names; ``joints`` (N, J, 2) float32 pixels; ``xyz`` (N, J, 3) float32 metres
  from the camera (x right, y down, z away); ``visible`` (N, J) bool; ``focal`` (N) float32 pixels
  (the principal point is the middle of the picture); ``size`` (N, 2) width and height.
- what fixes the content, with the number of the shard and the data it is made from: ``split``,
  ``seed``, ``shard`` and ``takes`` (`SHARD` and `TAKES`), ``recipe`` (`RECIPE`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from livepose.cv import cv2
from livepose.data.samples import DataError
from livepose.data.teachers import read_labels
from livepose.timing.cores import usable_cores

if TYPE_CHECKING:
    from livepose.synth.scene import Studio

SHARD = 200  # pictures
TAKES = 20  # pictures of one person
RECIPE = 2  # counts up when the same seed gives other pictures; 2: builds of bodies are held out


@dataclass(frozen=True, slots=True)
class Job:
    """Where to read, where to write, and what."""

    assets: Path
    motions: Path
    backgrounds: Path
    split: str
    out: Path
    seed: int

    @property
    def settings(self) -> dict[str, str | int]:
        """What fixes the content of a shard, as it is written into it."""
        return {"split": self.split, "seed": self.seed, "shard": SHARD, "takes": TAKES,
                "recipe": RECIPE}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--assets", type=Path, required=True, help="makehuman.zip")
    parser.add_argument("--motions", type=Path, required=True, help="folder of motion files")
    parser.add_argument("--backgrounds", type=Path, required=True, help="pictures without people")
    parser.add_argument("--out", type=Path, required=True, help="folder; goes on if it exists")
    parser.add_argument("--count", type=int, default=10_000, help=f"pictures, in shards of {SHARD}")
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--seed", type=int, default=1)


_studio: Studio | None = None


def _open(job: Job) -> None:
    global _studio
    from livepose.synth.scene import Studio

    _studio = Studio(job.assets, job.motions, job.backgrounds, job.split)


def _shard(job: Job, number: int) -> int:
    """Renders shard `number`, which depends on the seed, the split and the number alone."""
    assert _studio is not None
    folder = job.out / f"{number:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((job.seed, int(job.split == "test"), number))
    rows = []
    for k in range(SHARD):
        if k % TAKES == 0:
            person = _studio.cast(rng)
        shot = _studio.shoot(rng, person)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        written = cv2.imwrite(str(folder / f"{k:05d}.jpg"), shot.image, quality)
        if not (written and cv2.imwrite(str(folder / f"{k:05d}.png"), shot.mask)):
            raise OSError(f"{folder}: cannot be written to; is the disk full?")
        rows.append((f"{number:05d}/{k:05d}.jpg", shot.joints, shot.xyz, shot.visible, shot.focal,
                     shot.image.shape[1::-1]))  # fmt: skip
    names = ("image", "joints", "xyz", "visible", "focal", "size")
    columns = {
        n: np.array(column) for n, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    part = job.out / f"{number:05d}.part"
    with part.open("wb") as file:
        np.savez(file, **columns, **job.settings)  # type: ignore[arg-type]
    part.rename(folder.with_suffix(".npz"))
    return SHARD


def _check(job: Job, shard: Path, finished: bool) -> None:
    """Raises `DataError` if a shard that is there was made with other settings.

    Older shards do not say, and can be kept in a `finished` set, but not gone on with.
    """
    made = read_labels(shard)
    for name, value in job.settings.items():
        own = made.get(name, value if finished else "unknown")
        if own != value:
            raise DataError(f"{shard} was made with {name} {own}, not {value}: give another --out")


def main(args: argparse.Namespace) -> int:
    # One thread a worker; before the workers load their libraries.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    job = Job(args.assets, args.motions, args.backgrounds, args.split, args.out, args.seed)
    shards = -(-args.count // SHARD)
    missing = [n for n in range(shards) if not (args.out / f"{n:05d}.npz").exists()]
    try:
        for number in sorted(set(range(shards)) - set(missing)):
            _check(job, args.out / f"{number:05d}.npz", finished=not missing)
        _open(job)  # tells what is missing before any worker starts
    except ImportError as error:
        print(f"livepose synth: {error}; pip install 'livepose[synth]'", file=sys.stderr)
        return 2
    except (DataError, OSError, zipfile.BadZipFile) as error:
        print(f"livepose synth: {error}", file=sys.stderr)
        return 2
    if len(missing) < shards:
        print(f"going on: {shards - len(missing)} of {shards} shards are there")
    bar = tqdm(total=shards * SHARD, initial=(shards - len(missing)) * SHARD, unit="images")
    spawn = multiprocessing.get_context("spawn")  # a process has one OpenGL context of its own
    with bar, ProcessPoolExecutor(args.workers, spawn, initializer=_open, initargs=(job,)) as pool:
        try:
            for done in pool.map(_shard, [job] * len(missing), missing):
                bar.update(done)
        except BrokenProcessPool:
            print("livepose synth: a worker died (too little memory for so many --workers?); "
                  "the same command goes on", file=sys.stderr)  # fmt: skip
            return 2
        except (DataError, OSError) as error:
            pool.shutdown(cancel_futures=True)
            print(f"livepose synth: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return 0
