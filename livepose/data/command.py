"""``livepose data``: look at a data set before training on it, and get frames out of its videos."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from livepose.cv import cv2
from livepose.data.mix import Mix
from livepose.data.readers import READERS, read
from livepose.data.readers.true3d import MPI_CAMERAS
from livepose.data.samples import IMAGE_SUFFIXES, DataError, Samples, boxes, by_tilt
from livepose.data.teachers import with_teachers
from livepose.drawing import draw_skeleton, fit, sheet
from livepose.skeleton import INDEX, LIMBS, indices

_TILE = 240


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", required=True)
    check = commands.add_parser("check", help="count what is labelled, draw a contact sheet")
    check.add_argument("dataset", choices=sorted(READERS))
    check.add_argument("root", type=Path, help="folder of the data set")
    check.add_argument("--split", default="train")
    check.add_argument("--teachers", type=Path, nargs="+", default=[], metavar="NPZ",
                       help="labels that vote with the human's")  # fmt: skip
    check.add_argument("--trust", type=float, default=1.5, help="votes of the human label")
    check.add_argument("--out", type=Path, help="contact sheet to write (.png, .jpg)")
    check.add_argument("--count", type=int, default=40, help="pictures on the sheet")
    check.add_argument("--squares", action="store_true", help="as training sees them, augmented")
    check.add_argument("--backgrounds", type=Path, help="for --squares: pictures without people")
    check.add_argument("--every-picture", action="store_true", help="open all pictures")
    check.add_argument("--seed", type=int, default=1)
    frames = commands.add_parser("frames", help="write frames of MPI-INF-3DHP's videos")
    frames.add_argument("root", type=Path, help="folder with S1, S2 ...")
    frames.add_argument("--every", type=int, default=10, help="one frame in so many")


def main(args: argparse.Namespace) -> int:
    try:
        return _frames(args.root, args.every) if args.what == "frames" else _check(args)
    except (DataError, OSError) as error:
        print(f"livepose data: {error}", file=sys.stderr)
        return 2


# --------------------------------------------------------------------------- check


def _check(args: argparse.Namespace) -> int:
    samples = read(args.dataset, args.root, args.split)
    print(f"{samples.name} {args.split}: {len(samples)} people")
    if samples.omitted:
        print(f"  left out: {samples.left_out}")
    if args.teachers:
        samples = _voted(samples, args.teachers, args.trust)
    broken = _broken(samples, all_of_them=args.every_picture)
    for path in broken[:20]:
        print(f"  not a readable picture: {path}")
    looked = "all" if args.every_picture else "first and last 50 of the"
    print(f"  {len(broken)} broken or missing among {looked} pictures")
    print(f"  {'joint':<16}{'labelled':>9}{'visible':>9}{'hidden':>9}{'depth':>9}")
    for name, j in INDEX.items():
        seen = samples.present[:, j]
        shares = (samples.known[:, j], seen == 1, seen == 0, ~np.isnan(samples.depth[:, j]))
        print(f"  {name:<16}" + "".join(f"{100 * s.mean():8.1f}%" for s in shares))
    if tilted := by_tilt(samples):
        counts = ", ".join(f"{tilt}: {len(rows)}" for tilt, rows in tilted.items())
        print(f"  people by how many degrees their trunk is off upright: {counts}")
    if args.out:
        if args.out.suffix.lower() not in IMAGE_SUFFIXES:
            raise DataError(f"{args.out}: the sheet must be {' or '.join(IMAGE_SUFFIXES)}")
        tiles = list(_squares(samples, args) if args.squares else _pictures(samples, args))
        args.out.parent.mkdir(parents=True, exist_ok=True)
        if not tiles or not cv2.imwrite(str(args.out), sheet(tiles, 8)):
            raise DataError(f"{args.out} cannot be written, or there are no pictures")
        print(f"{args.out}: {len(tiles)} pictures with their labels")
    return 0


def _voted(samples: Samples, files: list[Path], trust: float) -> Samples:
    """The samples after the vote; says what it changed, in shares of the limb joints."""
    out = with_teachers(samples, files, trust)
    i = indices(LIMBS)
    before, after = samples.known[:, i], out.known[:, i]
    moved = np.linalg.norm(out.joints[:, i] - samples.joints[:, i], axis=-1) > 0
    for what, share in (
        ("labelled by humans", before), ("labelled after the vote", after),
        ("human labels that lost", before & after & moved),
        ("human labels in doubt, not used", before & ~after),
    ):  # fmt: skip
        print(f"  {what}: {100 * share.mean():.1f} % of the limb joints")
    return out


def _broken(samples: Samples, all_of_them: bool) -> list[Path]:
    paths = list(dict.fromkeys(samples.images))
    if not all_of_them:
        return [p for p in dict.fromkeys([*paths[:50], *paths[-50:]]) if not p.is_file()]
    bar = tqdm(paths, unit="images", leave=False)
    return [p for p in bar if cv2.imread(str(p), cv2.IMREAD_REDUCED_GRAYSCALE_8) is None]


def _opacity(known: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Labelled joints are drawn, hidden ones faintly."""
    return np.where(known, np.where(present == 0, 0.3, 1.0), 0.0)


