"""Pseudo-labels by a teacher network, in the format of an ``.npz`` with one row an image.

- ``image`` (N): files, from the folder on; ``keypoints`` (N, 17, 4) float32, COCO-17: x, y in
  pixels of the picture, score, disagreement. The mean of the picture and its mirror image, and
  their distance as a fraction of the square that the teacher saw.
- with the MediaPipe teacher also ``world`` (N, 33, 4) float32: x, y, z in metres about the middle
  of the hips (camera axes: x right, y down, z away) and visibility, NaN where nobody was found;
  ``image33`` (N, 33, 3): x, y in pixels and visibility.

- with the MultiPose teacher ``boxes`` (N, 6, 5) instead: left, top, right, bottom in pixels and
  score of everybody in the picture, the best first.

MediaPipe and the others need different environments (mediapipe 0.10.14 wants numpy 1). A teacher
adds its columns to a file that is there, if it has the labels of the same pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from livepose.crop import Square, cut, to_input, whole
from livepose.cv import cv2
from livepose.data.readers import READERS, read
from livepose.data.samples import IMAGE_SUFFIXES, DataError, Samples, tilts
from livepose.data.teachers import AGREES, read_labels
from livepose.engine.device import DeviceError, autocast, choose
from livepose.models.movenet import VARIANTS, MoveNet
from livepose.models.movenet_runtime import compiled
from livepose.models.multipose import LONG_SIDE, MultiPose
from livepose.models.store import WeightsError, load_model
from livepose.skeleton import COCO_17, mirrored

# People who are tilted by less are labelled as they are.
_TILTED = np.radians(30)
_NEVER_TURNED = ("mediapipe", "multipose")  # teachers that label pictures as they are only
CPU = torch.device("cpu")
_COCO_FLIP = [COCO_17.index(mirrored(name)) for name in COCO_17]


Row = dict[str, np.ndarray]
# A teacher takes a BGR picture, and how far (radians) the person in it is from standing upright.
Teacher = Callable[[np.ndarray, float], Row]


def movenet_teacher(
    variant: str, weights: Path, plain: bool = False, device: torch.device = CPU
) -> Teacher:
    """A function from a BGR picture to its row, by MoveNet `variant` (``thunder``)."""
    net = MoveNet.load(variant, weights)
    size = net.input_size
    if device.type == "cpu":
        return _labeller(compiled(net), size, plain)
    net.to(device)

    @torch.inference_mode()
    def points(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xy, score = net(to_input([crop]).to(device))
        return (2 * xy[0].cpu().numpy() + 1) / size - 1, score[0].cpu().numpy()

    return _labeller(points, size, plain)


def model_teacher(name: str, plain: bool = False, device: torch.device = CPU) -> Teacher:
    """A function from a BGR picture to its row, by a model of livepose (self-training)."""
    net, card = load_model(name)
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    coco = len(COCO_17)  # the table begins with COCO-17

    @torch.inference_mode()
    def points(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Half precision is twice as fast, and gives the same labels within a pixel.
        with autocast(device, wanted=not plain):
            out = net(to_input([crop]).to(device))
        xy, score = out.xyz[0, :coco, :2], out.confidence[0, :coco]
        return xy.float().cpu().numpy(), score.float().cpu().numpy()

    return _labeller(points, card.config.input_size, plain)


def _labeller(
    points: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], size: int, plain: bool
) -> Teacher:  # fmt: skip
    """A teacher from a network's ``(xy, score)`` of a square of BGR bytes, xy in -1..1.

    plain: of the picture alone, in float32, as the network is used by others; disagreement is 0.
    """

    def label(image: np.ndarray, tilt: float = 0.0) -> Row:
        square = whole(image.shape[1], image.shape[0])
        best = view(image, square)
        if tilt:
            upright = view(image, replace(square, angle=-tilt))
            best = max(best, upright, key=sure)
        return best

    def sure(row: Row) -> float:
        """The mean score of the joints that are seen in the mirror image too."""
        _, _, score, disagreement = row["keypoints"].T
        return float((score * (disagreement < AGREES)).mean())

    def view(image: np.ndarray, square: Square) -> Row:
        resized = cut(image, square, size)
        xy, score = points(resized)
        mean, disagreement = xy, np.zeros(len(xy))
        if not plain:
            mirrored_xy, mirrored_score = points(resized[:, ::-1])
            back = mirrored_xy[_COCO_FLIP] * np.array([-1, 1], "f4")
            mean, score = (xy + back) / 2, (score + mirrored_score[_COCO_FLIP]) / 2
            disagreement = np.linalg.norm(xy - back, axis=-1) / 2
        rows = [square.to_picture(mean), score, disagreement]
        return {"keypoints": np.column_stack(rows).astype("f4")}

    return label


def multipose_teacher(weights: Path, device: torch.device = CPU) -> Teacher:
    """A function from a BGR picture to the boxes of all people in it, by MoveNet MultiPose."""
    net = MultiPose.load(weights).to(device)

    @torch.inference_mode()
    def label(image: np.ndarray, tilt: float = 0.0) -> Row:
        square = whole(image.shape[1], image.shape[0])
        found = net(to_input([cut(image, square, LONG_SIDE)]).to(device))
        corners = (2 * found.boxes[0].cpu().numpy() + 1) / LONG_SIDE - 1
        boxes = square.to_picture(corners.reshape(-1, 2, 2)).reshape(-1, 4)
        return {"boxes": np.column_stack([boxes, found.score[0].cpu().numpy()]).astype("f4")}

    return label


def mediapipe_teacher() -> Teacher:
    """A function from a BGR picture to its row, by MediaPipe Pose Full in static mode."""
    import mediapipe as mp

    pose = mp.solutions.pose.Pose(static_image_mode=True, model_complexity=1)

    def label(image: np.ndarray, tilt: float = 0.0) -> Row:
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


def pictures_of(folder: Path, skip: set[str]) -> dict[str, Path]:
    """Name, from the folder on -> picture, sorted: all but masks and those named in `skip`."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    pictures = {f.with_suffix("") for f in files if f.suffix != ".png"}  # a PNG beside is a mask
    return {f.relative_to(folder).as_posix(): f for f in files
            if f.name not in skip and not f.stem.endswith("_mask")
            and (f.suffix != ".png" or f.with_suffix("") not in pictures)}  # fmt: skip


