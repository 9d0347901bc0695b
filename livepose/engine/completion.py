"""Graphs that a network can do without at first: made beside it, one network after the other."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from livepose.engine import backends
from livepose.engine.backends import Backend
from livepose.engine.backends.prepare import prepare
from livepose.engine.device import Placement
from livepose.models.networks import PoseNetwork

if TYPE_CHECKING:
    from livepose.engine.loading import Choice


class Completion:
    """Makes the graphs for middles of squares, in another process; the newest network counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: tuple[Choice, PoseNetwork, Placement, Backend] | None = None
        self._busy = False

    def want(
        self, choice: Choice, net: PoseNetwork, placement: Placement, backend: Backend
    ) -> None:
        """Returns at once. net: what the backend was made of."""
        with self._lock:
            self._wanted = choice, net, placement, backend
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, name="inference-complete", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, None
                self._busy = wanted is not None
            if wanted is None:
                return
            # Without them the network runs as it does.
            with suppress(Exception):
                _complete(*wanted)


def _complete(choice: Choice, net: PoseNetwork, placement: Placement, backend: Backend) -> None:
    precision = backends.for_openvino(net, placement).precision_name
    done = prepare(choice.model, choice.size, precision, middles=True)
    # What has not been exported there would be here, and hold everything up.
    if done and not backends.exports_first(net, placement, "openvino", middles=True):
        backends.add_middles(backend, net)
