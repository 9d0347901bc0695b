"""Skeletons drawn into a copy of a picture, for videos written without a window."""

from __future__ import annotations

import numpy as np

from livepose import palette
from livepose.cv import cv2
from livepose.frames import Pose, Result
from livepose.skeleton import BONES, INDEX, J

_SHIFT = 4  # OpenCV draws with 1/16 pixel


def _point(p: np.ndarray) -> tuple[int, int]:
    return round(float(p[0]) * (1 << _SHIFT)), round(float(p[1]) * (1 << _SHIFT))


def draw_pose(image: np.ndarray, pose: Pose) -> None:
    """Draws one person into `image` (BGR) in place: sides by colour, confidence by opacity."""
    opacity = palette.opacity(pose.confidence)
    width = max(2, round(max(image.shape[:2]) / 250))
    joints = palette.joint_colours()
    bones = palette.bone_colours(BONES)
    # Faint parts are blended one by one; what is sure, the usual case, is drawn directly.
    for (a, b), rgb in zip(BONES, bones, strict=True):
        i, j = INDEX[a], INDEX[b]
        alpha = float(min(opacity[i], opacity[j]))
        if alpha > 0:
            _line(image, pose.joints[i], pose.joints[j], rgb[::-1], width, alpha)
    for i in range(J):
        if opacity[i] > 0.5:
            colour = tuple(int(c) for c in joints[i][::-1])
            cv2.circle(
                image, _point(pose.joints[i]), width << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT
            )


def _line(
    image: np.ndarray, a: np.ndarray, b: np.ndarray, bgr: np.ndarray, width: int, alpha: float
) -> None:
    colour = tuple(int(c) for c in bgr)
    if alpha > 0.95:
        cv2.line(image, _point(a), _point(b), colour, width, cv2.LINE_AA, _SHIFT)
        return
    h, w = image.shape[:2]
    low = np.floor(np.minimum(a, b) - width - 1).astype(int).clip(0)
    high = np.ceil(np.maximum(a, b) + width + 2).astype(int).clip(0, [w, h])
    if (low >= high).any():
        return
    part = image[low[1] : high[1], low[0] : high[0]]
    drawn = part.copy()
    cv2.line(drawn, _point(a - low), _point(b - low), colour, width, cv2.LINE_AA, _SHIFT)
    part[:] = cv2.addWeighted(drawn, alpha, part, 1 - alpha, 0)


def annotated(result: Result, mirror: bool = False) -> np.ndarray:
    """A new BGR picture of a result's frame with its skeletons and the age of the result."""
    image = result.frame.image.copy()
    for pose in result.poses:
        draw_pose(image, pose)
    if mirror:
        image = np.ascontiguousarray(image[:, ::-1])
    size = max(0.4, image.shape[0] / 1000)
    text = f"{result.model} on {result.device}   {result.frame.timeline.total_ms:.0f} ms"
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    cv2.rectangle(image, (0, 0), (width + 20, height + base + 14), (32, 28, 24), -1)
    cv2.putText(image, text, (10, height + 8), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1,
                cv2.LINE_AA)  # fmt: skip
    return image
