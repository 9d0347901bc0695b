"""Sources of pictures, and the thread that drains them into a one-slot hand-over."""

from livepose.capture.camera import CameraSource, list_cameras, pixel_formats
from livepose.capture.images import ImageSource
from livepose.capture.open import DEFAULT, parse_source
from livepose.capture.slot import Slot
from livepose.capture.source import Applied, CaptureOptions, Reading, Source, SourceError
from livepose.capture.synthetic import SyntheticSource
from livepose.capture.thread import CaptureThread
from livepose.capture.url import UrlSource
from livepose.capture.video import VideoSource

__all__ = [
    "DEFAULT",
    "Applied",
    "CameraSource",
    "CaptureOptions",
    "CaptureThread",
    "ImageSource",
    "Reading",
    "Slot",
    "Source",
    "SourceError",
    "SyntheticSource",
    "UrlSource",
    "VideoSource",
    "list_cameras",
    "parse_source",
    "pixel_formats",
]
