"""``livepose pack``: the best weights of a run as safetensors with a card.

Runs that went on from the same weights lie in one valley: the mean of their weights is a network
too, and better than each of them (Wortsman et al. 2022, *Model soups: averaging weights of multiple
fine-tuned models improves accuracy without increasing inference time*).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from livepose.data.readers import READERS
from livepose.engine.backends import at_size
from livepose.models.networks import build, config_of
from livepose.models.store import Trained, WeightsError, find, load_model, read_card, save_model

TRUNK_LICENCE = "MoveNet by Google: Apache-2.0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("--out", type=Path, required=True, help="NAME.safetensors to write")
    parser.add_argument(
        "--command", required=True, help="the command that trained it, for the card"
    )
    parser.add_argument(
        "--mean-with", nargs="+", default=[], metavar="WEIGHTS",
        help="packs the mean of the run's weights and these, of stages before it or beside it; "
        "what is named twice counts twice",
    )  # fmt: skip
    parser.add_argument(
        "--own", nargs="+", default=[], metavar="LAYERS",
        help="what the names of layers begin with that are the run's, and no mean",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=int, metavar="PIXELS",
        help="its input size from now on, in place of the run's (see `livepose eval --size`)",
    )  # fmt: skip


def trained(
    run: Path, command: str, size: int | None = None, mean_with: Sequence[str] = (),
    own: Sequence[str] = (),
) -> Trained:  # fmt: skip
    """The network of a run, in float32 on the CPU.

    size: pixels of its input, in place of the run's. mean_with: other weights, each of which counts
    as much as the run's, or twice that if it is named twice; the mean of a layer is over those that
    have it. own: what the names of layers begin with of which no mean is taken.

    Raises:
        WeightsError: the weights that the run started from, or others, are gone.
        OSError, ValueError: `run` is not the folder of a training run, its network does not take
            that size, or others are of another kind.
    """
    weights = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    training, chosen = about(run, command)
    others = {Path(name).name: load_model(name) for name in dict.fromkeys(mean_with)}
    net = build(config_of(training["config"]["network"]))
    times = Counter(Path(name).name for name in mean_with)
    states = [others[name][0].state_dict() for name in times.elements()]
    net.load_state_dict(mean([weights, *states], own))
    measured = {"validation_pck": chosen["pck"], "validation_auc": chosen["auc"]}
    if others:
        told = ("command", "seed", "steps", "squares", "hours", "machine")
        training["mean_with"] = {
            name: {"times": times[name], **{k: card.training.get(k) for k in told}}
            for name, (_, card) in others.items()
        }
        training["mean_without"] = list(own)
        for _, card in others.values():
            training["data"] = {**card.training.get("data", {}), **training["data"]}
        measured = {}  # what the run's log says is not of the mean
    return Trained(at_size(net, size), training, measured)


def mean(states: Sequence[Mapping[str, Tensor]], own: Sequence[str] = ()) -> dict[str, Tensor]:
    """The mean of each tensor of the first state over all that have it.

    own: what the names of tensors begin with that are left as the first state has them.

    Raises:
        ValueError: they have it in other shapes.
    """
    out = {}
    for name, first in states[0].items():
        sharing = states[:1] if name.startswith(tuple(own)) else states
        there = [state[name].to(first.dtype) for state in sharing if name in state]
        if any(tensor.shape != first.shape for tensor in there):
            raise ValueError(f"no mean of {name}, which has several shapes")
        out[name] = torch.stack(there).mean(0) if len(there) > 1 else first
    return out


def about(run: Path, command: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the card of a run says of training, and the line of its log that counts.

    Raises:
        WeightsError, OSError, ValueError: as `trained`.
    """
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    config = state["config"]
    start = Path(config["start_from"])
    # A stage before this one: its training counts too.
    staged = start.name and not start.name.startswith("movenet-")
    first = dict(read_card(find(str(start))).training) if staged else None
    config["start_from"] = start.name  # not where it lay on this machine
    last = config.get("select") == "last"
    chosen = log[-1] if last else max(log, key=lambda row: row["auc"])
    data = {f"{part['reader']} ({Path(part['root']).name})":
            part.get("licence") or READERS[part["reader"]].licence
            for part in config["data"]}  # fmt: skip
    training = {
        "command": command, "config": config, "seed": config["seed"],
        "steps": chosen["step"], "squares": chosen["step"] * config["batch"],
        "hours": round(state["seconds"] / 3600, 2), "machine": state["machine"],
        "torch": torch.__version__,
        "data": {**data, "trunk": TRUNK_LICENCE},
    }  # fmt: skip
    if first:  # its command names the file of its settings
        training["first"] = {k: told for k, told in first.items() if k != "config"}
    return training, chosen


def main(args: argparse.Namespace) -> int:
    try:
        card = save_model(
            args.out, *trained(args.run, args.command, args.size, args.mean_with, args.own)
        )
    except WeightsError as error:
        print(f"livepose pack: what {args.run} goes with: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"livepose pack: {args.run} cannot be packed: {error}", file=sys.stderr)
        return 2
    seen = card.measured.get("validation_pck")
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB"
          + (f", validation PCK {seen:.4f}" if seen else ""))  # fmt: skip
    return 0
