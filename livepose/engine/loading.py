"""From a wish (model, backend, size, precision) to a network that is warm and ready to run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from livepose.crop import whole
from livepose.engine import backends
from livepose.engine.backends import Backend
from livepose.engine.backends.prepare import prepare
from livepose.engine.completion import Completion
from livepose.engine.device import PRECISIONS, Placement, choose
from livepose.models.networks import PoseNetwork
from livepose.models.store import find, read_card

LoadModel = Callable[[str], PoseNetwork]
# Networks that stay ready to go back to.
_KEPT = 6
_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """model: name or file. backend: of `livepose.engine.backends.BACKENDS`. precision: a key of
    `PRECISIONS`, "" for what suits the device. size: of the squares in pixels, None for the
    model's own. threads: on the CPU, 0 for as many as torch was told to use. device: "" for the
    one that all else runs on, or the type of another. squares: so many people at once are usual.
    """

    model: str
    backend: str = "auto"
    precision: str = ""
    size: int | None = None
    threads: int = 0
    device: str = ""
    squares: int = 1

    @classmethod
    def of(cls, text: str, backend: str = "auto", precision: str = "") -> Choice:
        """MODEL[@SIZE], for example ``base`` or ``lite@160``, as the command line has it.

        Raises:
            ValueError: what comes after the @ is no number.
        """
        model, at, size = text.rpartition("@")
        if not at or "/" in size or size.endswith(".safetensors"):
            return cls(text, backend, precision)
        if not model or not size.isdigit():
            raise ValueError(f"{text!r} is not MODEL[@SIZE], for example lite@160")
        return cls(model, backend, precision, int(size))

    @property
    def name(self) -> str:
        """For people to read: the file's name alone, and the size if it was asked for."""
        return Path(self.model).stem + (f"@{self.size}" if self.size else "")

    def check(self) -> None:
        """Raises `WeightsError` where there is no such model, ValueError where it does not take
        squares of this size.
        """
        backends.config_at(read_card(find(self.model)).config, self.size)


@dataclass(frozen=True, slots=True)
class Ready:
    """A warm network. net: the same in torch, to look into. note: why it does not run as was hoped
    for, or nothing.
    """

    choice: Choice
    net: PoseNetwork
    backend: Backend
    note: str
    device_name: str


class Loader:
    """Makes networks ready and keeps the last ones; used by one thread at a time.

    patient: they come with graphs for the middles of squares, however long that takes; else those
    that are missing are made beside the running network, and come into use when they are there.
    """

    def __init__(self, load: LoadModel, patient: bool = False) -> None:
        self._load, self._patient = load, patient
        self._completion = Completion()
        self.shape: tuple[int, ...] = backends.USUAL_SHAPE  # of the pictures in use
        # Torch's number is for the whole process, and a network with its own changes it.
        self._threads = torch.get_num_threads()
        # By what runs in the end; "auto" and a model's own size have led to something, too.
        self._ready: OrderedDict[tuple[Choice, str], Ready] = OrderedDict()
        self._led_to: dict[tuple[Choice, str], tuple[Choice, str]] = {}
        self._read: tuple[str, int | None, PoseNetwork] | None = None  # by `at_once`, not used yet

    def at_once(self, choice: Choice, placement: Placement) -> Choice:
        """What to run until `choice` is ready: itself, or torch where that will take seconds."""
        net = backends.at_size(self._load(choice.model), choice.size)
        self._read = (choice.model, choice.size, net)
        slow = backends.exports_first(net, self._place(choice, placement), choice.backend)
        return replace(choice, backend="torch") if slow else choice

    def __call__(self, choice: Choice, placement: Placement, beside: bool = False) -> Ready:
        """Raises what loading and running raise: `WeightsError`, OSError, RuntimeError, ...

        beside: a network runs meanwhile, and shall not be held up.
        """
        placement = self._place(choice, placement)
        asked, key = self._keys(choice, placement)
        if key in self._ready:
            self._ready.move_to_end(key)
            return replace(self._ready[key], choice=choice)
        net = self._network(choice)
        if beside and backends.exports_first(net, placement, choice.backend):
            runtime = "openvino" if choice.backend == "auto" else choice.backend
            precision = backends.for_openvino(net, placement).precision_name
            prepare(choice.model, choice.size, precision, runtime, choice.squares)
        alone = placement.squares == 1  # several at once are looked at in whole squares
        later = False
        if alone and not self._patient:
            later = backends.exports_first(net, placement, choice.backend, middles=True)
        backend, note = backends.make(net, placement, choice.backend, self.shape,
                                      middles=alone and not later)  # fmt: skip
        nothing = np.zeros(self.shape, np.uint8)
        for _ in range(_WARM_UP):  # the first runs choose kernels and allocate
            backend(nothing, [whole(self.shape[1], self.shape[0])])
        name = placement.device_name
        if backend.name != "torch":
            name = name.replace(" (", f", {backend.name} (", 1)
        run = replace(choice, backend=backend.name, precision=backend.precision, size=backend.size)
        key = self._led_to[asked] = (run, asked[1])
        if later:
            self._completion.want(choice, net, placement, backend)
        ready = self._ready[key] = Ready(choice, net, backend, note, name)
        while len(self._ready) > _KEPT:
            self._ready.popitem(last=False)
        return ready

    def is_ready(self, choice: Choice, placement: Placement) -> bool:
        """Whether it is among the last ones: to have it again takes no time."""
        return self._keys(choice, self._place(choice, placement))[1] in self._ready

    def _keys(self, choice: Choice, placement: Placement) -> tuple[tuple[Choice, str], ...]:
        """What was asked for, and what it has led to."""
        asked = (choice, str(placement.device))
        return asked, self._led_to.get(asked, asked)

    def _network(self, choice: Choice) -> PoseNetwork:
        """A network of its own: running it may change its precision and place."""
        read, self._read = self._read, None
        if read is not None and read[:2] == (choice.model, choice.size):
            return read[2]
        return backends.at_size(self._load(choice.model), choice.size)

    def _place(self, choice: Choice, placement: Placement) -> Placement:
        if choice.device not in ("", placement.device.type):
            placement = choose(choice.device, choice.precision or "auto")
        threads = choice.threads or self._threads
        placement = replace(placement, threads=threads, squares=choice.squares)
        if not choice.precision:
            return placement
        return replace(placement, dtype=PRECISIONS[choice.precision], asked=True)

    def forget(self) -> None:
        """Nothing that was ready can be used any more: the device has failed."""
        self._ready.clear()
        self._led_to.clear()
