"""``livepose units``: the average picture of what makes a unit answer most, for all of a layer.

After Li & Chan 2014, who look into their network in this way: for each unit the patches of a data
set that it answers to most strongly, and their mean.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from livepose.crop import cut, to_input, whole
from livepose.cv import cv2
from livepose.data.readers import READERS, read
from livepose.data.samples import DataError, Samples
from livepose.drawing import sheet
from livepose.evaluate.protocol import picture
from livepose.models.networks import PoseNetwork
from livepose.models.store import WeightsError, load_model
from livepose.models.units import (
    COLUMNS,
    TILE,
    activations,
    layers,
    receptive_field,
    save_tops,
    sheet_file,
)


def strongest(
    net: PoseNetwork, samples: Samples, layer: str, top: int, batch: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Where each unit answers most, one place a picture at most.

    Returns:
        ``(values, places)``: (C, top) answers, the strongest first, and (C, top, 3) number of the
        picture and normalised x and y in its square.
    """
    size = net.config.input_size
    values, places = np.zeros((0, 0)), np.zeros((0, 0, 3))
    for start in tqdm(range(0, len(samples), batch), unit="batches"):
        pictures = [_square(samples.images[i], size)
                    for i in range(start, min(start + batch, len(samples)))]  # fmt: skip
        maps = activations(net, to_input(pictures), layer).numpy()
        b, c, h, w = maps.shape
        flat = maps.reshape(b, c, -1)
        best = flat.argmax(-1)
        y, x = (2 * (best // w) + 1) / h - 1, (2 * (best % w) + 1) / w - 1
        number = np.broadcast_to(np.arange(start, start + b)[:, None], (b, c))
        new = np.stack([number, x, y], -1).transpose(1, 0, 2)
        answers = np.take_along_axis(flat, best[..., None], -1)[..., 0].T
        if values.size:
            answers = np.concatenate([values, answers], 1)
            new = np.concatenate([places, new], 1)
        order = np.argsort(-answers, 1)[:, :top]
        values = np.take_along_axis(answers, order, 1)
        places = np.take_along_axis(new, order[..., None], 1)
    return values, places


def mean_patches(samples: Samples, places: np.ndarray, size: int, field: int) -> list[np.ndarray]:
    """The mean (TILE, TILE, 3) picture of each unit's patches.

    field: pixels along the side of a patch in squares of `size`: what the units see.
    """
    sums = np.zeros((len(places), TILE, TILE, 3))
    wanted: dict[int, list[tuple[int, float, float]]] = {}
    for unit, own in enumerate(places):
        for number, x, y in own:
            wanted.setdefault(int(number), []).append((unit, x, y))
    reach = max(1, round(field / 2))
    for number, patches in wanted.items():
        square = _square(samples.images[number], size)
        padded = cv2.copyMakeBorder(square, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
        for unit, x, y in patches:
            cx, cy = (round((v + 1) / 2 * size) for v in (x, y))
            patch = padded[cy : cy + 2 * reach, cx : cx + 2 * reach]
            sums[unit] += cv2.resize(patch, (TILE, TILE), interpolation=cv2.INTER_AREA)
    return [np.round(s / places.shape[1]).astype("u1") for s in sums]


def _square(file: Path, size: int) -> np.ndarray:
    image = picture(file)
    return cut(image, whole(image.shape[1], image.shape[0]), size)


def contrast(patch: np.ndarray) -> np.ndarray:
    """The mean of many patches is grey: its darkest and lightest values are spread."""
    low, high = np.percentile(patch, (1, 99))
    return ((patch - low) / max(1.0, high - low) * 255).clip(0, 255).astype("u1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="name or .safetensors file")
    parser.add_argument("--dataset", choices=sorted(READERS), required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--split", default="train")
    what = "middle, high, regressor (of a multi-task network), or a name of a module"
    parser.add_argument("--layer", default="high", help=what)
    parser.add_argument("--top", type=int, default=25, help="patches that are averaged")
    parser.add_argument("--limit", type=int, default=1000, help="of so many pictures")
    where = "sheet to write (.png; default: where the window looks for it)"
    parser.add_argument("--out", type=Path, help=where)


def main(args: argparse.Namespace) -> int:
    try:
        net, _ = load_model(args.model)
        samples = read(args.dataset, args.root, args.split).spread(args.limit)
        layer = layers(net).get(args.layer, args.layer)
        torch.set_flush_denormal(True)
        field = receptive_field(net, layer)
        values, places = strongest(net, samples, layer, args.top)
        patches = mean_patches(samples, places, net.config.input_size, field)
    except (DataError, OSError, ValueError, WeightsError) as error:
        print(f"livepose units: {error}", file=sys.stderr)
        return 2
    out = args.out or sheet_file(args.model, args.layer)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(out), sheet([contrast(p) for p in patches], COLUMNS)):
            raise OSError("give a path that ends in .png")
        save_tops(out, values[:, 0].tolist())
    except (OSError, cv2.error) as error:
        print(f"livepose units: {out} cannot be written ({error})", file=sys.stderr)
        return 2
    print(f"{out}: {len(patches)} units of {layer}, {COLUMNS} in a row, patches of {field} pixels")
    return 0
