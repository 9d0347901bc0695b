"""Training networks that share all but their output (`livepose.models.family`) in one run.

All see the same squares at the same step. Every output strategy has the same say in what the shared
layers learn, however many of the members use it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from livepose.data.samples import Samples
from livepose.evaluate.protocol import evaluate
from livepose.models.family import Family
from livepose.models.margipose import Config, MargiPose, Output
from livepose.models.networks import settings_of
from livepose.models.store import Trained
from livepose.train.config import TrainConfig
from livepose.train.loop import Run
from livepose.train.loss import loss_parts
from livepose.train.pack import about


class FamilyRun(Run):
    """A `Run` of several networks.

    Args:
        config: what is the same for all.
        members: of each network, by name, its own settings, which differ in the output, the size of
            the maps and the regulariser.
    """

    def __init__(
        self, config: TrainConfig, members: Mapping[str, TrainConfig], folder: Path,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        self.members = dict(members)
        super().__init__(config, folder, device)

    def _network(self) -> Family:
        configs = _networks(self.members)
        users = Counter(c.output for c in configs.values())
        say = {n: 1 / (users[c.output] * len(users)) for n, c in configs.items()}
        return Family(configs, say)

    def _settings(self) -> dict[str, Any]:
        own = {n: [c.output, c.heatmap_stride, self.members[n].regulariser]
               for n, c in _networks(self.members).items()}  # fmt: skip
        return {**super()._settings(), "members": own}

    def _parts(self, out: dict[str, Output], target: dict[str, Tensor]) -> dict[str, Tensor]:  # type: ignore[override]
        """Each loss, summed over the members."""
        parts: dict[str, Tensor] = {}
        for name, network in _networks(self.members).items():
            c = self.members[name]
            own = loss_parts(out[name], target, c.sigma, c.confidence_weight, c.coordinates,
                             c.regulariser, network.output, network.peak_radius)  # fmt: skip
            parts |= {k: parts.get(k, 0) + v for k, v in own.items()}
        return parts

    def _clip(self) -> Tensor:
        """Each member's own layers by themselves: one with long gradients must not slow others."""
        named = list(self.net.named_parameters())
        groups = [[p for n, p in named if n.startswith(f"nets.{name}.")] for name in self.members]
        groups.append([p for n, p in named if not n.startswith("nets.")])
        norms = [nn.utils.clip_grad_norm_(group, self.config.clip) for group in groups]
        return torch.stack(norms).norm()

    def _shown(self) -> MargiPose:
        net = next(iter(self.ema.nets.values()))
        assert isinstance(net, MargiPose)
        return net

    def _scores(self, val: Samples) -> dict[str, float]:
        """Means over the members, and the PCK of each."""
        self.ema.eval()
        scores = {name: evaluate(net, val) for name, net in self.ema.nets.items()}
        means = {k: sum(getattr(s, k) for s in scores.values()) / len(scores)
                 for k in ("pck", "auc")}  # fmt: skip
        return means | {name: score.pck for name, score in scores.items()}


def trained_family(
    run: Path, members: Mapping[str, TrainConfig], command: str
) -> dict[str, Trained]:
    """The networks of a run that has ended by name, in float32 on the CPU.

    Raises:
        WeightsError, OSError, ValueError: as `livepose.train.pack.trained`.
    """
    weights = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    training, chosen = about(run, command)
    del training["config"]["members"]
    out = {}
    for name, network in _networks(members).items():
        net, start = MargiPose(network), f"nets.{name}."
        net.load_state_dict({k.removeprefix(start): v for k, v in weights.items()
                             if k.startswith(start)})  # fmt: skip
        own = {"network": settings_of(network), "regulariser": members[name].regulariser}
        what = {**training, "config": {**training["config"], **own}}
        out[name] = Trained(net, what, {"validation_pck": chosen[name]})
    return out


def _networks(members: Mapping[str, TrainConfig]) -> dict[str, Config]:
    return {n: c.network for n, c in members.items() if isinstance(c.network, Config)}
