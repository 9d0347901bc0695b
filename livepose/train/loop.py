"""Training, read in one sitting: data, loss, optimiser, EMA, checkpoints.

On several GPUs or machines by ``torchrun``: every process takes its part of each batch, the first
one validates and writes.
"""

from __future__ import annotations

import copy
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from livepose.crop import to_input
from livepose.data.mix import Mix, collate
from livepose.data.samples import DataError, Samples
from livepose.data.skeletons import Skeletons
from livepose.evaluate.protocol import evaluate
from livepose.models.margipose import Config, Output
from livepose.models.movenet import MoveNet
from livepose.models.networks import build, settings_of
from livepose.models.store import load_model
from livepose.train.board import Board
from livepose.train.config import PRECISIONS, TrainConfig
from livepose.train.distil import Teacher, distil_parts
from livepose.train.loss import lift_parts, loss_parts, multitask_parts, total
from livepose.train.memory import keep_memory

SAVE_EVERY = 120  # seconds


def _holds(own: Any, stored: Any) -> bool:
    """Are these the stored settings? Settings that came into being later are not compared."""
    if isinstance(stored, dict) and isinstance(own, dict):
        return all(_holds(own.get(name), value) for name, value in stored.items())
    if isinstance(stored, list | tuple) and isinstance(own, list | tuple):
        return len(own) == len(stored) and all(map(_holds, own, stored))
    return bool(own == stored)


def cosine(step: int, steps: int, rate: float, warm_up: int) -> float:
    """Learning rate: linear warm-up to `rate`, then along a cosine to 0 at the last step."""
    if step < warm_up:
        return rate * (step + 1) / warm_up
    share = (step - warm_up) / max(1, steps - warm_up)
    return rate * 0.5 * (1 + math.cos(math.pi * share))


def learning_rate(step: int, c: TrainConfig) -> float:
    """See `cosine`; one-cycle warms up longer."""
    warm_up = round(0.3 * c.steps) if c.schedule == "one-cycle" else c.warm_up
    return cosine(step, c.steps, c.rate, warm_up)


