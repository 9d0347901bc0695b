"""``livepose pack``: the best weights of a run as safetensors with a card."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from livepose.data.readers import READERS
from livepose.models.networks import build, config_of
from livepose.models.store import Card, WeightsError, find, read_card, save_model

TRUNK_LICENCE = "MoveNet by Google: Apache-2.0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("--out", type=Path, required=True, help="NAME.safetensors to write")
    parser.add_argument(
        "--command", required=True, help="the command that trained it, for the card"
    )


def pack(run: Path, out: Path, command: str) -> Card:
    """Writes the best weights of a run and their card.

    Raises:
        WeightsError: the weights that the run started from are gone.
        OSError, ValueError: `run` is not the folder of a training run.
    """
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    weights = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    start = Path(state["config"]["start_from"])
    # A stage before this one: its training counts too.
    staged = start.name and not start.name.startswith("movenet-")
    first = dict(read_card(find(str(start))).training) if staged else None
    config = state["config"]
    net = build(config_of(config["network"]))
    net.load_state_dict(weights)
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
    measured = {"validation_pck": chosen["pck"], "validation_auc": chosen["auc"]}
    return save_model(out, net, training, measured)


def main(args: argparse.Namespace) -> int:
    try:
        card = pack(args.run, args.out, args.command)
    except WeightsError as error:
        print(f"livepose pack: what {args.run} started from: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(
            f"livepose pack: {args.run} is not the folder of a training run: {error}",
            file=sys.stderr,
        )
        return 2
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, "
          f"validation PCK {card.measured['validation_pck']:.4f}")  # fmt: skip
    return 0
