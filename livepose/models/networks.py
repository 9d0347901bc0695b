"""All kinds of pose networks, by the name that cards and training files use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from livepose.models.margipose import Config, MargiPose
from livepose.models.multitask import MultiTask, MultiTaskConfig

NetworkConfig = Config | MultiTaskConfig
PoseNetwork = MargiPose | MultiTask
KINDS = ("margipose", "multitask")


def config_of(settings: Mapping[str, Any]) -> NetworkConfig:
    """Settings from a card or a training file; ``kind`` is margipose where it is missing.

    Raises:
        ValueError, TypeError: they describe no network.
    """
    rest = dict(settings)
    kind = rest.pop("kind", KINDS[0])
    if kind not in KINDS:
        raise ValueError(f"unknown kind of network {kind!r}; known: {', '.join(KINDS)}")
    return MultiTaskConfig(**rest) if kind == "multitask" else Config(**rest)


def settings_of(config: NetworkConfig) -> dict[str, Any]:
    """The way back."""
    kind = {"kind": "multitask"} if isinstance(config, MultiTaskConfig) else {}
    return {**kind, **asdict(config)}


def build(config: NetworkConfig) -> PoseNetwork:
    """The network, untrained."""
    return MultiTask(config) if isinstance(config, MultiTaskConfig) else MargiPose(config)