def _pictures(samples: Samples, args: argparse.Namespace) -> Iterator[np.ndarray]:
    chosen = np.random.default_rng(args.seed).permutation(len(samples))[: args.count]
    for i in chosen:
        image = cv2.imread(str(samples.images[i]), cv2.IMREAD_COLOR)
        if image is None:
            yield _broken_tile(samples.images[i].name)
            continue
        if samples.known[i].any():
            corners = boxes(samples.take(np.array([i])))[0]
            low = np.round(corners[:2]).astype(int)
            high = np.round(corners[:2] + corners[2:]).astype(int)
            thick = max(1, max(image.shape) // 300)
            cv2.rectangle(image, low.tolist(), high.tolist(), (90, 90, 90), thick)
        tile, points = fit(image, np.nan_to_num(samples.joints[i]), _TILE)
        draw_skeleton(tile, points, _opacity(samples.known[i], samples.present[i]))
        yield tile


def _broken_tile(name: str) -> np.ndarray:
    """In place of a picture that cannot be read: a cross, and its name."""
    tile = np.full((_TILE, _TILE, 3), 40, np.uint8)
    for a, b in (((0, 0), (_TILE, _TILE)), ((_TILE, 0), (0, _TILE))):
        cv2.line(tile, a, b, (60, 60, 200), 2, cv2.LINE_AA)
    at, white = (8, _TILE - 12), (255, 255, 255)
    cv2.putText(tile, name[-28:], at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, white, 1, cv2.LINE_AA)
    return tile


def _squares(samples: Samples, args: argparse.Namespace) -> Iterator[np.ndarray]:
    backgrounds = [] if args.backgrounds is None else read("empty", args.backgrounds).images
    mix = Mix([(samples, 1.0)], _TILE, args.seed, args.count, backgrounds)
    for k in range(args.count):
        item = mix[k]
        tile = np.ascontiguousarray(item.image)
        points = ((item.xyz[:, :2] + 1) * _TILE - 1) / 2
        draw_skeleton(tile, points, _opacity(item.known, item.present))
        yield tile


# --------------------------------------------------------------------------- frames


def _frames(root: Path, every: int) -> int:
    videos = [v for k in MPI_CAMERAS for v in root.glob(f"S*/Seq*/imageSequence/video_{k}.avi")]
    if not videos:
        raise DataError(f"{root} has no S*/Seq*/imageSequence/video_*.avi")
    for video in tqdm(sorted(videos), unit="videos"):
        folder = video.with_suffix("")
        capture = cv2.VideoCapture(str(video))
        if not capture.isOpened():
            print(f"{video}: not a readable video, skipped", file=sys.stderr)
            continue
        folder.mkdir(exist_ok=True)
        number = 0
        while capture.grab():
            file = folder / f"{number:06d}.jpg"
            if number % every == 0 and not file.exists():
                found, image = capture.retrieve()
                if found:
                    cv2.imwrite(str(file), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
            number += 1
        capture.release()
    return 0
