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
from livepose.frames import Result, Stage
from livepose.inspection import (
    IN_USE,
    LEARNED,
    VIEWS,
    JointFigures,
    MapFigures,
    described,
    joint_figures,
    to_look_at,
    verdict,
)
from livepose.skeleton import JOINTS
from livepose.ui.history import History
from livepose.ui.painting import image_of, joint_title
from livepose.ui.pickers import Picker
from livepose.ui.theme import DARK, Theme, font

_GAP = 8
_CAPTION = 16
_TITLES = ("xy, from the front", "zy, from the side", "xz, from above")
_PRESENCE = "presence in the window about each cell"
# Pixels from which two marks look apart; radius of the ring at the mean.
_VISIBLE, _RING = 3.0, 4.5


class MapsView(QWidget):
    """xy from the front, zy from the side with the same rows, xz from above with the same columns.

    Cross-hairs stand at the coordinates in use, a small cross at the peak. The mean of a map is a
    ring where that differs, with an ellipse at one standard deviation; a red side cuts it off.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setMinimumSize(220, 220)
        self.setAccessibleName("Heatmaps of a joint")
        self.setToolTip(
            "Lines: the coordinates in use. Cross: the highest cell.\n"
            "Ring and ellipse: mean of the map and one standard deviation.\n"
            "Red side: the map is cut off there."
        )
        self._theme = DARK
        self._images: list[QImage | None] = []
        self._titles = _TITLES
        self._figures: JointFigures | None = None
        self._under = QImage()

    def sizeHint(self) -> QSize:
        return QSize(420, 420)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def show_nothing(self) -> None:
        self._figures = None
        self.update()

    def show_joint(self, stage: Stage, joint: int, of: JointFigures, under: np.ndarray) -> None:
        """The maps of a stage and their figures; under: BGR picture of what they cover."""
        self._figures = of
        self._images = [None if m is None else _heat(m[joint], 1.0 if stage.presence else None)
                        for m in (stage.xy, stage.zy, stage.xz)]  # fmt: skip
        self._titles = (_PRESENCE, *_TITLES[1:]) if stage.presence else _TITLES
        self._under = image_of(under)
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
        for rect, title in zip(rects, self._titles, strict=True):
            painter.fillRect(rect, QColor(self._theme.picture))
            painter.setPen(QColor(self._theme.muted))
            box = QRectF(rect.left(), rect.top() - _CAPTION, rect.width() + 40, _CAPTION)
            painter.drawText(box, Qt.AlignLeft | Qt.AlignVCenter, title)
        if self._figures is not None:
            painter.setOpacity(0.45)
            painter.drawImage(rects[0], self._under)
            painter.setOpacity(1.0)
            lines = QColor(self._theme.text)
            lines.setAlpha(170)
            for rect, image, view in zip(rects, self._images, VIEWS, strict=True):
                if image is None:
                    painter.setPen(QColor(self._theme.muted))
                    box = rect.adjusted(4, 0, 0, -2)
                    painter.drawText(box, Qt.AlignLeft | Qt.AlignBottom, "no map")
                else:
                    painter.drawImage(rect, image)
                painter.setPen(QPen(lines, 1))
                _marks(painter, rect, self._figures.used(view), getattr(self._figures, view))
        painter.setBrush(Qt.NoBrush)
        painter.setPen(QPen(QColor(self._theme.border), 1))
        for rect in rects:
            painter.drawRect(rect)
        if self._figures is not None:
            painter.setPen(QPen(QColor(*palette.LEVELS["error"]), 3))
            for rect, view in zip(rects, VIEWS, strict=True):
                of = getattr(self._figures, view)
                for side in of.cut if of is not None else ():
                    painter.drawLine(_side(rect, side))
        painter.end()


def _heat(values: np.ndarray, most: float | None = None) -> QImage:
    """most: what is hottest, None for the highest of the values."""
    return image_of(palette.heat(values / (most or max(float(values.max()), 1e-12))))


def _side(rect: QRectF, side: str) -> QLineF:
    corners = {
        "left": (rect.topLeft(), rect.bottomLeft()), "right": (rect.topRight(), rect.bottomRight()),
        "top": (rect.topLeft(), rect.topRight()),
        "bottom": (rect.bottomLeft(), rect.bottomRight()),
    }  # fmt: skip
    return QLineF(*corners[side])


def _marks(
    painter: QPainter, rect: QRectF, used: tuple[float, float], of: MapFigures | None
) -> None:
    """Cross-hairs with the painter's pen; peak, mean and ellipse where there are figures."""

    def at(x: float, y: float) -> QPointF:
        return QPointF(rect.left() + (x + 1) / 2 * rect.width(),
                       rect.top() + (y + 1) / 2 * rect.height())  # fmt: skip

    painter.save()
    painter.setClipRect(rect)
    cross = at(*used)
    painter.drawLine(QLineF(cross.x(), rect.top(), cross.x(), rect.bottom()))
    painter.drawLine(QLineF(rect.left(), cross.y(), rect.right(), cross.y()))
    if of is None:
        painter.restore()
        return
    mean, peak = at(*of.mean), at(*of.peak)
    painter.setPen(QPen(QColor(120, 220, 255), 1.6))
    for dx, dy in ((4, 4), (4, -4)):
        painter.drawLine(QLineF(peak.x() - dx, peak.y() - dy, peak.x() + dx, peak.y() + dy))
    pen = QPen(QColor(255, 220, 90), 1.5)
    pen.setCosmetic(True)
    painter.setPen(pen)
    painter.setBrush(Qt.NoBrush)
    if QLineF(cross, mean).length() > _VISIBLE:
        painter.drawEllipse(mean, _RING, _RING)
    # The ellipse is drawn in normalised units: the map's sides may differ on the screen.
    large, small, angle = of.ellipse()
    painter.translate(mean)
    painter.scale(rect.width() / 2, rect.height() / 2)
    painter.rotate(math.degrees(angle))
    painter.drawEllipse(QPointF(0, 0), large, small)
    painter.restore()