def existing(file: Path, pictures: Mapping[str, Path]) -> Row:
    """The columns of a file of labels to which others shall be added; {} if there is none.

    Raises:
        DataError: it has the labels of other pictures.
    """
    if not file.exists():
        return {}
    labelled = set(read_labels(file, "image")["image"].tolist())
    more = (p for name, p in pictures.items() if name not in labelled)
    # What could not be read when the file was made still cannot be.
    if labelled - pictures.keys() or any(cv2.imread(str(p)) is not None for p in more):
        raise DataError(f"{file} is there, with the labels of other pictures: "
                        "give another --out, or delete it")  # fmt: skip
    return read_labels(file)


def merged(old: Row, new: Row) -> Row:
    """The columns of both in the order of the old rows; a new column replaces one of its name."""
    if not old:
        return new
    row = {name: i for i, name in enumerate(new["image"].tolist())}
    if row.keys() != set(old["image"].tolist()):
        raise DataError("the pictures changed while they were labelled: label them again")
    order = [row[name] for name in old["image"].tolist()]
    return old | {name: column[order] for name, column in new.items()}


def _read(files: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, np.ndarray]]:
    for name, file in files:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            print(f"{file}: not a readable picture, skipped", file=sys.stderr)
        else:
            yield name, image


def label_pictures(
    pictures: Mapping[str, Path], label: Teacher, turned: Mapping[str, float] = {}
) -> Row:
    """Labels all pictures (see `pictures_of`) that can be read; columns as in the module.

    turned: tilts of the people in some of the pictures, see `tilts_of`.
    """
    names, rows = [], []
    for name, image in _read(tqdm(pictures.items(), unit="images")):
        names.append(name)
        rows.append(label(image, turned.get(pictures[name].name, 0.0)))
    if not rows:
        raise DataError("there are no pictures to label")
    return {"image": np.array(names), **{k: np.stack([r[k] for r in rows]) for k in rows[0]}}


