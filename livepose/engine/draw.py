"""A picture with its skeletons, for videos written without a window."""

from __future__ import annotations

import numpy as np

from livepose.cv import cv2
from livepose.drawing import draw_skeleton
from livepose.frames import Result


def annotated(result: Result, mirror: bool = False) -> np.ndarray:
    """A new BGR picture of a result's frame with its skeletons and the age of the result."""
    image = result.frame.image.copy()
    for pose in result.poses:
        draw_skeleton(image, pose.joints, pose.confidence)
    if mirror:
        image = np.ascontiguousarray(image[:, ::-1])
    size = max(0.4, image.shape[0] / 1000)
    text = f"{result.model} on {result.device}   {result.frame.timeline.total_ms:.0f} ms"
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    cv2.rectangle(image, (0, 0), (width + 20, height + base + 14), (32, 28, 24), -1)
    cv2.putText(image, text, (10, height + 8), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1,
                cv2.LINE_AA)  # fmt: skip
    return image
