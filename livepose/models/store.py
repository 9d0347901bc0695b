"""Weights on disk: a safetensors file and a JSON card of the same name beside it.

Networks of one family (`livepose.models.family`) have what they share in a file of its own, which
their cards name.

Loading is strict. Nothing is ever unpickled; a file that is cut off, altered, of another network
or with a card of another schema is refused with a `WeightsError` that says what to do.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from livepose import skeleton
from livepose.models.detector import PersonNet
from livepose.models.networks import NetworkConfig, PoseNetwork, build, config_of, settings_of
from livepose.models.quantised import Range, Ranges
from livepose.resources import WEIGHTS

SCHEMA = "livepose-card/1"
_MEAN = "mean."  # before a layer's name: of its `Range`, in the file of the weights
_KEYS = {"schema", "name", "network", "sha256", "training", "measured"}
STUDIES = ("study", "tasks")  # folders of networks that are there to be compared
DETECTOR = WEIGHTS / "detector" / "person.safetensors"
DETECTOR_NETWORK = {"kind": "detector"}


class WeightsError(Exception):
    """Weights or their card cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is: network settings, training (data, licences, command, seed), figures.

    ranges: what int8 arithmetic needs (`livepose.models.quantised`), empty if it was not measured.
    shared: files beside it with tensors that are those of its family, and their SHA-256.
    """

    name: str
    config: NetworkConfig
    training: Mapping[str, Any]
    measured: Mapping[str, Any]
    sha256: str
    ranges: Ranges
    shared: Mapping[str, str]


def available(folder: Path = WEIGHTS, everywhere: bool = False) -> list[str]:
    """Names of the models in a folder that have both files, sorted.

    everywhere: also those of the studies, in folders of their own.
    """
    files = [*folder.glob("*.safetensors")]
    if everywhere:
        files += [f for study in STUDIES for f in sorted((folder / study).glob("*.safetensors"))]
    return [f.stem for f in sorted(files, key=lambda f: (f.parent != folder, f.stem))
            if f.with_suffix(".json").exists()]  # fmt: skip


def best(folder: Path = WEIGHTS) -> str:
    """The model in a folder with the highest PCK on the validation split by its card; "" for none.

    Not on the test half: what that has chosen, it cannot judge.
    """
    scores: dict[str, float] = {}
    for name in available(folder):
        with suppress(WeightsError):
            measured = read_card(find(name, folder)).measured
            scores[name] = measured.get("lsp_val_pck") or measured.get("validation_pck") or 0.0
    return max(scores, key=lambda name: scores[name], default="")


def find(model: str, folder: Path = WEIGHTS) -> Path:
    """The safetensors file of a shipped model's name, or of a path to one."""
    for place in (folder, *(folder / study for study in STUDIES)):
        file = place / f"{model}.safetensors"
        if "/" not in model and file.exists() and file.with_suffix(".json").exists():
            return file
    path = Path(model).expanduser()
    if path.suffix in (".pt", ".pth", ".ckpt", ".pkl", ".bin"):
        raise WeightsError(
            f"{path.name} is a pickled checkpoint; those can run code and are not loaded. "
            "Pack it with `livepose pack`, or give a .safetensors file."
        )
    if path.suffix == ".safetensors" and path.exists():
        return path
    known = ", ".join(available(folder)) or "none: reinstall livepose"
    raise WeightsError(f"no model {model!r}; shipped models: {known}; or give a .safetensors file")


def read_card(file: Path) -> Card:
    """The card of a pose network, beside its safetensors file."""
    path = file.with_suffix(".json")
    data = _card(file)
    if tuple(data.get("joints", ())) != skeleton.JOINTS:
        raise WeightsError(
            f"{path} has other joints than this version of livepose; get a matching one"
        )
    try:
        config = config_of(data["network"])
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} describes a network that livepose cannot build: {error}"
        ) from error
    try:
        ends = data["ranges"].items()
        ranges = {str(k): Range(float(low), float(high)) for k, (low, high) in ends}
    except KeyError:
        ranges = {}
    except (AttributeError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} has broken ranges ({error}); get it again") from error
    try:
        shared = {str(k): str(v) for k, v in data.get("shared", {}).items()}
    except AttributeError as error:
        raise WeightsError(f"{path} is broken ({error}); get it again") from error
    return Card(data["name"], config, data["training"], data["measured"], data["sha256"], ranges,
                shared)  # fmt: skip


def _card(file: Path) -> dict[str, Any]:
    """What all cards have, checked."""
    path = file.with_suffix(".json")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{path} is missing; a model is a .safetensors and a .json file"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path} is not a readable JSON card ({error}); get it again") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise WeightsError(
            f"{path} has the schema {found!r}, this version of livepose reads {SCHEMA!r}; "
            "update livepose or get the matching model"
        )
    if missing := sorted(_KEYS - set(data)):
        raise WeightsError(f"{path} lacks {', '.join(missing)}; get it again")
    return data


