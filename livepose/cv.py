"""The only place that imports OpenCV.

The opencv-python wheel sets ``QT_QPA_PLATFORM_PLUGIN_PATH`` and ``QT_QPA_FONTDIR`` to its own
Qt build when it is imported; PyQt5 then loads plugins of another Qt and aborts under a real
display. Import ``cv2`` from here (``from livepose.cv import cv2``) and the environment stays
as it was.
"""

import os

_QT_VARIABLES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
_before = {name: os.environ.get(name) for name in _QT_VARIABLES}

# A missing camera is reported by us in one sentence; OpenCV's own warnings would bury it.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2  # noqa: E402

for _name, _value in _before.items():
    if _value is None:
        os.environ.pop(_name, None)
    else:
        os.environ[_name] = _value

# OpenCV shares every small picture with a pool of threads and waits for them all: beside a network
# that keeps the cores busy that takes ten times as long now and then, and never gains anything.
cv2.setNumThreads(1)

__all__ = ["cv2"]
