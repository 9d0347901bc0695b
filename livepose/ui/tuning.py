"""The panel of live knobs: network, people, smoothing, camera, with what they cost beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from livepose.engine.settings import EngineSettings
from livepose.engine.tracking import MOST
from livepose.frames import Pose
from livepose.lift.camera import FOV_RANGE
from livepose.lift.metric import HEIGHT_RANGE
from livepose.ui.theme import font

_STEPS = 200


@dataclass(frozen=True)
class Knob:
    """One number of the settings. key: its path, as ``"view.fov"``; log: equal steps are ratios."""

    key: str
    title: str
    hint: str
    low: float
    high: float
    unit: str = ""
    digits: int = 0
    log: bool = False

    def at(self, position: int) -> float:
        """Value at a slider's position, 0 to `_STEPS`."""
        t = position / _STEPS
        if self.log:
            value = self.low * (self.high / self.low) ** t
        else:
            value = self.low + t * (self.high - self.low)
        return round(value, self.digits) if self.digits else float(round(value))

    def position(self, value: float) -> int:
        value = min(max(value, self.low), self.high)
        if self.log:
            t = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            t = (value - self.low) / (self.high - self.low)
        return round(t * _STEPS)


KNOBS: dict[str, Sequence[Knob]] = {
    "People": (
        Knob("people", "At most", "How many people are followed at the same time", 1, MOST),
        Knob("detect_every", "Look for more every", "Pictures between two looks for new people",
             1, 60, " pictures"),
    ),
    "Smoothing": (
        Knob("smoothing.min_cutoff", "At rest", "Lower is steadier while somebody stands still",
             0.05, 5.0, " Hz", 2, log=True),
        Knob("smoothing.beta", "In motion", "Higher follows fast motion with less lag", 0.5, 50.0,
             "", 1, log=True),
        Knob("smoothing.follow", "Expect motion to last",
             "How much of a joint's speed is expected to go on", 0.0, 1.0, "", 2),
    ),
    "Camera": (
        Knob("view.fov", "Field of view", "Degrees across the longer side of the picture",
             *FOV_RANGE, "°"),
        Knob("view.height", "Height of people", "Metres, standing: scale and distance follow",
             *HEIGHT_RANGE, " m", 2),
    ),
}  # fmt: skip
_SWITCHES = {
    "smoothing.on": ("Smooth", "Off shows what the network says of each picture by itself"),
    "smoothing.predict": ("Predict to the moment of painting",
                          "Joints as they will be when they are seen"),
}  # fmt: skip


def get(settings: EngineSettings, key: str) -> Any:
    for name in key.split("."):
        settings = getattr(settings, name)
    return settings


def put(settings: EngineSettings, key: str, value: Any) -> EngineSettings:
    """New settings with one value changed."""
    if isinstance(get(settings, key), int) and not isinstance(value, bool):
        value = round(value)
    part, _, name = key.rpartition(".")
    if not part:
        return replace(settings, **{name: value})
    return replace(settings, **{part: replace(getattr(settings, part), **{name: value})})


class TuningPanel(QFrame):
    """changed: the settings that the user wants from now on. network: the network's knobs."""

    changed = pyqtSignal(object)

    def __init__(
        self, settings: EngineSettings, network: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent, objectName="side")
        self.settings = settings
        self.sliders: dict[str, QSlider] = {}
        self.switches: dict[str, QCheckBox] = {}
        self._values: dict[str, QLabel] = {}
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(4)
        column.addWidget(_heading("Network"))
        column.addWidget(network)
        column.addSpacing(10)
        for title, knobs in KNOBS.items():
            column.addWidget(_heading(title))
            if title == "Smoothing":
                for key in _SWITCHES:
                    column.addWidget(self._switch(key))
            for knob in knobs:
                self._row(column, knob)
            if title == "Smoothing":
                self.lag = QLabel(objectName="value", wordWrap=True)
                self.lag.setFont(font(9))
                column.addWidget(self.lag)
            column.addSpacing(10)
        reset = QPushButton("Reset all")
        reset.clicked.connect(lambda: self._set(EngineSettings()))
        column.addWidget(reset)
        column.addStretch(1)
        scroll = QScrollArea(widgetResizable=True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        self.setSizePolicy(QSizePolicy.Fixed, QSizePolicy.Expanding)
        self.setAccessibleName("Settings")
        self._refresh()
        self.set_poses(())

    def sizeHint(self) -> QSize:
        return QSize(288, 400)

    def set_poses(self, poses: Sequence[Pose]) -> None:
        """Says what smoothing costs these people."""
        if not self.settings.smoothing.on:
            self.lag.setText("adds no lag")
        elif not poses:
            self.lag.setText("lag: nobody moves")
        else:
            ms = 1000 * max((pose.lag_s for pose in poses), key=abs)
            self.lag.setText(f"adds {ms:.0f} ms of lag" if ms >= 0 else f"{-ms:.0f} ms ahead")

    def _row(self, column: QVBoxLayout, knob: Knob) -> None:
        title, value = QLabel(knob.title), QLabel(objectName="muted")
        for label in (title, value):
            label.setFont(font(9))
        title.setToolTip(knob.hint)
        line = QHBoxLayout()
        line.addWidget(title)
        line.addStretch(1)
        line.addWidget(value)
        slider = QSlider(Qt.Horizontal)
        slider.setRange(0, _STEPS)
        slider.setToolTip(knob.hint)
        slider.setAccessibleName(knob.title)
        slider.valueChanged.connect(lambda position: self._moved(knob, position))
        self.sliders[knob.key], self._values[knob.key] = slider, value
        column.addLayout(line)
        column.addWidget(slider)

    def _switch(self, key: str) -> QCheckBox:
        text, hint = _SWITCHES[key]
        box = QCheckBox(text, toolTip=hint)
        box.setFont(font(9))
        box.toggled.connect(lambda on: self._set(put(self.settings, key, on)))
        self.switches[key] = box
        return box

    def _moved(self, knob: Knob, position: int) -> None:
        self._set(put(self.settings, knob.key, knob.at(position)))

    def _set(self, settings: EngineSettings) -> None:
        if settings == self.settings:
            return
        self.settings = settings
        self._refresh()
        self.changed.emit(settings)

    def _refresh(self) -> None:
        """Shows the settings; what moves by it says nothing."""
        for knob in (k for knobs in KNOBS.values() for k in knobs):
            value = get(self.settings, knob.key)
            slider = self.sliders[knob.key]
            if put(self.settings, knob.key, knob.at(slider.value())) != self.settings:
                slider.blockSignals(True)
                slider.setValue(knob.position(value))
                slider.blockSignals(False)
            self._values[knob.key].setText(f"{value:.{knob.digits}f}{knob.unit}")
        for key, box in self.switches.items():
            box.blockSignals(True)
            box.setChecked(get(self.settings, key))
            box.blockSignals(False)
        on = self.settings.smoothing.on
        for key in ("smoothing.min_cutoff", "smoothing.beta", "smoothing.follow"):
            self.sliders[key].setEnabled(on)
        self.switches["smoothing.predict"].setEnabled(on)


def _heading(text: str) -> QLabel:
    label = QLabel(text, objectName="title")
    label.setFont(font(9.5))
    return label
