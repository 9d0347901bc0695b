"""Skeletons and heat maps on a picture, for any QPainter whose unit is one pixel of the frame.

The painter's origin is the top-left corner of the frame, so the centre of pixel (0, 0), where
the contracts put their origin, is at (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PyQt5.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QFont, QImage, QPainter, QPen

from livepose import palette
from livepose.crop import resized
from livepose.frames import Frame, Heatmaps, Pose
from livepose.skeleton import BONES, FACE_BONES, INDEX, JOINTS
from livepose.ui.theme import font

ALL_JOINTS = -1

_ALL_BONES = (*FACE_BONES, *BONES)
_ENDS = [(INDEX[a], INDEX[b]) for a, b in _ALL_BONES]
_FACE = {INDEX[name] for bone in FACE_BONES for name in bone}
_CASING = QColor(10, 12, 16)


@lru_cache(maxsize=32)
def _colours(number: int) -> tuple[list[QColor], list[QColor]]:
    """Of bones and joints of the person with this id."""
    bones = palette.bone_colours(_ALL_BONES, number=number)
    joints = palette.joint_colours(number=number)
    return [QColor(*map(int, c)) for c in bones], [QColor(*map(int, c)) for c in joints]


def _see_through(colour: QColor, alpha: float) -> QColor:
    result = QColor(colour)
    result.setAlphaF(min(1.0, alpha))
    return result


def skeleton(painter: QPainter, pose: Pose, zoom: float, strength: float = 1.0) -> None:
    """Bones and joints of one person; zoom is that from frame pixels to logical pixels."""
    alpha = palette.opacity(pose.confidence) * strength
    alpha = np.where(np.isfinite(pose.joints).all(-1), alpha, 0)
    points = [QPointF(float(x) + 0.5, float(y) + 0.5) for x, y in np.nan_to_num(pose.joints)]
    # Thickness follows the person's size on the screen, within what is easy to see.
    width = float(np.clip(pose.region.side * zoom * 0.0105, 2.0, 6.5)) / zoom
    casing = 1.3 / zoom
    bone_colours, joint_colours = _colours(pose.id)

    pen = QPen()
    pen.setCapStyle(Qt.RoundCap)
    painter.setRenderHint(QPainter.Antialiasing)
    # All casings first, so that none cuts into the coloured line of another bone.
    for cased in (True, False):
        for (a, b), colour, bone in zip(_ENDS, bone_colours, _ALL_BONES, strict=True):
            visible = float(min(alpha[a], alpha[b]))
            if visible <= 0:
                continue
            thick = width * (0.55 if bone in FACE_BONES else 1.0)
            pen.setWidthF(thick + 2 * casing if cased else thick)
            pen.setColor(_see_through(_CASING, 0.5 * visible) if cased
                         else _see_through(colour, visible))  # fmt: skip
            painter.setPen(pen)
            painter.drawLine(QLineF(points[a], points[b]))
    for i, (point, colour) in enumerate(zip(points, joint_colours, strict=True)):
        visible = float(alpha[i])
        if visible <= 0:
            continue
        radius = width * (0.5 if i in _FACE else 0.95)
        pen.setWidthF(casing)
        pen.setColor(_see_through(_CASING, 0.75 * visible))
        painter.setPen(pen)
        painter.setBrush(_see_through(colour, visible))
        painter.drawEllipse(point, radius, radius)
    painter.setBrush(Qt.NoBrush)


def number(painter: QPainter, pose: Pose, zoom: float, mirror: bool) -> None:
    """The person's id on a disc of its colour, above the head; in a mirrored picture upright."""
    if not pose.id:
        return
    x, y = (float(v) + 0.5 for v in pose.joints[INDEX["head_top"]])
    painter.save()
    painter.translate(x, y)
    painter.scale((-1 if mirror else 1) / zoom, 1 / zoom)
    _disc(painter, QPointF(0, -20), 10, pose.id)
    painter.restore()


def atlas(numbers: Sequence[int], side: int) -> np.ndarray:
    """(side, N * side, 4) uint8 RGBA: the ids as `number` draws them, one cell each."""
    image = QImage(side * len(numbers), side, QImage.Format_RGBA8888)
    image.fill(Qt.transparent)
    painter = QPainter(image)
    for k, one in enumerate(numbers):
        _disc(painter, QPointF((k + 0.5) * side, side / 2), side / 2 - 2, one)
    painter.end()
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint8).reshape(side, -1, 4).copy()


