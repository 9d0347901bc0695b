"""The right half of the window: the 3D view, the inspector, the comparison, the explorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QToolButton

from livepose.bench.explore import SIZES
from livepose.engine.loading import Choice
from livepose.engine.probing import Probe
from livepose.frames import Result
from livepose.models.networks import PoseNetwork
from livepose.models.store import available
from livepose.ui.comparing import Comparison
from livepose.ui.explorer import Explorer
from livepose.ui.inspector import Inspector
from livepose.ui.network_view import NetworkView
from livepose.ui.options import SessionLike
from livepose.ui.panes import Pages
from livepose.ui.theme import Theme
from livepose.ui.view3d import View3D

_WIPE_STEP = 0.05  # of the picture, by key
_NEAR = 0.08  # parts of a person's square that a click may be off a joint


class Workbench(Pages):
    """Each page costs only while it is looked at.

    maps_wanted: whether heatmaps are needed. looked: a result of the past that shall be shown.
    """

    maps_wanted = pyqtSignal(bool)
    looked = pyqtSignal(object)

    def __init__(
        self, view3d: View3D, view_buttons: Sequence[QToolButton], session: SessionLike,
        device: str, backends: Sequence[tuple[str, str]],
    ) -> None:  # fmt: skip
        self.view3d = view3d
        self.inspector, self.explorer = Inspector(), Explorer(device)
        models = dict.fromkeys([*session.models, *available(everywhere=True)])
        self.comparison = Comparison([*models], backends, SIZES)
        self.network = NetworkView()
        self._session = session
        self._looked_into: PoseNetwork | None = None
        self._watched: Choice | None = None
        super().__init__({
            "3D": (view3d, view_buttons), "Inspector": (self.inspector, []),
            "Network": (self.network, []), "Compare": (self.comparison, []),
            "Explorer": (self.explorer, []),
        })  # fmt: skip
        self._before = self.page
        self.changed.connect(self._turned)
        self.explorer.chosen.connect(session.use)
        self.comparison.wanted.connect(self._compare)
        self.network.probed.connect(self._probe)
        self.inspector.looked.connect(self._look_back)

    def set_theme(self, theme: Theme) -> None:
        for part in (self.view3d, self.inspector, self.network, self.comparison, self.explorer):
            part.set_theme(theme)

    def set_mirror(self, on: bool) -> None:
        self.view3d.set_mirror(on)
        self.comparison.view.set_mirror(on)

    def slots(self) -> dict[str, Callable[[], None]]:
        """What actions do here, by name."""
        view = self.comparison.view
        return {
            "flicker": view.flicker, "beside": self.comparison.side_by_side.toggle,
            "wipe_back": lambda: view.set_wipe(view.wipe - _WIPE_STEP),
            "wipe_on": lambda: view.set_wipe(view.wipe + _WIPE_STEP),
        }  # fmt: skip

    def show_result(self, result: Result) -> None:
        """Takes a new result."""
        if self.page == "Inspector":
            self.inspector.add(result)
        elif self.page == "Compare":
            self.comparison.add(result)
        elif self.page == "Network":
            self.network.add(result)
        if self.inspector.live:
            self.view3d.show_result(result)

    def refresh(self) -> None:
        """A few times a second."""
        self.explorer.set_current(self._session.choice, self._session.size)
        if self.page == "Network" and self._session.network is not self._looked_into:
            self._look_into()

    def forget(self) -> None:
        """The source has changed."""
        self.inspector.forget()

    def pick(self, result: Result | None, x: float, y: float) -> None:
        """A click on the picture of a result, in pixels of its frame: the joint is looked into."""
        if self.page != "Inspector" or result is None or not result.poses:
            return
        apart = [np.hypot(*(pose.joints - (x, y)).T) / pose.region.side for pose in result.poses]
        person = int(np.argmin([each.min() for each in apart]))
        if apart[person].min() < _NEAR:
            self.inspector.choose(result.poses[person].id, int(apart[person].argmin()))

    def watch(self, choice: Choice | None) -> None:
        """Compares every picture with this network, too, unless the page has another one for it."""
        self._watched = choice
        if self.page != "Compare":
            self._session.compare(choice)

    def _compare(self, choice: Choice | None) -> None:
        self._session.compare(choice or self._watched)

    def close_down(self) -> None:
        """The window closes."""
        self.explorer.close_down()

    def _turned(self, page: str) -> None:
        before, self._before = self._before, page
        if before == "Inspector":
            self.inspector.forget()
        if before == "Compare":
            self.comparison.close_page()
        if before == "Network":
            self.network.close_page()
        if page == "Network":
            self._look_into()
        if page == "Compare":
            self.comparison.open(self._session.model, self._session.stats().threads)
        if page == "Explorer":
            self.explorer.open()
        self.maps_wanted.emit(page == "Inspector")

    def _look_into(self) -> None:
        self._looked_into = self._session.network
        self.network.open(self._session.model, self._looked_into)

    def _probe(self, probe: Probe | None) -> None:
        self._session.probe = probe

    def _look_back(self, result: Result | None) -> None:
        if result is None:
            self._session.redo()
            return
        self.view3d.show_result(result)
        self.looked.emit(result)
