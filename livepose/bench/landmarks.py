"""MediaPipe's joints of a video, with and without its smoothing, for `steadiness`.

Runs in an environment that has mediapipe and may not have torch:
``python -m livepose.bench.landmarks VIDEO OUT.npz``.
"""

from __future__ import annotations

import sys

import numpy as np

from livepose.cv import cv2


def main(source: str, out: str) -> None:
    """Writes ``raw`` and ``smooth`` (F, 33, 2) in pixels, NaN where nobody was found, ``fps``."""
    import mediapipe

    tracks = {}
    for name, smooth in (("raw", False), ("smooth", True)):
        capture = cv2.VideoCapture(source)
        fps = capture.get(cv2.CAP_PROP_FPS) or 30.0
        rows = []
        with mediapipe.solutions.pose.Pose(model_complexity=1, smooth_landmarks=smooth) as pose:
            while True:
                ok, image = capture.read()
                if not ok:
                    break
                height, width = image.shape[:2]
                found = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).pose_landmarks
                rows.append([[p.x * width - 0.5, p.y * height - 0.5] for p in found.landmark]
                            if found else np.full((33, 2), np.nan))  # fmt: skip
        tracks[name] = np.array(rows, float)
    np.savez(out, fps=fps, raw=tracks["raw"], smooth=tracks["smooth"])


if __name__ == "__main__":
    main(*sys.argv[1:3])
