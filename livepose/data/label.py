"""Pseudo-labels by a teacher network, in the format of an ``.npz`` with one row an image.

- ``image`` (N): file names; ``keypoints`` (N, 17, 4) float32, COCO-17: x, y in pixels of the
  picture, score, disagreement. The mean of the picture and its mirror image, and their distance
  as a fraction of the square that the teacher saw.
- with the MediaPipe teacher also ``world`` (N, 33, 4) float32: x, y, z in metres about the middle
  of the hips (camera axes: x right, y down, z away) and visibility, NaN where nobody was found;
  ``image33`` (N, 33, 3): x, y in pixels and visibility.

The two teachers need different environments (mediapipe 0.10.14 wants numpy 1), so each writes a
file of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from livepose.crop import cut, to_input, whole
from livepose.cv import cv2
from livepose.data.samples import IMAGE_SUFFIXES
from livepose.skeleton import COCO_17, mirrored

_COCO_FLIP = [COCO_17.index(mirrored(name)) for name in COCO_17]


Row = dict[str, np.ndarray]


def movenet_teacher(variant: str, weights: Path) -> Callable[[np.ndarray], Row]:
    """A function from a BGR picture to its row, by MoveNet `variant` (``thunder``)."""
    from livepose.models.movenet import MoveNet

    net = MoveNet.load(variant, weights)
    size = net.input_size

    @torch.inference_mode()
    def label(image: np.ndarray) -> Row:
        square = whole(image.shape[1], image.shape[0])
        resized = cut(image, square, size)
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast, same labels within a pixel
            xy, score = net(to_input([resized, resized[:, ::-1]]))
        xy, score = xy.numpy(), score.numpy()
        xy[1] = xy[1, _COCO_FLIP]
        xy[1, :, 0] = size - 1 - xy[1, :, 0]
        score[1] = score[1, _COCO_FLIP]
        disagreement = np.linalg.norm(xy[0] - xy[1], axis=-1) / size
        points = square.to_picture((2 * xy.mean(0) + 1) / size - 1)
        return {"keypoints": np.column_stack([points, score.mean(0), disagreement]).astype("f4")}

    return label


def mediapipe_teacher() -> Callable[[np.ndarray], Row]:
    """A function from a BGR picture to its row, by MediaPipe Pose Full in static mode."""
    import mediapipe as mp

    pose = mp.solutions.pose.Pose(static_image_mode=True, model_complexity=1)

    def label(image: np.ndarray) -> Row:
        h, w = image.shape[:2]
        found = pose.process(np.ascontiguousarray(image[..., ::-1]))
        world, image33 = np.full((33, 4), np.nan, "f4"), np.full((33, 3), np.nan, "f4")
        if found.pose_landmarks:
            for i, p in enumerate(found.pose_world_landmarks.landmark):
                world[i] = p.x, p.y, p.z, p.visibility
            for i, p in enumerate(found.pose_landmarks.landmark):
                image33[i] = p.x * w - 0.5, p.y * h - 0.5, p.visibility
        return {"world": world, "image33": image33}

    return label


def _pictures(folder: Path, skip: set[str]) -> Iterator[tuple[Path, np.ndarray]]:
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    for file in tqdm([f for f in files if f.name not in skip], unit="images"):
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            print(f"{file}: not a readable picture, skipped", file=sys.stderr)
        else:
            yield file, image


def label_folder(folder: Path, label: Callable[[np.ndarray], Row], skip: set[str]) -> Row:
    """Labels every picture of a folder but those named in `skip`; columns as in the module."""
    names, rows = [], []
    for file, image in _pictures(folder, skip):
        names.append(file.name)
        rows.append(label(image))
    if not rows:
        raise FileNotFoundError(f"no pictures in {folder}")
    return {"image": np.array(names), **{k: np.stack([r[k] for r in rows]) for k in rows[0]}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("--teacher", choices=("thunder", "lightning", "mediapipe"), required=True)
    parser.add_argument("--weights", type=Path, help="movenet-*.safetensors of the teacher")
    parser.add_argument("--out", type=Path, required=True, help=".npz to write")
    parser.add_argument(
        "--skip-lsp-test", action="store_true", help="leave out im1001-im2000 (never for training)"
    )


def main(args: argparse.Namespace) -> int:
    if args.teacher == "mediapipe":
        label = mediapipe_teacher()
    elif args.weights is None:
        print("livepose label: --weights FILE of the teacher is needed", file=sys.stderr)
        return 2
    else:
        label = movenet_teacher(args.teacher, args.weights)
    skip = {f"im{i:04d}.jpg" for i in range(1001, 2001)} if args.skip_lsp_test else set()
    torch.set_flush_denormal(True)
    columns = label_folder(args.images, label, skip)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **columns)  # type: ignore[arg-type]
    print(f"{args.out}: {len(columns['image'])} images by {args.teacher}")
    return 0
