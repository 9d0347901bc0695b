"""Training, read in one sitting: data, loss, optimiser, EMA, checkpoints."""

from __future__ import annotations

import copy
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from livepose.crop import to_input
from livepose.data.mix import Mix, collate
from livepose.data.samples import Samples
from livepose.evaluate.protocol import evaluate
from livepose.models.margipose import MargiPose
from livepose.models.movenet import MoveNet
from livepose.models.store import load_model
from livepose.train.config import TrainConfig
from livepose.train.loss import loss_parts, total


def learning_rate(step: int, steps: int, warm_up: int, peak: float) -> float:
    """Linear warm-up to `peak`, then cosine to 0 at `steps`."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


class Run:
    """One training run in a folder: `state.pt` to go on from, `log.jsonl`, `best.pt`."""

    def __init__(self, config: TrainConfig, folder: Path, device: str = "cpu") -> None:
        self.config, self.folder, self.device = config, folder, torch.device(device)
        folder.mkdir(parents=True, exist_ok=True)
        # Denormals make training 20 times slower on CPUs. Threads inherit it from the one that
        # starts them, so it comes before any other call of torch.
        torch.set_flush_denormal(True)
        torch.manual_seed(config.seed)
        self.net = MargiPose(config.network)
        start = Path(config.start_from)
        if start.name.startswith("movenet-"):
            self.net.start_from(MoveNet.load(config.network.trunk, start))
        elif config.start_from:
            self.net.go_on_from(load_model(config.start_from)[0])
        # The first blocks work at high resolution: half of the time of a step, and general enough.
        for name in ["stem", *(f"block_{b}" for b in range(config.frozen_blocks))]:
            if config.frozen_blocks:
                getattr(self.net.trunk, name).requires_grad_(False)
        self.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.net).requires_grad_(False).eval()
        # Fresh layers learn at the full rate, the pretrained trunk at a fraction of it.
        named = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        trunk = [p for n, p in named if n.startswith("trunk.")]
        rest = [p for n, p in named if not n.startswith("trunk.")]
        self.scales = (config.trunk_rate, 1.0)
        self.optimiser = torch.optim.AdamW([{"params": trunk}, {"params": rest}],
                                           weight_decay=config.weight_decay)  # fmt: skip
        self.step, self.best, self.seconds = 0, -1.0, 0.0

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.pt"

    def save(self) -> None:
        """Writes the whole state; a cut while writing leaves the last one whole."""
        state = {
            "step": self.step, "best": self.best, "net": self.net.state_dict(),
            "ema": self.ema.state_dict(), "optimiser": self.optimiser.state_dict(),
            "config": asdict(self.config), "seconds": self.seconds,
        }  # fmt: skip
        fresh = self._state_file.with_suffix(".tmp")
        torch.save(state, fresh)
        fresh.replace(self._state_file)

    def resume(self) -> bool:
        """Goes on where `save` left off; False where there is nothing to go on from."""
        if not self._state_file.exists():
            return False
        state = torch.load(self._state_file, map_location=self.device, weights_only=True)
        if state["config"] != asdict(self.config):
            raise ValueError(
                f"{self._state_file} belongs to another configuration; use a new --out"
            )
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best, self.seconds = state["step"], state["best"], state["seconds"]
        return True

    def _update(self, batch: dict[str, Tensor]) -> dict[str, float]:
        c = self.config
        rate = learning_rate(self.step, c.steps, c.warm_up, c.rate)
        for group, scale in zip(self.optimiser.param_groups, self.scales, strict=True):
            group["lr"] = rate * scale
        images = to_input(batch.pop("image")).to(self.device)
        target = {k: v.to(self.device) for k, v in batch.items()}
        with torch.autocast(self.device.type, torch.bfloat16):
            out = self.net(images)
        parts = loss_parts(out, target, c.sigma, c.presence_weight)
        loss = total(parts)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.step}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), c.clip)
        self.optimiser.step()
        # A short average at first, so that it does not remember the start.
        decay = min(c.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.ema.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        self.step += 1
        return {k: v.item() for k, v in parts.items()}

    def train(self, parts: list[tuple[Samples, float]], val: Samples) -> float:
        """Runs to the end; returns the best PCK on `val`.

        Ctrl-C and a loss that is not a number stop it with the last good state kept.
        """
        c = self.config
        mix = Mix(parts, c.network.input_size, c.seed, c.steps * c.batch)
        rest = Subset(mix, range(self.step * c.batch, len(mix)))
        loader = DataLoader(rest, c.batch, num_workers=c.workers, collate_fn=collate,
                            prefetch_factor=4 if c.workers else None)  # fmt: skip
        means: dict[str, float] = {}
        saved = time.monotonic()
        bar = tqdm(total=c.steps, initial=self.step, unit="steps", mininterval=10)
        try:
            for batch in loader:
                for k, v in self._update(batch).items():
                    means[k] = 0.99 * means.get(k, v) + 0.01 * v
                bar.update()
                bar.set_postfix({k: f"{v:.3f}" for k, v in means.items()}, refresh=False)
                if self.step % c.validate_every == 0 or self.step == c.steps:
                    self._validate(val, means)
                if time.monotonic() - saved > 120 or self.step == c.steps:
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
        return self.best

    def _validate(self, val: Samples, means: dict[str, float]) -> None:
        score = evaluate(self.ema, val)
        pck = score.pck
        if pck > self.best:
            self.best = pck
            torch.save(self.ema.state_dict(), self.folder / "best.pt")
        row = {"step": self.step, "pck": pck, "auc": score.auc, **means}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        tqdm.write(f"step {self.step}: PCK@0.2 on {val.name} val {pck:.4f} (best {self.best:.4f}), "
                   f"AUC {score.auc:.4f}")  # fmt: skip
