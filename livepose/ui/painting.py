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
from livepose.cv import cv2
from livepose.frames import Frame, Heatmaps, Pose
from livepose.palette import RGB
from livepose.skeleton import BONES, FACE_BONES, INDEX, JOINTS
from livepose.ui.theme import font

ALL_JOINTS = -1

_ALL_BONES = (*FACE_BONES, *BONES)
_ENDS = [(INDEX[a], INDEX[b]) for a, b in _ALL_BONES]
_FACE = {INDEX[name] for bone in FACE_BONES for name in bone}
_THIN = [bone in FACE_BONES for bone in _ALL_BONES]
_CASING: RGB = (10, 12, 16)
# Steps of opacity, and of thickness in a pixel of the screen: finer than one sees, and few pens.
_SHADES, _WIDTHS = 32, 8


@lru_cache(maxsize=32)
def _colours(number: int) -> tuple[list[RGB], list[RGB]]:
    """Of bones and joints of the person with this id."""
    bones = palette.bone_colours(_ALL_BONES, number=number).tolist()
    joints = palette.joint_colours(number=number).tolist()
    return [(r, g, b) for r, g, b in bones], [(r, g, b) for r, g, b in joints]


# To make pens takes longer than to paint with them.
@lru_cache(maxsize=4096)
def _pen(colour: RGB, alpha: float, width: float) -> QPen:
    """Round at its ends, so that it makes discs of points."""
    return QPen(_see_through(colour, alpha), width, Qt.SolidLine, Qt.RoundCap)


def _see_through(colour: RGB, alpha: float) -> QColor:
    return QColor.fromRgbF(*(part / 255 for part in colour), alpha)


def skeleton(painter: QPainter, pose: Pose, zoom: float, strength: float = 1.0) -> None:
    """Bones and joints of one person; zoom is that from frame pixels to logical pixels."""
    alpha = palette.opacity(pose.confidence) * strength
    alpha = np.where(np.isfinite(pose.joints).all(-1), alpha, 0)
    shown = (np.round(alpha * _SHADES) / _SHADES).tolist()
    points = [QPointF(x, y) for x, y in (np.nan_to_num(pose.joints) + 0.5).tolist()]
    # Thickness follows the person's size on the screen, within what is easy to see.
    width = min(max(pose.region.side * zoom * 0.0105, 2.0), 6.5)
    width, casing = round(width * _WIDTHS) / _WIDTHS / zoom, 1.3 / zoom
    bone_colours, joint_colours = _colours(pose.id)

    painter.setRenderHint(QPainter.Antialiasing)
    # All casings first, so that none cuts into the coloured line of another bone.
    for cased in (True, False):
        for (a, b), colour, thin in zip(_ENDS, bone_colours, _THIN, strict=True):
            if visible := min(shown[a], shown[b]):
                thick = width * (0.55 if thin else 1.0)
                painter.setPen(_pen(_CASING, 0.5 * visible, thick + 2 * casing) if cased
                               else _pen(colour, visible, thick))  # fmt: skip
                painter.drawLine(QLineF(points[a], points[b]))
    for i, (point, colour, visible) in enumerate(zip(points, joint_colours, shown, strict=True)):
        if visible:
            across = width * (1.0 if i in _FACE else 1.9)
            painter.setPen(_pen(_CASING, 0.75 * visible, across + casing))
            painter.drawPoint(point)
            painter.setPen(_pen(colour, visible, across - casing))
            painter.drawPoint(point)


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
    painter.setPen(QColor(*_CASING))
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

    OpenCV scales and converts in less than half of the time that QPainter takes.
    """
    ratio = painter.device().devicePixelRatioF()
    width, height = (max(1, round(side * ratio)) for side in (rect.width(), rect.height()))
    pixels = frame if frame.shape[:2] == (height, width) else resized(frame, width, height)
    pixels = cv2.cvtColor(cv2.flip(pixels, 1) if mirror else pixels, cv2.COLOR_BGR2BGRA)
    # Painted before the pixels go: it aliases them.
    image = QImage(pixels.data, width, height, pixels.strides[0], QImage.Format_RGB32)
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
