"""Pseudo-labels by a teacher network, in the format of an ``.npz`` with one row an image.

- ``image`` (N): file names; ``keypoints`` (N, 17, 4) float32, COCO-17: x, y in pixels of the
  picture, score, disagreement. The mean of the picture and its mirror image, and their distance
  as a fraction of the square that the teacher saw.
- with the MediaPipe teacher also ``world`` (N, 33, 4) float32: x, y, z in metres about the middle
  of the hips (camera axes: x right, y down, z away) and visibility, NaN where nobody was found;
  ``image33`` (N, 33, 3): x, y in pixels and visibility.

- with the MultiPose teacher ``boxes`` (N, 6, 5) instead: left, top, right, bottom in pixels and
  score of everybody in the picture, the best first.

MediaPipe and the others need different environments (mediapipe 0.10.14 wants numpy 1), so each
teacher writes a file of its own.
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
from livepose.models.movenet import VARIANTS, MoveNet
from livepose.models.multipose import LONG_SIDE, MultiPose
from livepose.models.store import WeightsError, load_model
from livepose.skeleton import COCO_17, mirrored

_COCO_FLIP = [COCO_17.index(mirrored(name)) for name in COCO_17]


Row = dict[str, np.ndarray]
Teacher = Callable[[np.ndarray], Row]


def movenet_teacher(variant: str, weights: Path, plain: bool = False) -> Teacher:
    """A function from a BGR picture to its row, by MoveNet `variant` (``thunder``)."""
    net = MoveNet.load(variant, weights)

    def points(pair: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        xy, score = net(pair)
        return (2 * xy + 1) / net.input_size - 1, score

    return _labeller(points, net.input_size, plain)


def model_teacher(name: str, plain: bool = False) -> Teacher:
    """A function from a BGR picture to its row, by a model of livepose (self-training)."""
    net, card = load_model(name)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    coco = len(COCO_17)  # the table begins with COCO-17

    def points(pair: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = net(pair)
        return out.xyz[:, :coco, :2], out.confidence[:, :coco]

    return _labeller(points, card.config.input_size, plain)


def _labeller(
    points: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]], size: int, plain: bool
) -> Teacher:
    """A teacher from a network's ``(xy, score)``, xy in -1..1.

    plain: of the picture alone, in float32, as the network is used by others; disagreement is 0.
    """

    @torch.inference_mode()
    def label(image: np.ndarray) -> Row:
        square = whole(image.shape[1], image.shape[0])
        resized = cut(image, square, size)
        views = [resized] if plain else [resized, resized[:, ::-1]]
        # Half precision is twice as fast, and gives the same labels within a pixel.
        with torch.autocast("cpu", torch.bfloat16, enabled=not plain):
            xy, score = (t.float().numpy() for t in points(to_input(views)))
        back = xy[0] if plain else xy[1, _COCO_FLIP] * np.array([-1, 1], "f4")
        score = score[0] if plain else (score[0] + score[1, _COCO_FLIP]) / 2
        disagreement = np.linalg.norm(xy[0] - back, axis=-1) / 2
        mean = square.to_picture((xy[0] + back) / 2)
        return {"keypoints": np.column_stack([mean, score, disagreement]).astype("f4")}

    return label


def multipose_teacher(weights: Path) -> Teacher:
    """A function from a BGR picture to the boxes of all people in it, by MoveNet MultiPose."""
    net = MultiPose.load(weights)

    @torch.inference_mode()
    def label(image: np.ndarray) -> Row:
        square = whole(image.shape[1], image.shape[0])
        found = net(to_input([cut(image, square, LONG_SIDE)]))
        corners = (2 * found.boxes[0].numpy() + 1) / LONG_SIDE - 1
        boxes = square.to_picture(corners.reshape(-1, 2, 2)).reshape(-1, 4)
        return {"boxes": np.column_stack([boxes, found.score[0].numpy()]).astype("f4")}

    return label


def mediapipe_teacher() -> Teacher:
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
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    files = [f for f in files if f.name not in skip and not f.stem.endswith("_mask")]
    for file in tqdm(files, unit="images"):
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            print(f"{file}: not a readable picture, skipped", file=sys.stderr)
        else:
            yield file, image


def label_folder(folder: Path, label: Teacher, skip: set[str]) -> Row:
    """Labels every picture of a folder but those named in `skip`; columns as in the module."""
    names, rows = [], []
    for file, image in _pictures(folder, skip):
        names.append(file.name)
        rows.append(label(image))
    if not rows:
        raise FileNotFoundError(f"no pictures in {folder}")
    return {"image": np.array(names), **{k: np.stack([r[k] for r in rows]) for k in rows[0]}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, help="folder of pictures, those in it included")
    parser.add_argument(
        "--teacher", required=True,
        help="thunder, lightning, multipose, mediapipe, or a model of livepose",
    )  # fmt: skip
    parser.add_argument("--weights", type=Path, help="movenet-*.safetensors, for MoveNet's")
    parser.add_argument(
        "--plain", action="store_true",
        help="without the mirror image, in float32: to measure the teacher by `livepose eval`",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help=".npz to write")
    parser.add_argument(
        "--skip-lsp-test", action="store_true", help="leave out im1001-im2000 (never for training)"
    )


def main(args: argparse.Namespace) -> int:
    try:
        if args.teacher == "mediapipe":
            label = mediapipe_teacher()
        elif args.teacher not in (*VARIANTS, "multipose"):
            label = model_teacher(args.teacher, args.plain)
        elif args.weights is None:
            print("livepose label: --weights FILE of the teacher is needed", file=sys.stderr)
            return 2
        elif args.teacher == "multipose":
            label = multipose_teacher(args.weights)
        else:
            label = movenet_teacher(args.teacher, args.weights, args.plain)
    except (OSError, ValueError, WeightsError) as error:
        print(f"livepose label: {error}", file=sys.stderr)
        return 2
    skip = {f"im{i:04d}.jpg" for i in range(1001, 2001)} if args.skip_lsp_test else set()
    torch.set_flush_denormal(True)
    try:
        columns = label_folder(args.images, label, skip)
    except OSError as error:
        print(f"livepose label: {error}", file=sys.stderr)
        return 2
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **columns)  # type: ignore[arg-type]
    print(f"{args.out}: {len(columns['image'])} images by {args.teacher}")
    return 0
