"""The inspector: a joint's three marginal heatmaps as orthographic views, and what they say."""

from __future__ import annotations

import math

import numpy as np
from PyQt5.QtCore import QLineF, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from livepose import palette
from livepose.crop import Square, cut
from livepose.frames import Heatmaps, Result
from livepose.inspection import JointFigures, MapFigures, joint_figures, verdict
from livepose.skeleton import JOINTS
from livepose.ui.history import History
from livepose.ui.painting import image_of, joint_title
from livepose.ui.pickers import Picker
from livepose.ui.theme import DARK, Theme, font

_GAP = 8
_CAPTION = 16


class MapsView(QWidget):
    """xy from the front, zy from the side with the same rows, xz from above with the same columns.

    Cross-hairs stand at the mean, an ellipse at one standard deviation, a small cross at the peak.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setMinimumSize(220, 220)
        self.setAccessibleName("Heatmaps of a joint")
        self._theme = DARK
        self._images: list[QImage] = []
        self._figures: JointFigures | None = None
        self._under = QImage()

    def sizeHint(self) -> QSize:
        return QSize(420, 420)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def show_joint(self, maps: Heatmaps | None, joint: int, frame: np.ndarray | None) -> None:
        """The maps of a person, or nothing; frame: BGR picture that the region is part of."""
        self._figures = None if maps is None else joint_figures(maps, joint)
        if maps is None or frame is None:
            self._images, self._under = [], QImage()
        else:
            self._images = [_heat(m[joint]) for m in (maps.xy, maps.zy, maps.xz)]
            part = cut(frame, Square.of(maps.region), 256)
            self._under = image_of(part)
        self.update()

    def rects(self) -> tuple[QRectF, QRectF, QRectF]:
        """Where xy, zy and xz are drawn."""
        # Depth has as many units as width: -1..1. It is drawn narrower.
        room_w, room_h = self.width() - _GAP - 4, self.height() - _GAP - 2 * _CAPTION - 4
        side = max(40.0, min(room_w, room_h) / 1.5)
        deep = side / 2
        left = (self.width() - side - deep - _GAP) / 2
        top = (self.height() - side - deep - _GAP) / 2  # with as much above as the second caption
        xy = QRectF(left, top, side, side)
        return (xy, QRectF(xy.right() + _GAP, top, deep, side),
                QRectF(left, xy.bottom() + _GAP + _CAPTION, side, deep))  # fmt: skip

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.Antialiasing)
        painter.setFont(font(8))
        rects = self.rects()
        titles = ("xy, from the front", "zy, from the side", "xz, from above")
        for rect, title in zip(rects, titles, strict=True):
            painter.fillRect(rect, QColor(self._theme.picture))
            painter.setPen(QColor(self._theme.muted))
            box = QRectF(rect.left(), rect.top() - _CAPTION, rect.width() + 40, _CAPTION)
            painter.drawText(box, Qt.AlignLeft | Qt.AlignVCenter, title)
        if self._figures is not None:
            painter.setOpacity(0.45)
            painter.drawImage(rects[0], self._under)
            painter.setOpacity(1.0)
            of = (self._figures.xy, self._figures.zy, self._figures.xz)
            for rect, image, one in zip(rects, self._images, of, strict=True):
                painter.drawImage(rect, image)
                _marks(painter, rect, one)
        painter.setBrush(Qt.NoBrush)
        painter.setPen(QPen(QColor(self._theme.border), 1))
        for rect in rects:
            painter.drawRect(rect)
        painter.end()


def _heat(values: np.ndarray) -> QImage:
    return image_of(palette.heat(values / max(float(values.max()), 1e-12)))


def _marks(painter: QPainter, rect: QRectF, of: MapFigures) -> None:
    def at(x: float, y: float) -> QPointF:
        return QPointF(rect.left() + (x + 1) / 2 * rect.width(),
                       rect.top() + (y + 1) / 2 * rect.height())  # fmt: skip

    painter.save()
    painter.setClipRect(rect)
    mean, peak = at(*of.mean), at(*of.peak)
    painter.setPen(QPen(QColor(255, 255, 255, 170), 1))
    painter.drawLine(QLineF(mean.x(), rect.top(), mean.x(), rect.bottom()))
    painter.drawLine(QLineF(rect.left(), mean.y(), rect.right(), mean.y()))
    painter.setPen(QPen(QColor(120, 220, 255), 1.6))
    for dx, dy in ((4, 4), (4, -4)):
        painter.drawLine(QLineF(peak.x() - dx, peak.y() - dy, peak.x() + dx, peak.y() + dy))
    # The ellipse is drawn in normalised units: the map's sides may differ on the screen.
    large, small, angle = of.ellipse()
    painter.translate(mean)
    painter.scale(rect.width() / 2, rect.height() / 2)
    painter.rotate(math.degrees(angle))
    pen = QPen(QColor(255, 220, 90), 1.5)
    pen.setCosmetic(True)
    painter.setPen(pen)
    painter.setBrush(Qt.NoBrush)
    painter.drawEllipse(QPointF(0, 0), large, small)
    painter.restore()


class Inspector(QWidget):
    """Maps, numbers and words for one joint of one person, and the last seconds to look back on.

    looked: emitted with a result of the past that shall be shown, or None for the live ones.
    """

    looked = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = History()
        self.result: Result | None = None
        self.live = True
        self.person, self.joint = Picker("person", "Person", 150), Picker("heat", "Joint", 200)
        for i in range(len(JOINTS)):
            self.joint.addItem(joint_title(i), i)
        self.joint.setCurrentIndex(JOINTS.index("left_wrist"))
        self.maps = MapsView()
        self.numbers = QLabel(objectName="value", wordWrap=True)
        self.words = QLabel(objectName="muted", wordWrap=True)
        for label in (self.numbers, self.words):
            label.setFont(font(9))
        self.slider = QSlider(Qt.Horizontal)
        self.slider.setAccessibleName("The last seconds")
        self.age = QLabel("live", objectName="muted")
        self.age.setFont(font(9))
        self.age.setMinimumWidth(64)
        self.back = QToolButton(text="Live")
        self.back.setToolTip("Back to the live picture")
        top, bottom = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.person)
        top.addWidget(self.joint, 1)
        for widget, stretch in ((self.slider, 1), (self.age, 0), (self.back, 0)):
            bottom.addWidget(widget, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addLayout(top)
        layout.addWidget(self.maps, 1)
        for widget in (self.numbers, self.words):
            layout.addWidget(widget)
        layout.addLayout(bottom)
        self.person.currentIndexChanged.connect(self._refresh)
        self.joint.currentIndexChanged.connect(self._refresh)
        self.slider.valueChanged.connect(self._scrubbed)
        self.back.clicked.connect(self.go_live)

    def set_theme(self, theme: Theme) -> None:
        for part in (self.maps, self.person, self.joint):
            part.set_theme(theme)

    def add(self, result: Result) -> None:
        """A new result has come; it is shown if the inspector is live."""
        self.history.add(result)
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(self.history) - 1))
        if self.live:
            self.slider.setValue(len(self.history) - 1)
        elif self.result is not None:
            self.slider.setValue(self.history.find(self.result))
        self.slider.blockSignals(False)
        if self.live:
            self._show(result)
        else:
            self._say_age()

    def choose(self, person: int, joint: int) -> None:
        """Looks at a joint of the person at this place among the poses."""
        self.joint.setCurrentIndex(joint)
        if person < self.person.count():
            self.person.setCurrentIndex(person)

    def go_live(self) -> None:
        self.live = True
        self._say_age()
        self.looked.emit(None)

    def forget(self) -> None:
        """The source has changed, or nobody looks any more."""
        self.history.clear()
        self.live, self.result = True, None
        self._refresh()

    def _scrubbed(self, index: int) -> None:
        if not len(self.history):
            return
        self.live = False
        self._show(self.history.at(index))
        self._say_age()
        self.looked.emit(self.result)

    def _say_age(self) -> None:
        if self.live or self.result is None:
            self.age.setText("live")
        else:
            index = self.history.find(self.result)
            self.age.setText(f"{self.history.age_s(index):.1f} s ago")

    def _show(self, result: Result) -> None:
        self.result = result
        names = [f"Person {pose.id}" if pose.id else "The person" for pose in result.poses]
        if names != [self.person.itemText(i) for i in range(self.person.count())]:
            chosen = self.person.currentText()
            self.person.blockSignals(True)
            self.person.clear()
            self.person.addItems(names)
            self.person.setCurrentIndex(names.index(chosen) if chosen in names else 0)
            self.person.blockSignals(False)
        self._refresh()

    def _refresh(self) -> None:
        result, joint = self.result, self.joint.currentIndex()
        which = max(0, self.person.currentIndex())
        if result is None or which >= len(result.heatmaps):
            self.maps.show_joint(None, joint, None)
            self.numbers.setText("")
            self.words.setText("Nobody to look into.")
            return
        maps, pose = result.heatmaps[which], result.poses[which]
        self.maps.show_joint(maps, joint, result.frame.image)
        of, confidence = joint_figures(maps, joint), float(pose.confidence[joint])
        x, y, z = of.xyz
        self.numbers.setText(
            f"x {x:+.3f} ± {of.xy.deviation[0]:.3f}   y {y:+.3f} ± {of.xy.deviation[1]:.3f}   "
            f"z {z:+.3f} (zy {of.zy.mean[0]:+.3f}, xz {of.xz.mean[1]:+.3f})\n"
            f"confidence {confidence:.2f}   entropy of xy {of.xy.entropy:.1f} of {of.xy.most:.1f} "
            "bits"
        )
        self.words.setText(verdict(of, confidence))
