"""``livepose train-detector``: the network that finds people in whole pictures.

Scenes of several people are made on the way (`livepose.data.crowd`). Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from livepose.crop import to_input
from livepose.data.crowd import Crowd, Photos, Scene, photos
from livepose.data.readers import READERS, read
from livepose.data.samples import DataError
from livepose.engine.device import autocast
from livepose.evaluate.detection import Found, summary
from livepose.models.detector import STRIDE, PersonNet, decode
from livepose.models.movenet import MoveNet
from livepose.models.store import save_detector
from livepose.train import checkpoint
from livepose.train.checkpoint import SAVE_EVERY, Stop
from livepose.train.memory import keep_memory
from livepose.train.pack import TRUNK_LICENCE
from livepose.train.processes import machine
from livepose.train.schedule import cosine

SIGMA = 0.12  # of the peak about a box's middle, in its sides
RATE, WARM_UP, BATCH, DECAY, EMA = 1e-3, 100, 32, 0.01, 0.998
PRETRAINED = 0.5  # share of the rate for the trunk, which knows much already
VALIDATE_EVERY, CHECKED = 250, 400
# Folders under --data with whole pictures, and their files of boxes under --labels.
WHOLE = {"lspet_dataset": "lspet_dataset-people.npz", "daily_people": "daily_people-people.npz",
         "fashion": "fashion-people.npz"}  # fmt: skip


def targets(scene: Scene) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the network should say of a scene of w x h cells.

    Returns:
        ``(heat, weight, sides, inside)``: (h, w) 1 at the middle of each box and less around it,
        (h, w) 0 where a doubtful box has its middle, (4, h, w) logarithms of the distances to the
        sides of the box of the cell, (h, w) bool where there is one.
    """
    h, w = scene.image.shape[0] // STRIDE, scene.image.shape[1] // STRIDE
    y, x = np.mgrid[:h, :w] * STRIDE + (STRIDE - 1) / 2
    heat, weight = np.zeros((h, w), "f4"), np.ones((h, w), "f4")
    sides, inside = np.zeros((4, h, w), "f4"), np.zeros((h, w), bool)

    def bump(box: np.ndarray) -> np.ndarray:
        size = np.maximum(SIGMA * (box[2:] - box[:2]), 0.4 * STRIDE)
        cx, cy = (box[:2] + box[2:]) / 2
        # The cell nearest to the middle is the middle.
        cx, cy = x[0][np.abs(x[0] - cx).argmin()], y[:, 0][np.abs(y[:, 0] - cy).argmin()]
        return np.exp(-(((x - cx) / size[0]) ** 2 + ((y - cy) / size[1]) ** 2) / 2)

    for box in scene.doubtful:
        weight = np.minimum(weight, 1 - bump(box))
    # Nearer people, with larger boxes, first: the smaller ones keep their middles.
    for box in sorted(scene.boxes, key=lambda b: -float((b[2:] - b[:2]).prod())):
        own = bump(box)
        cells = own > np.maximum(0.5, heat)
        reach = np.stack([x - box[0], y - box[1], box[2] - x, box[3] - y]) / STRIDE
        sides[:, cells] = np.log(np.maximum(reach, 0.1))[:, cells]
        inside |= cells
        heat = np.maximum(heat, own)
    arrays = (heat.astype("f4"), weight.astype("f4"), sides, inside)
    heat_t, weight_t, sides_t, inside_t = (torch.from_numpy(a) for a in arrays)
    return heat_t, weight_t, sides_t, inside_t


def collate(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """Scenes of one shape -> stacked pictures and targets."""
    parts = [torch.stack(part) for part in zip(*map(targets, scenes), strict=True)]
    image = torch.from_numpy(np.stack([s.image for s in scenes]))
    return {"image": image, **dict(zip(("heat", "weight", "sides", "inside"), parts, strict=True))}


def losses(odds: Tensor, sides: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Of the middles (focal loss of CornerNet, Law & Deng 2018) and of the boxes (L1 of logs)."""
    heat, number = target["heat"], target["heat"].eq(1).sum().clamp_min(1)
    p, log_p, log_q = odds.sigmoid(), F.logsigmoid(odds), F.logsigmoid(-odds)
    right = -log_p * (1 - p) ** 2
    wrong = -log_q * p**2 * (1 - heat) ** 4
    middle = (torch.where(heat == 1, right, wrong) * target["weight"]).sum() / number
    inside = target["inside"][:, None].expand_as(sides)
    weight = (heat[:, None] * inside).expand_as(sides)
    box = ((sides - target["sides"]).abs() * weight).sum() / weight.sum().clamp_min(1)
    return middle, box


@torch.inference_mode()
def validate(net: PersonNet, scenes: Sequence[Scene]) -> dict[str, float]:
    """Average precision at an overlap of one half, and what a threshold of 0.3 gives."""
    found = []
    for scene in scenes:
        odds, sides = net(to_input([scene.image]))
        boxes, scores = decode(odds[0], sides[0])
        found.append(Found(boxes.numpy(), scores.numpy(), scene.boxes, scene.doubtful))
    return summary(found)


def read_parts(data: Path, labels: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of `Crowd` for training and for validation: other people, other rooms."""
    synth = read("synth", labels / "synth")
    masked = read("masked", data / "data/masked_people")
    rooms = {split: read("empty", data / "data/backgrounds", split).images
             for split in ("train", "test")}  # fmt: skip
    whole = [photos(data / "data" / folder, labels / file) for folder, file in WHOLE.items()]
    held = {}
    for split, keep in (("train", False), ("test", True)):
        held[split] = {
            "cutouts": [s.take((np.arange(len(s)) % 10 == 0) == keep) for s in (masked, synth)],
            "whole": [_every_tenth(w, keep) for w in whole],
            "empty": rooms[split],
        }
    return held["train"], held["test"]


def _every_tenth(whole: Photos, keep: bool) -> Photos:
    rows = [i for i in range(len(whole.images)) if (i % 10 == 0) == keep]
    return Photos(tuple(whole.images[i] for i in rows), tuple(whole.boxes[i] for i in rows))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        help="folder with NAME-people.npz (`livepose label`) and synth",
    )
    parser.add_argument("--start", type=Path, required=True,
                        help="movenet-lightning.safetensors: the trunk to start from")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="NAME.safetensors to write")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)