def _disc(painter: QPainter, centre: QPointF, radius: float, one: int) -> None:
    painter.setRenderHint(QPainter.Antialiasing)
    painter.setPen(QPen(_see_through(_CASING, 0.7), 1.5))
    painter.setBrush(QColor(*palette.person_colour(one)))
    painter.drawEllipse(centre, radius, radius)
    painter.setPen(_CASING)
    painter.setFont(font(9, QFont.Bold))
    box = QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)
    painter.drawText(box, Qt.AlignCenter, str(one))


def heat_image(maps: Heatmaps, joint: int, confidence: np.ndarray) -> QImage:
    """The map of one joint, or of all that are seen for `ALL_JOINTS`, each relative to its peak."""
    chosen = maps.xy if joint == ALL_JOINTS else maps.xy[joint : joint + 1]
    peaks = chosen.max(axis=(1, 2), keepdims=True)
    values = chosen / np.maximum(peaks, 1e-12)
    if joint == ALL_JOINTS:
        values = values * palette.opacity(confidence)[:, None, None]
    return image_of(palette.heat(values.max(axis=0)))


def image_of(pixels: np.ndarray) -> QImage:
    """(H, W, 4) RGBA or (H, W, 3) BGR bytes as an image of its own."""
    height, width, channels = pixels.shape
    kind = QImage.Format_RGBA8888 if channels == 4 else QImage.Format_BGR888
    # copy: QImage does not own the buffer it is given.
    return QImage(pixels.tobytes(), width, height, channels * width, kind).copy()


def fitted(room: QRectF, frame: Frame, ratio: float) -> QRectF:
    """Where a frame lies in the middle of a room: aspect kept, edges on device pixels.

    ratio: device pixels of a logical one.
    """
    zoom = ratio * min(room.width() / frame.width, room.height() / frame.height)
    width, height = (max(1, round(side * zoom)) for side in (frame.width, frame.height))
    x, y = (int(side * ratio - used) // 2
            for side, used in ((room.width(), width), (room.height(), height)))  # fmt: skip
    left, top = (round(edge * ratio) for edge in (room.left(), room.top()))
    return QRectF((left + x) / ratio, (top + y) / ratio, width / ratio, height / ratio)


def picture(painter: QPainter, frame: np.ndarray, rect: QRectF, mirror: bool = False) -> None:
    """(H, W, 3) BGR bytes in a rectangle of the widget, on its device pixels.

    OpenCV scales in less than half of the time that QPainter takes.
    """
    ratio = painter.device().devicePixelRatioF()
    width, height = (max(1, round(side * ratio)) for side in (rect.width(), rect.height()))
    pixels = frame if frame.shape[:2] == (height, width) else resized(frame, width, height)
    pixels = np.ascontiguousarray(pixels[:, ::-1] if mirror else pixels)
    # Painted before the pixels go: it aliases them.
    image = QImage(pixels.data, width, height, pixels.strides[0], QImage.Format_BGR888)
    image.setDevicePixelRatio(ratio)
    painter.drawImage(rect.topLeft(), image)


def heat(
    painter: QPainter, maps: Heatmaps, joint: int, confidence: np.ndarray, zoom: float
) -> None:
    """The heat map over the region of the frame that it covers, and that region's outline."""
    region = maps.region
    left, top = region.cx - region.side / 2 + 0.5, region.cy - region.side / 2 + 0.5
    rect = QRectF(left, top, region.side, region.side)
    painter.setRenderHint(QPainter.SmoothPixmapTransform)
    painter.drawImage(rect, heat_image(maps, joint, confidence))
    pen = QPen(QColor(255, 255, 255, 90), 1 / zoom, Qt.DashLine)
    painter.setPen(pen)
    painter.setBrush(Qt.NoBrush)
    painter.drawRect(rect)


def joint_title(joint: int) -> str:
    """How a joint is named to people: "Left wrist"."""
    return "All joints" if joint == ALL_JOINTS else JOINTS[joint].replace("_", " ").capitalize()
