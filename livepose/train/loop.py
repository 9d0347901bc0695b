"""Training, read in one sitting: data, loss, optimiser, EMA, checkpoints.

On several GPUs or machines by ``torchrun`` (`livepose.train.processes`): every process takes its
part of each batch, the first one validates and writes.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from livepose.crop import to_input
from livepose.data.mix import Mix, collate
from livepose.data.samples import DataError, Samples
from livepose.data.skeletons import Skeletons
from livepose.engine.device import has_bfloat16
from livepose.evaluate.protocol import evaluate
from livepose.models.margipose import Config, Output
from livepose.models.movenet import MoveNet
from livepose.models.networks import PoseNetwork, build, settings_of
from livepose.models.store import load_model
from livepose.train import checkpoint, processes
from livepose.train.board import Board
from livepose.train.checkpoint import SAVE_EVERY, Stop
from livepose.train.config import PRECISIONS, TrainConfig
from livepose.train.distil import Teacher, distil_parts
from livepose.train.lifting import learn_alone
from livepose.train.loss import lift_parts, loss_parts, multitask_parts, total
from livepose.train.memory import keep_memory
from livepose.train.schedule import learning_rate

# Settings that a run may change while it goes on: they touch speed, say which weights count, or are
# the way out of a NaN.
_FREE = ("workers", "validate_every", "rate", "select", "precision")


class Run:
    """One training run in a folder: `state.pt` to go on from, `log.jsonl`, and the weights that
    count, `best.pt`.

    Under ``torchrun``, in each of its processes.
    """

    def __init__(self, config: TrainConfig, folder: Path, device: str = "cpu") -> None:
        self.config, self.folder = config, folder
        self.rank, self.world = processes.rank(), processes.world()
        if config.batch % self.world:
            raise ValueError(f"{self.world} processes cannot share a batch of {config.batch}")
        folder.mkdir(parents=True, exist_ok=True)
        # Denormals make training 20 times slower on CPUs. Threads inherit it from the one that
        # starts them, so it comes before any other call of torch.
        torch.set_flush_denormal(True)
        keep_memory()
        self.device = processes.begin(device)
        if config.precision == "auto":  # what it is, stands in the card
            precision = "bfloat16" if has_bfloat16(self.device) else "float32"
            self.config = config = replace(config, precision=precision)
        torch.manual_seed(config.seed)
        self.net = self._network()
        start = Path(config.start_from)
        pretrained: tuple[str, ...] = ("trunk.", "fpn.", "joints.")
        if start.name.startswith("movenet-"):
            movenet = MoveNet.load(start.stem.removeprefix("movenet-"), start)
            pretrained = self.net.start_from(movenet)
        elif config.start_from:
            self.net.go_on_from(load_model(config.start_from)[0])
        if config.learn:
            for name, parameter in self.net.named_parameters():
                parameter.requires_grad_(name.startswith(config.learn))
        # The first blocks work at high resolution: half of the time of a step, and general enough.
        for name in ["stem", *(f"block_{b}" for b in range(config.frozen_blocks))]:
            if config.frozen_blocks:
                getattr(self.net.trunk, name).requires_grad_(False)
        self.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.net).requires_grad_(False).eval()
        self._known = pretrained
        self.optimiser = self._fresh_optimiser()
        # best: the highest AUC on the validation split. skipped: batches with unusable gradients.
        # means: of the losses, for those who watch.
        self.step, self.skipped, self.best, self.seconds = 0, 0, -1.0, 0.0
        self.means: dict[str, float] = {}
        self._forward: nn.Module = self.net
        self._teacher = None
        if config.distil_from:
            self._teacher = Teacher(config.distil_from, str(self.device))
        self._skeletons: Skeletons | None = None
        self._begun = False

    def _network(self) -> Any:
        """What is trained, before it has learned or taken over anything."""
        return build(self.config.network)

    def _fresh_optimiser(self) -> torch.optim.AdamW:
        """Fresh layers learn at the full rate, pretrained ones at a fraction of it.

        At the full one they forget what they know.
        """
        named = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError(f"no parameter's name begins with {' or '.join(self.config.learn)}")
        known = [p for n, p in named if n.startswith(self._known)]
        fresh = [p for n, p in named if not n.startswith(self._known)]
        return torch.optim.AdamW([{"params": known}, {"params": fresh}],
                                 weight_decay=self.config.weight_decay)  # fmt: skip

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.pt"

    @property
    def _log_file(self) -> Path:
        return self.folder / "log.jsonl"

    def save(self) -> None:
        """Writes the whole state."""
        if self.rank == 0:
            checkpoint.write(self._state_file, {
                "step": self.step, "skipped": self.skipped, "best": self.best,
                "seconds": self.seconds, "means": self.means, "net": self.net.state_dict(),
                "ema": self.ema.state_dict(), "optimiser": self.optimiser.state_dict(),
                "config": self._settings(), "world": self.world,
                "machine": processes.machine(self.device),
            })  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        return {**asdict(self.config), "network": settings_of(self.config.network)}

    def resume(self) -> bool:
        """Goes on where `save` left off; False where there is nothing to go on from.

        Raises:
            ValueError: what was saved is of another configuration or number of processes.
        """
        state = None
        if self.rank == 0 and self._state_file.exists():
            state = torch.load(self._state_file, map_location="cpu", weights_only=True)
        # Other machines need not see the folder of the first one.
        state = processes.from_first(state)
        if state is None:
            return False
        self._check(state)
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name in ("step", "skipped", "best", "seconds"):
            setattr(self, name, state[name])
        self.means, self._begun = state.get("means", {}), True
        if self.rank == 0 and self._log_file.exists():
            # What came after the state was saved comes again.
            lines = self._log_file.read_text().splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= self.step]
            self._log_file.write_text("".join(kept))
        return True

    def _check(self, state: dict[str, Any]) -> None:
        own, stored = (
            {k: v for k, v in settings.items() if k not in _FREE}
            | {"start_from": Path(settings["start_from"]).name}
            for settings in (self._settings(), state["config"])
        )
        if not checkpoint.same_settings(own, stored):
            raise ValueError(
                f"{self._state_file} belongs to another configuration; use a new --out"
            )
        if (before := state.get("world", 1)) != self.world:
            raise ValueError(f"{self._state_file} is of a run with {before} process(es), not "
                             f"{self.world}: go on with as many")  # fmt: skip

    def _update(self, batch: dict[str, Tensor]) -> dict[str, float]:
        c = self.config
        if c.detection == "first" and self.step == c.steps // 2:
            self.optimiser = self._fresh_optimiser()  # its moments are those of another task
        for group, scale in zip(self.optimiser.param_groups, (c.pretrained_rate, 1), strict=True):
            group["lr"] = learning_rate(self.step, c) * scale
        squares = batch.pop("image")
        images = to_input(squares.to(self.device, non_blocking=True))
        target = {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}
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
                f"{self._state_file}: lower the rate in the configuration and go on from there"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = self._clip()
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
        values = torch.stack([v.detach() for v in parts.values()]).tolist()
        return dict(zip(parts, values, strict=True))

    def _clip(self) -> Tensor:
        """Shortens gradients that are too long; returns how long they were."""
        return nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)

    def _parts(self, out: Output, target: dict[str, Tensor]) -> dict[str, Tensor]:
        c, net = self.config, self.config.network
        if isinstance(net, Config):
            return loss_parts(out, target, c.sigma, c.confidence_weight, c.coordinates,
                              c.regulariser, net.output, net.peak_radius)  # fmt: skip
        early = self.step < c.steps // 2
        detect = {"joint": True, "first": early, "none": False}[c.detection]
        regress = not (c.detection == "first" and early)
        return multitask_parts(out, target, net.window, c.detection_weight * detect,
                               float(regress), c.confidence_weight)  # fmt: skip

    def train(
        self, parts: list[tuple[Samples, float]], val: Samples, backgrounds: Sequence[Path] = ()
    ) -> float:
        """Runs to the end; returns the best AUC on `val`.

        A batch whose gradients are not finite is skipped and counted. Ctrl-C stops it after a
        step, a loss that is not a number at once, with the last good state kept.
        """
        with Stop() as stop:
            try:
                batches = self._batches(parts, backgrounds)
                if self._begun or self._begin(stop):
                    self._run(batches, val, stop)
                    processes.meet()
            finally:
                processes.end()
        if self.step < self.config.steps and self.rank == 0:
            print(f"stopped at step {self.step}; the same command goes on from there",
                  file=sys.stderr)  # fmt: skip
        return self.best

    def _batches(
        self, parts: list[tuple[Samples, float]], backgrounds: Sequence[Path]
    ) -> DataLoader[Any]:
        c = self.config
        mix = Mix(parts, c.network.input_size, c.seed, c.steps * c.batch, backgrounds,
                  c.sizes, c.batch, c.turned, c.beside)  # fmt: skip
        if c.skeletons:
            self._skeletons = Skeletons([samples for samples, _ in parts], c.turned)
            if not len(self._skeletons):
                raise DataError("skeletons are wanted, but no data set has true 3D labels")
        mine = range(self.step * c.batch + self.rank, len(mix), self.world)
        ahead = 4 if c.workers else None
        return DataLoader(Subset(mix, mine), c.batch // self.world, num_workers=c.workers,
                          collate_fn=collate, prefetch_factor=ahead,
                          pin_memory=self.device.type == "cuda",
                          worker_init_fn=checkpoint.leave_stopping_to_parent)  # fmt: skip

    def _begin(self, stop: Stop) -> bool:
        """What comes before the first step; False if that was stopped."""
        c, began = self.config, time.monotonic()
        if c.lifting_first:
            assert self._skeletons is not None
            lifting = self.net.get_submodule("lifting")
            if not learn_alone(
                lifting, self._skeletons, c.lifting_first, c.skeletons, c.seed, stop
            ):
                return False
            self.ema.load_state_dict(self.net.state_dict())
            self.seconds += time.monotonic() - began
            self.save()
        return True

    def _run(self, batches: DataLoader[Any], val: Samples, stop: Stop) -> None:
        c = self.config
        if self.world > 1:
            # Detection and regression alone leave the other task's layers without gradients.
            tasks = not isinstance(c.network, Config)
            self._forward = DistributedDataParallel(self.net, find_unused_parameters=tasks)
        board = Board(self.folder if self.rank == 0 else None)
        bar = tqdm(total=c.steps, initial=self.step, unit="steps", mininterval=10,
                   disable=self.rank > 0)  # fmt: skip
        saved = time.monotonic()
        try:
            for batch in batches:
                pictures = dict(batch) if self.step % c.validate_every == 0 else None
                for k, v in self._update(batch).items():
                    self.means[k] = 0.99 * self.means.get(k, v) + 0.01 * v
                bar.update()
                shown = {k: f"{v:.3f}" for k, v in self.means.items()}
                bar.set_postfix(shown | {"skipped": self.skipped}, refresh=False)
                if pictures:
                    board.pictures(self.step, self._shown(), pictures)
                last = self.step == c.steps
                if self.rank == 0 and (self.step % c.validate_every == 0 or last):
                    self._validate(val, board)
                stopped = processes.any_of(stop.asked)
                if last or stopped or time.monotonic() - saved > SAVE_EVERY:
                    self.seconds += time.monotonic() - saved
                    saved = time.monotonic()
                    self.save()
                if stopped:
                    break
        finally:
            bar.close()
            board.close()

    def _shown(self) -> PoseNetwork:
        """The network whose answers TensorBoard shows."""
        return self.ema

    def _scores(self, val: Samples) -> dict[str, float]:
        """How good the weights are: pck, auc, and what else the log shall have."""
        score = evaluate(self.ema, val)
        return {"pck": score.pck, "auc": score.auc}

    def _validate(self, val: Samples, board: Board) -> None:
        scores = self._scores(val)
        pck, auc = scores["pck"], scores["auc"]
        better, self.best = auc > self.best, max(auc, self.best)
        if better or self.config.select == "last":
            checkpoint.write(self.folder / "best.pt", self.ema.state_dict())
        row = {"step": self.step, **scores, **self.means,
               "rate": learning_rate(self.step, self.config), "skipped": self.skipped}  # fmt: skip
        with self._log_file.open("a") as log:
            log.write(json.dumps(row) + "\n")
        board.numbers(self.step, row)
        tqdm.write(f"step {self.step}: on {val.name} {self.config.validation.split} PCK@0.2 "
                   f"{pck:.4f}, AUC {auc:.4f} (best {self.best:.4f})")  # fmt: skip