def load_model(model: str, folder: Path = WEIGHTS) -> tuple[PoseNetwork, Card]:
    """The network of a shipped name or a path, in float32 on the CPU, ready to run."""
    file = find(model, folder)
    card = read_card(file)
    net = build(card.config)
    tensors = _tensors(file, card.sha256) | _shared(file, card.shared, net)
    means = {k: tensors.pop(_MEAN + k, torch.empty(0)).tolist() for k in card.ranges}
    _fill(net, file, tensors)
    net.ranges = {k: ends._replace(mean=tuple(means[k])) for k, ends in card.ranges.items()}
    return net, card


def load_detector(file: Path = DETECTOR) -> PersonNet:
    """The network that finds people, in float32 on the CPU, ready to run."""
    card = _card(file)
    if card["network"] != DETECTOR_NETWORK:
        raise WeightsError(f"{file} is not a detector of people")
    net = PersonNet()
    _fill(net, file, _tensors(file, card["sha256"]))
    return net


def _tensors(file: Path, sha256: str) -> dict[str, torch.Tensor]:
    """The tensors of a file, which must be the one that its card describes, in float32."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror}") from error
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise WeightsError(
            f"{file} is not the file that its card describes (cut off, altered or mixed up); "
            "get both files again"
        )
    try:
        return {name: tensor.float() for name, tensor in load(raw).items()}
    except (SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{file} is not a whole safetensors file ({error}); get it again"
        ) from error


def _shared(file: Path, shared: Mapping[str, str], net: nn.Module) -> dict[str, torch.Tensor]:
    """What a network shares with others of its family, and none of what only they use."""
    known = net.state_dict().keys()
    return {name: tensor for other, sha256 in shared.items()
            for name, tensor in _tensors(file.parent / Path(other).name, sha256).items()
            if name in known}  # fmt: skip


def _fill(net: nn.Module, file: Path, state: Mapping[str, torch.Tensor]) -> None:
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise WeightsError(f"{file} does not fit the network of its card: {first}") from error
    net.eval().requires_grad_(False)


def save_model(
    file: Path, net: PoseNetwork, training: Mapping[str, Any], measured: Mapping[str, Any]
) -> Card:
    """Writes ``file`` (float16 safetensors) and its card beside it."""
    _save(file, net, _described(net), training, measured)
    return read_card(file)


def _described(net: PoseNetwork) -> dict[str, Any]:
    what = {"network": settings_of(net.config), "joints": list(skeleton.JOINTS)}
    if net.ranges:
        what["ranges"] = {name: [ends.low, ends.high] for name, ends in net.ranges.items()}
    return what


class Trained(NamedTuple):
    """A network with what its card shall say."""

    net: PoseNetwork
    training: Mapping[str, Any]
    measured: Mapping[str, Any]


def save_family(folder: Path, members: Mapping[str, Trained], shared: str) -> None:
    """Writes networks by name; what several of them have alike once, in a file of its own.

    Its name is `shared` with the first digits of its hash: members that were written before go on
    with theirs.
    """
    states = [member.net.state_dict() for member in members.values()]
    common = {}
    for name in {name for state in states for name in state}:
        first, *others = (state[name] for state in states if name in state)
        if others and all(torch.equal(first, other) for other in others):
            common[name] = first
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    if common:
        digest = hashlib.sha256(raw := _halved(common)).hexdigest()
        (folder / (file := f"{shared}-{digest[:8]}.safetensors")).write_bytes(raw)
        files[file] = digest
    for name, (net, training, measured) in members.items():
        what = {**_described(net), "shared": files}
        _save(folder / f"{name}.safetensors", net, what, training, measured, common)


def save_detector(
    file: Path, net: PersonNet, training: Mapping[str, Any], measured: Mapping[str, Any]
) -> None:
    """As `save_model`, of the network that finds people."""
    _save(file, net, {"network": DETECTOR_NETWORK}, training, measured)


def _save(
    file: Path, net: nn.Module, what: Mapping[str, Any], training: Mapping[str, Any],
    measured: Mapping[str, Any], elsewhere: Container[str] = (),
) -> None:  # fmt: skip
    """elsewhere: names of tensors that are in another file."""
    ranges: Ranges = getattr(net, "ranges", {})
    means = {_MEAN + k: torch.tensor(ends.mean) for k, ends in ranges.items() if ends.mean}
    own = {k: v for k, v in net.state_dict().items() if k not in elsewhere}
    raw = _halved({**own, **means})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(raw)
    card = {
        "schema": SCHEMA, "name": file.stem, **what, "sha256": hashlib.sha256(raw).hexdigest(),
        "training": dict(training), "measured": dict(measured),
    }  # fmt: skip
    _write_card(file, card)


def _halved(state: Mapping[str, torch.Tensor]) -> bytes:
    """Tensors in float16, as safetensors."""
    return save({k: v.detach().to("cpu", torch.float16).contiguous() for k, v in state.items()})


def update_measured(file: Path, measured: Mapping[str, Any]) -> None:
    """Adds measured figures to the card beside a safetensors file."""
    data = _card(file)
    data["measured"].update(measured)
    _write_card(file, data)


def _write_card(file: Path, card: Mapping[str, Any]) -> None:
    text = json.dumps(jsonable(card), indent=1, allow_nan=False)
    file.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def jsonable(value: Any) -> Any:
    """`value` with None in place of NaN and infinity, for which JSON has no words."""
    if isinstance(value, Mapping):
        return {k: jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