class Inspector(QWidget):
    """Maps, numbers and words for one joint of one person, and the last seconds to look back on.

    looked: emitted with the result that shall be shown from now on, when the user goes to a moment
    of the past or back to the live picture.
    """

    looked = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = History()
        self.result: Result | None = None
        self.live = True
        self._newest: Result | None = None
        self._wanted = 0  # the id of the person, 0 for whoever is there
        self._stage = IN_USE
        self.person, self.joint = Picker("person", "Person", 150), Picker("heat", "Joint", 170)
        self.stage = Picker("model", "Stage of the network", 190)
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
        for widget in (self.person, self.joint, self.stage):
            top.addWidget(widget, 1)
        for widget, stretch in ((self.slider, 1), (self.age, 0), (self.back, 0)):
            bottom.addWidget(widget, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addLayout(top)
        layout.addWidget(self.maps, 1)
        for widget in (self.numbers, self.words):
            layout.addWidget(widget)
        layout.addLayout(bottom)
        self.person.currentIndexChanged.connect(self._pick_person)
        self.person.activated.connect(self._pick_person)  # also of the one that is shown anyway
        self.joint.currentIndexChanged.connect(self._refresh)
        self.stage.currentIndexChanged.connect(self._pick_stage)
        self.slider.valueChanged.connect(self._scrubbed)
        self.back.clicked.connect(self.go_live)

    def set_theme(self, theme: Theme) -> None:
        for part in (self.maps, self.person, self.joint, self.stage):
            part.set_theme(theme)

    def add(self, result: Result) -> None:
        """A new result has come; it is shown and kept if the inspector is live.

        While the user looks back, what is kept stays as it is: the moment and its neighbours.
        """
        self._newest = result
        if self.live:
            self.history.add(result)
            self._slide_to_end()
            self._show(result)
        self._say_age()

    def choose(self, person: int, joint: int) -> None:
        """Looks at a joint of the person with this id."""
        self._wanted = person
        self.joint.setCurrentIndex(joint)
        if self.result is not None:
            self._show(self.result)

    def go_live(self) -> None:
        self.live = True
        self._slide_to_end()
        if self._newest is not None:
            self._show(self._newest)
        self._say_age()
        self.looked.emit(self.result)

    def forget(self) -> None:
        """The source has changed, or nobody looks any more."""
        self.history.clear()
        self.live, self.result, self._newest, self._wanted = True, None, None, 0
        self._refresh()

    def _scrubbed(self, index: int) -> None:
        if not len(self.history):
            return
        self.live = False
        self._show(self.history.at(index))
        self._say_age()
        self.looked.emit(self.result)

    def _slide_to_end(self) -> None:
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(self.history) - 1))
        self.slider.setValue(self.slider.maximum())
        self.slider.blockSignals(False)

    def _say_age(self) -> None:
        if self.live or self.result is None or self._newest is None:
            self.age.setText("live")
            return
        newest, shown = self._newest.frame.timeline, self.result.frame.timeline
        self.age.setText(f"{(newest.start_ns - shown.start_ns) / 1e9:.1f} s ago")

    def _pick_person(self) -> None:
        self._wanted = self.person.currentData() or 0
        self._refresh()

    def _pick_stage(self) -> None:
        self._stage = self.stage.currentData()
        self._refresh()

    def _show(self, result: Result) -> None:
        self.result = result
        ids = [pose.id for pose in result.poses]
        if 0 in ids:  # only one is followed, who has no number
            self._wanted = 0
        if self._wanted and self._wanted not in ids:
            ids.append(self._wanted)  # may come back
        people = [(f"Person {i}" if i else "The person", i) for i in ids]
        self.person.fill(people, self._wanted or next(iter(ids), None))
        self._refresh()

    def _which(self, result: Result) -> int | None:
        """The place of the chosen person among the poses, None if they are not seen."""
        ids = [pose.id for pose in result.poses]
        if self._wanted in ids:
            return ids.index(self._wanted)
        return 0 if ids and not self._wanted else None

    def _refresh(self) -> None:
        result, joint = self.result, self.joint.currentIndex()
        which = None if result is None else self._which(result)
        if result is None or which is None or which >= len(result.heatmaps):
            self.maps.show_nothing()
            self.numbers.setText("")
            missing = result is not None and which is None and self._wanted
            self.words.setText(f"Person {self._wanted} is not seen." if missing
                               else "Nobody to look into.")  # fmt: skip
            return
        maps, pose = result.heatmaps[which], result.poses[which]
        stages = {stage.name: stage for stage in to_look_at(maps)}
        stage = stages.get(self._stage) or list(stages.values())[-1]
        self.stage.fill([(name.capitalize(), name) for name in stages], stage.name)
        self.stage.setVisible(len(stages) > 1)
        last = joint_figures(maps, joint)
        of = last if stage.name == IN_USE else joint_figures(maps, joint, stage)
        under = cut(result.frame.image, Square.of(maps.region), 256)
        self.maps.show_joint(stage, joint, of, under)
        confidence = float(pose.confidence[joint])
        self.numbers.setText(_numbers(of, confidence))
        self.words.setText(f"{described(stage)} {verdict(last, confidence)}".strip())


def _numbers(of: JointFigures, confidence: float) -> str:
    """The coordinates in use, and what the maps that are shown say."""
    x, y, z = of.xyz
    if of.xy is None:
        first = f"x {x:+.3f}   y {y:+.3f}"
    else:
        first = f"x {x:+.3f} ± {of.xy.deviation[0]:.3f}   y {y:+.3f} ± {of.xy.deviation[1]:.3f}"
    first += f"   z {z:+.3f}"
    if of.zy is not None and of.xz is not None:
        first += f" (zy {of.zy.mean[0]:+.3f}, xz {of.xz.mean[1]:+.3f})"
    second = f"confidence {confidence:.2f}"
    if of.xy is not None:
        second += (f"   entropy of xy {of.xy.entropy:.1f} bits (learned {LEARNED:.1f}, "
                   f"flat {of.xy.most:.1f})")  # fmt: skip
    return f"{first}\n{second}"