def main(args: argparse.Namespace) -> int:
    try:
        torch.set_flush_denormal(True)
        keep_memory()
        train, held = read_parts(args.data, args.labels)
        scenes = Crowd(**train, seed=args.seed, length=args.steps * BATCH, batch=BATCH)
        checked = [Crowd(**held, seed=0, length=CHECKED, batch=1)[k] for k in range(CHECKED)]
        net, figures, hours = run(scenes, checked, args)
    except (DataError, FloatingPointError, OSError, ValueError) as error:
        print(f"livepose train-detector: {error}", file=sys.stderr)
        return 2
    if figures is None:
        print("stopped; the same command goes on from there", file=sys.stderr)
        return 130
    training = {
        "command": f"livepose train-detector --data DATA --labels labels --start DATA/pretrained/"
                   f"{args.start.name} --out {args.out.name} --steps {args.steps}",
        "seed": args.seed, "steps": args.steps, "scenes": args.steps * BATCH,
        "hours": round(hours, 2), "machine": machine(torch.device("cpu")),
        "torch": torch.__version__,
        "data": {**{n: READERS[n].licence for n in ("lspet", "pseudo", "coco", "masked", "synth",
                                                    "empty")},
                 "boxes": "of all people in whole pictures by MoveNet MultiPose (Apache-2.0)",
                 "trunk": TRUNK_LICENCE},
    }  # fmt: skip
    save_detector(args.out, net, training, figures)
    print(f"{args.out}: {json.dumps(figures)}")
    return 0


def run(
    scenes: Crowd, checked: Sequence[Scene], args: argparse.Namespace
) -> tuple[PersonNet, dict[str, float] | None, float]:
    """Trains; returns the averaged network, its figures and the hours that it took.

    The figures are None where it was stopped. Raises ValueError: what is there belongs to a run
    of other settings.
    """
    torch.manual_seed(args.seed)
    net = PersonNet()
    net.trunk.start_from(MoveNet.load("lightning", args.start).trunk)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    slow = copy.deepcopy(net).requires_grad_(False).eval()
    trunk = set(net.trunk.parameters())
    optimiser = torch.optim.AdamW([
        {"params": list(net.trunk.parameters()), "share": PRETRAINED},
        {"params": [p for p in net.parameters() if p not in trunk], "share": 1.0},
    ], weight_decay=DECAY)  # fmt: skip
    file, settings = args.out.with_suffix(".state.pt"), {"seed": args.seed, "steps": args.steps}
    step, seconds = 0, 0.0
    if file.exists():
        state = torch.load(file, weights_only=True)
        if not checkpoint.same_settings(settings, state["settings"]):
            raise ValueError(f"{file} belongs to {state['settings']}; use a new --out")
        step, seconds = state["step"], state["seconds"]
        for part, name in ((net, "net"), (slow, "slow"), (optimiser, "optimiser")):
            part.load_state_dict(state[name])
    loader = DataLoader(Subset(scenes, range(step * BATCH, len(scenes))), BATCH, num_workers=1,
                        collate_fn=collate, prefetch_factor=4,
                        worker_init_fn=checkpoint.leave_stopping_to_parent)  # fmt: skip
    saved = time.monotonic()
    bar = tqdm(total=args.steps, initial=step, unit="steps", mininterval=10)
    with Stop() as stop:
        for batch in loader:
            for group in optimiser.param_groups:
                group["lr"] = group["share"] * cosine(step, args.steps, RATE, WARM_UP)
            middle, box = _update(net, optimiser, batch)
            step += 1
            decay = min(EMA, step / (10 + step))
            with torch.no_grad():
                for a, b in zip(slow.parameters(), net.parameters(), strict=True):
                    a.lerp_(b, 1 - decay)
            bar.update()
            bar.set_postfix(middle=f"{middle:.3f}", box=f"{box:.3f}", refresh=False)
            if step % VALIDATE_EVERY == 0:
                tqdm.write(f"step {step}: {json.dumps(validate(slow, checked))}")
            last = step == args.steps
            if last or stop.asked or time.monotonic() - saved > SAVE_EVERY:
                seconds += time.monotonic() - saved
                saved = time.monotonic()
                checkpoint.write(file, {
                    "step": step, "seconds": seconds, "settings": settings,
                    "net": net.state_dict(), "slow": slow.state_dict(),
                    "optimiser": optimiser.state_dict(),
                })  # fmt: skip
            if stop.asked:
                break
    bar.close()
    return slow, validate(slow, checked) if step == args.steps else None, seconds / 3600


def _update(
    net: PersonNet, optimiser: torch.optim.Optimizer, batch: dict[str, Tensor]
) -> tuple[float, float]:
    """One step; returns its two losses."""
    with autocast(torch.device("cpu")):
        odds, sides = net(to_input(batch["image"]))
    middle, box = losses(odds.float(), sides.float(), batch)
    loss = middle + box
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()}")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()
    return middle.item(), box.item()
