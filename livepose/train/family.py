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
from livepose.models.family import SHARED, Family
from livepose.models.margipose import Config, MargiPose, Output
from livepose.train.config import TrainConfig
from livepose.train.loop import Run
from livepose.train.loss import loss_parts


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
        configs: dict[str, Config] = {}
        for name, member in self.members.items():
            assert isinstance(member.network, Config)
            configs[name] = member.network
        users = Counter(c.output for c in configs.values())
        say = {n: 1 / (users[c.output] * len(users)) for n, c in configs.items()}
        return Family(configs, say)

    def _settings(self) -> dict[str, Any]:
        own = {n: [c.network.output, c.network.heatmap_stride, c.regulariser]
               for n, c in self.members.items() if isinstance(c.network, Config)}  # fmt: skip
        return {**super()._settings(), "members": own}

    def _parts(self, out: dict[str, Output], target: dict[str, Tensor]) -> dict[str, Tensor]:  # type: ignore[override]
        """Each loss, summed over the members."""
        parts: dict[str, Tensor] = {}
        for name, each in out.items():
            c = self.members[name]
            assert isinstance(c.network, Config)
            own = loss_parts(each, target, c.sigma, c.confidence_weight, c.coordinates,
                             c.regulariser, c.network.output, c.network.peak_radius)  # fmt: skip
            parts |= {k: parts.get(k, 0) + v for k, v in own.items()}
        return parts

    def _clip(self) -> Tensor:
        """Each member's own layers by themselves: one with long gradients must not slow others."""
        named = list(self.net.named_parameters())
        groups = [[p for n, p in named if n.startswith(f"nets.{name}.")] for name in self.members]
        groups.append([p for n, p in named if n.startswith(SHARED)])
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


def members_of(run: Path, members: Mapping[str, TrainConfig]) -> dict[str, MargiPose]:
    """The networks of a run that has ended, in float32 on the CPU."""
    weights = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    made = {}
    for name, member in members.items():
        assert isinstance(member.network, Config)
        net, start = MargiPose(member.network), f"nets.{name}."
        net.load_state_dict({k.removeprefix(start): v for k, v in weights.items()
                             if k.startswith(start)})  # fmt: skip
        made[name] = net
    return made
