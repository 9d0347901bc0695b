"""A picture with its skeletons, for videos written without a window."""

from __future__ import annotations

import numpy as np

from livepose import palette
from livepose.cv import cv2
from livepose.drawing import draw_skeleton
from livepose.frames import Pose, Result
from livepose.skeleton import INDEX

_HEAD_TOP = INDEX["head_top"]


def annotated(result: Result, mirror: bool = False) -> np.ndarray:
    """A new BGR picture of a result's frame with its skeletons and the age of the result."""
    image = result.frame.image.copy()
    for pose in result.poses:
        draw_skeleton(image, pose.joints, pose.confidence, pose.id)
    if mirror:
        image = np.ascontiguousarray(image[:, ::-1])
    size = max(0.4, image.shape[0] / 1000)
    for pose in result.poses:
        if pose.id:
            _number(image, pose, mirror, size)
    text = f"{result.title} on {result.device}   {result.frame.timeline.total_ms:.0f} ms"
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    cv2.rectangle(image, (0, 0), (width + 20, height + base + 14), (32, 28, 24), -1)
    cv2.putText(image, text, (10, height + 8), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1,
                cv2.LINE_AA)  # fmt: skip
    return image


def _number(image: np.ndarray, pose: Pose, mirror: bool, size: float) -> None:
    """The person's id above the head."""
    x, y = pose.joints[_HEAD_TOP]
    x = image.shape[1] - 1 - x if mirror else x
    (width, _), _ = cv2.getTextSize(str(pose.id), cv2.FONT_HERSHEY_SIMPLEX, 1.5 * size, 2)
    at = (round(float(x) - width / 2), round(float(y) - 12 * size))
    colour = palette.person_colour(pose.id)[::-1]
    for shade, thick in (((20, 16, 12), 5), (colour, 2)):
        cv2.putText(image, str(pose.id), at, cv2.FONT_HERSHEY_SIMPLEX, 1.5 * size, shade, thick,
                    cv2.LINE_AA)  # fmt: skip
