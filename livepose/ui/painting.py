"""Skeletons and heat maps on a picture, for any QPainter whose unit is one pixel of the frame.

The painter's origin is the top-left corner of the frame, so the centre of pixel (0, 0), where
the contracts put their origin, is at (0.5, 0.5).
"""

from __future__ import annotations

import numpy as np
from PyQt5.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QImage, QPainter, QPen

from livepose import palette
from livepose.frames import Heatmaps, Pose
from livepose.skeleton import BONES, FACE_BONES, INDEX, JOINTS

ALL_JOINTS = -1

_ALL_BONES = (*FACE_BONES, *BONES)
_ENDS = [(INDEX[a], INDEX[b]) for a, b in _ALL_BONES]
_BONE_COLOURS = [QColor(*map(int, rgb)) for rgb in palette.bone_colours(_ALL_BONES)]
_JOINT_COLOURS = [QColor(*map(int, rgb)) for rgb in palette.joint_colours()]
_FACE = {INDEX[name] for bone in FACE_BONES for name in bone}
_CASING = QColor(10, 12, 16)


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

    pen = QPen()
    pen.setCapStyle(Qt.RoundCap)
    painter.setRenderHint(QPainter.Antialiasing)
    # All casings first, so that none cuts into the coloured line of another bone.
    for cased in (True, False):
        for (a, b), colour, bone in zip(_ENDS, _BONE_COLOURS, _ALL_BONES, strict=True):
            visible = float(min(alpha[a], alpha[b]))
            if visible <= 0:
                continue
            thick = width * (0.55 if bone in FACE_BONES else 1.0)
            pen.setWidthF(thick + 2 * casing if cased else thick)
            pen.setColor(_see_through(_CASING, 0.5 * visible) if cased
                         else _see_through(colour, visible))  # fmt: skip
            painter.setPen(pen)
            painter.drawLine(QLineF(points[a], points[b]))
    for i, (point, colour) in enumerate(zip(points, _JOINT_COLOURS, strict=True)):
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


def heat_image(maps: Heatmaps, joint: int, confidence: np.ndarray) -> QImage:
    """The map of one joint, or of all that are seen for `ALL_JOINTS`, each relative to its peak."""
    chosen = maps.xy if joint == ALL_JOINTS else maps.xy[joint : joint + 1]
    peaks = chosen.max(axis=(1, 2), keepdims=True)
    values = chosen / np.maximum(peaks, 1e-12)
    if joint == ALL_JOINTS:
        values = values * palette.opacity(confidence)[:, None, None]
    rgba = palette.heat(values.max(axis=0))
    height, width = rgba.shape[:2]
    # copy: QImage does not own the buffer it is given.
    return QImage(rgba.tobytes(), width, height, 4 * width, QImage.Format_RGBA8888).copy()


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
