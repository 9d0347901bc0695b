"""``livepose pack``: the best weights of a run as safetensors with a card."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from livepose.data.readers import READERS
from livepose.engine.backends import at_size
from livepose.models.networks import build, config_of
from livepose.models.store import Trained, WeightsError, find, read_card, save_model

TRUNK_LICENCE = "MoveNet by Google: Apache-2.0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("--out", type=Path, required=True, help="NAME.safetensors to write")
    parser.add_argument(
        "--command", required=True, help="the command that trained it, for the card"
    )
    parser.add_argument(
        "--size", type=int, metavar="PIXELS",
        help="its input size from now on, in place of the run's (see `livepose eval --size`)",
    )  # fmt: skip


def trained(run: Path, command: str, size: int | None = None) -> Trained:
    """The network of a run, in float32 on the CPU.

    size: pixels of its input, in place of the run's.

    Raises:
        WeightsError: the weights that the run started from are gone.
        OSError, ValueError: `run` is not the folder of a training run, or its network does not take
            that size.
    """
    weights = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    training, chosen = about(run, command)
    net = build(config_of(training["config"]["network"]))
    net.load_state_dict(weights)
    measured = {"validation_pck": chosen["pck"], "validation_auc": chosen["auc"]}
    return Trained(at_size(net, size), training, measured)


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
    if first:
        training["first"] = first
    return training, chosen


def main(args: argparse.Namespace) -> int:
    try:
        card = save_model(args.out, *trained(args.run, args.command, args.size))
    except WeightsError as error:
        print(f"livepose pack: what {args.run} started from: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"livepose pack: {args.run} cannot be packed: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, "
          f"validation PCK {card.measured['validation_pck']:.4f}")  # fmt: skip
    return 0