class Run:
    """One training run in a folder: `state.pt` to go on from, `log.jsonl`, `best.pt`.

    Under ``torchrun``, in each of its processes.
    """

    def __init__(self, config: TrainConfig, folder: Path, device: str = "cpu") -> None:
        self.config, self.folder, self.device = config, folder, torch.device(device)
        self.rank = int(os.environ.get("RANK", 0))
        self.world = int(os.environ.get("WORLD_SIZE", 1))
        if config.batch % self.world:
            raise ValueError(f"{self.world} processes cannot share a batch of {config.batch}")
        folder.mkdir(parents=True, exist_ok=True)
        # Denormals make training 20 times slower on CPUs. Threads inherit it from the one that
        # starts them, so it comes before any other call of torch.
        torch.set_flush_denormal(True)
        keep_memory()
        torch.manual_seed(config.seed)
        self.net = build(config.network)
        start = Path(config.start_from)
        pretrained: tuple[str, ...] = ("trunk.", "fpn.", "joints.")
        if start.name.startswith("movenet-"):
            movenet = MoveNet.load(start.stem.removeprefix("movenet-"), start)
            pretrained = self.net.start_from(movenet)
        elif config.start_from:
            self.net.go_on_from(load_model(config.start_from)[0])
        # The first blocks work at high resolution: half of the time of a step, and general enough.
        for name in ["stem", *(f"block_{b}" for b in range(config.frozen_blocks))]:
            if config.frozen_blocks:
                getattr(self.net.trunk, name).requires_grad_(False)
        self.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.net).requires_grad_(False).eval()
        # Fresh layers learn at the full rate, pretrained ones at a fraction of it: at the full one
        # they forget what they know.
        named = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        known = [p for n, p in named if n.startswith(pretrained)]
        fresh = [p for n, p in named if not n.startswith(pretrained)]
        self.scales = (config.pretrained_rate, 1.0)
        self.optimiser = torch.optim.AdamW([{"params": known}, {"params": fresh}],
                                           weight_decay=config.weight_decay)  # fmt: skip
        # best: the highest AUC on the validation split. skipped: batches with unusable gradients.
        self.step, self.skipped, self.best, self.seconds = 0, 0, -1.0, 0.0
        self._forward: nn.Module = self.net
        self._teacher = Teacher(config.distil_from, device) if config.distil_from else None
        self._skeletons: Skeletons | None = None

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.pt"

    def save(self) -> None:
        """Writes the whole state; a cut while writing leaves the last one whole."""
        if self.rank:
            return
        state = {
            "step": self.step, "skipped": self.skipped, "best": self.best,
            "seconds": self.seconds, "net": self.net.state_dict(), "ema": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(), "config": self._settings(),
        }  # fmt: skip
        fresh = self._state_file.with_suffix(".tmp")
        torch.save(state, fresh)
        fresh.replace(self._state_file)

    def _settings(self) -> dict[str, Any]:
        return {**asdict(self.config), "network": settings_of(self.config.network)}

    def resume(self) -> bool:
        """Goes on where `save` left off; False where there is nothing to go on from."""
        if not self._state_file.exists():
            return False
        state = torch.load(self._state_file, map_location=self.device, weights_only=True)
        if not _holds(self._settings(), state["config"]):
            raise ValueError(
                f"{self._state_file} belongs to another configuration; use a new --out"
            )
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name in ("step", "skipped", "best", "seconds"):
            setattr(self, name, state[name])
        return True

    def _update(self, batch: dict[str, Tensor]) -> dict[str, float]:
        c = self.config
        for group, scale in zip(self.optimiser.param_groups, self.scales, strict=True):
            group["lr"] = learning_rate(self.step, c) * scale
        squares = batch.pop("image")
        images = to_input(squares).to(self.device)
        target = {k: v.to(self.device) for k, v in batch.items()}
        with torch.autocast(self.device.type, PRECISIONS[c.precision],
                            enabled=c.precision != "float32"):  # fmt: skip
            out = self._forward(images)
        parts = self._parts(out, target)
        if self._teacher is not None:
            parts |= distil_parts(out, self._teacher(squares), c.distil_weight)
        if self._skeletons is not None:
            rng = np.random.default_rng((c.seed, self.step, self.rank))
            drawn = self._skeletons(rng, c.skeletons // self.world)
            lifting = self.net.get_submodule("lifting")
            parts |= lift_parts(lifting, drawn, out, target)
        loss = total(parts)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} at step {self.step}; the last good state is kept in "
                f"{self._state_file}: try a lower rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), c.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
            # A short average at first, so that it does not remember the start.
            decay = min(c.ema, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for slow, fast in zip(self.ema.parameters(), self.net.parameters(), strict=True):
                    slow.lerp_(fast, 1 - decay)
        else:
            self.skipped += 1
        self.step += 1
        return {k: v.item() for k, v in parts.items()}

    def _parts(self, out: Output, target: dict[str, Tensor]) -> dict[str, Tensor]:
        c, net = self.config, self.config.network
        if isinstance(net, Config):
            return loss_parts(out, target, c.sigma, c.presence_weight, c.coordinates,
                              c.regulariser, net.output)  # fmt: skip
        early = 2 * self.step < c.steps
        detect = {"joint": True, "first": early, "none": False}[c.detection]
        regress = not (c.detection == "first" and early)
        return multitask_parts(out, target, net.window, c.detection_weight * detect,
                               float(regress), c.presence_weight)  # fmt: skip

    def train(
        self, parts: list[tuple[Samples, float]], val: Samples, backgrounds: Sequence[Path] = ()
    ) -> float:
        """Runs to the end; returns the best AUC on `val`.

        A batch whose gradients are not finite is skipped and counted. Ctrl-C and a loss that is
        not a number stop it with the last good state kept.
        """
        c = self.config
        if self.world > 1:
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
            self._forward = DistributedDataParallel(self.net)
        mix = Mix(parts, c.network.input_size, c.seed, c.steps * c.batch, backgrounds,
                  c.sizes, c.batch, c.turned)  # fmt: skip
        if c.skeletons:
            self._skeletons = Skeletons([samples for samples, _ in parts], c.turned)
            if not len(self._skeletons):
                raise DataError("skeletons are wanted, but no data set has true 3D labels")
        mine = range(self.step * c.batch + self.rank, len(mix), self.world)
        ahead = 4 if c.workers else None
        loader = DataLoader(Subset(mix, mine), c.batch // self.world, num_workers=c.workers,
                            collate_fn=collate, prefetch_factor=ahead)  # fmt: skip
        means: dict[str, float] = {}
        saved = time.monotonic()
        board = Board(self.folder if self.rank == 0 else None)
        bar = tqdm(total=c.steps, initial=self.step, unit="steps", mininterval=10,
                   disable=self.rank > 0)  # fmt: skip
        try:
            for batch in loader:
                pictures = dict(batch) if self.step % c.validate_every == 0 else None
                for k, v in self._update(batch).items():
                    means[k] = 0.99 * means.get(k, v) + 0.01 * v
                bar.update()
                shown = {k: f"{v:.3f}" for k, v in means.items()}
                bar.set_postfix(shown | {"skipped": self.skipped}, refresh=False)
                if pictures:
                    board.pictures(self.step, self.ema, pictures)
                last = self.step == c.steps
                if self.rank == 0 and (self.step % c.validate_every == 0 or last):
                    self._validate(val, means, board)
                if last or time.monotonic() - saved > SAVE_EVERY:
                    self.seconds += time.monotonic() - saved
                    saved = time.monotonic()
                    self.save()
        except KeyboardInterrupt:
            self.save()
            print(
                f"stopped at step {self.step}; the same command goes on from there", file=sys.stderr
            )
        finally:
            bar.close()
            board.close()
            if self.world > 1:
                distributed.destroy_process_group()
        return self.best

    def _validate(self, val: Samples, means: dict[str, float], board: Board) -> None:
        score = evaluate(self.ema, val)
        if score.auc > self.best:
            self.best = score.auc
            torch.save(self.ema.state_dict(), self.folder / "best.pt")
        row = {"step": self.step, "pck": score.pck, "auc": score.auc, **means,
               "rate": learning_rate(self.step, self.config), "skipped": self.skipped}  # fmt: skip
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        board.numbers(self.step, row)
        tqdm.write(f"step {self.step}: on {val.name} {self.config.validation.split} PCK@0.2 "
                   f"{score.pck:.4f}, AUC {score.auc:.4f} (best {self.best:.4f})")  # fmt: skip