def tilts_of(samples: Samples) -> dict[str, float]:
    """How far people are from upright by their labels, in radians, for those who are so by far.

    Networks hardly know people who stand on their hands: turned upright they are seen better.
    """
    by = tilts(samples)
    return {samples.images[i].name: float(by[i]) for i in np.flatnonzero(np.abs(by) > _TILTED)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", type=Path,
        help="folder of pictures, those in it included; not masks: NAME_mask.png, or NAME.png "
        "beside a picture NAME",
    )  # fmt: skip
    parser.add_argument(
        "--teacher", required=True,
        help="thunder, lightning, multipose, mediapipe, or a model of livepose",
    )  # fmt: skip
    parser.add_argument("--weights", type=Path, help="movenet-*.safetensors, for MoveNet's")
    parser.add_argument(
        "--plain", action="store_true",
        help="without the mirror image, in float32: to measure the teacher by `livepose eval`",
    )  # fmt: skip
    parser.add_argument(
        "--upright", choices=sorted(READERS), metavar="READER",
        help="the pictures are those of a data set with labels (lspet, say): look at people who "
        "are tilted by these upright as well, and take what the teacher is surer of",
    )  # fmt: skip
    parser.add_argument(
        "--device", default="auto",
        help="auto, cpu, cuda or cuda:N, for all teachers but mediapipe",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True,
        help=".npz to write; if it is there, with labels of the same pictures, columns are added",
    )  # fmt: skip
    parser.add_argument(
        "--skip-lsp-test", action="store_true", help="leave out im1001-im2000 (never for training)"
    )


def main(args: argparse.Namespace) -> int:
    skip = {f"im{i:04d}.jpg" for i in range(1001, 2001)} if args.skip_lsp_test else set()
    torch.set_flush_denormal(True)
    try:
        label = _teacher(args)
        pictures = pictures_of(args.images, skip)
        there = existing(args.out, pictures)
        turned = tilts_of(read(args.upright, args.images.parent, "train")) if args.upright else {}
        new = label_pictures(pictures, label, turned)
        columns = merged(there, new)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        part = args.out.with_suffix(".part")  # a file that is there stays whole to the end
        with part.open("wb") as file:
            np.savez_compressed(file, **columns)  # type: ignore[arg-type]
        part.replace(args.out)
    except (DataError, DeviceError, ImportError, OSError, ValueError, WeightsError) as error:
        print(f"livepose label: {error}", file=sys.stderr)
        return 2
    kept = ", ".join(there.keys() - new.keys())
    print(f"{args.out}: {len(columns['image'])} images by {args.teacher}"
          + (f", beside {kept} of before" if kept else ""))  # fmt: skip
    return 0


def _teacher(args: argparse.Namespace) -> Teacher:
    """The one that was asked for; ValueError for what does not go together."""
    if args.upright and args.teacher in _NEVER_TURNED:
        raise ValueError(f"{args.teacher} takes no --upright")
    if args.teacher == "mediapipe":
        if args.device != "auto":
            raise ValueError("mediapipe takes no --device")
        return mediapipe_teacher()
    placement = choose(args.device, "float32")
    if placement.note:
        print(placement.note, file=sys.stderr)
    if args.teacher not in (*VARIANTS, "multipose"):
        return model_teacher(args.teacher, args.plain, placement.device)
    if args.weights is None:
        raise ValueError("--weights FILE of the teacher is needed")
    if args.teacher == "multipose":
        return multipose_teacher(args.weights, placement.device)
    return movenet_teacher(args.teacher, args.weights, args.plain, placement.device)
