"""From what the user writes after ``--source`` to a source."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from livepose.capture.camera import CameraSource, list_cameras
from livepose.capture.images import ImageSource, is_image
from livepose.capture.source import DEFAULTS, CaptureOptions, Source, SourceError
from livepose.capture.synthetic import DEFAULT_SIZE, SyntheticSource
from livepose.capture.url import UrlSource, without_password
from livepose.capture.video import VideoSource

DEFAULT = "default"  # the first camera
ACCEPTED = (
    "a camera (0, /dev/video0), a video or image file, a folder of images, "
    "a URL (rtsp://..., http://...), or synthetic[:WIDTHxHEIGHT][@FPS]"
)
_SYNTHETIC = re.compile(r"synthetic(?::(\d{1,5})x(\d{1,5}))?(?:@(\d+(?:\.\d+)?))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def parse_source(spec: str, options: CaptureOptions = DEFAULTS) -> Source:
    """The source that `spec` names, not opened yet.

    Raises:
        SourceError: it names none; the message says what is accepted.
    """
    spec = spec.strip()
    if not spec:
        raise SourceError(f"No source is given; give {ACCEPTED}.")
    if spec == DEFAULT:
        cameras = list_cameras()
        if not cameras:
            raise SourceError(f"No camera was found: plug one in, or give {ACCEPTED}.")
        spec = cameras[0][0]
    if spec.isascii() and spec.isdigit():
        return CameraSource(int(spec), options)
    if spec.startswith("synthetic") and not Path(spec).exists():
        return _synthetic(spec, options)
    if spec.lower().startswith("file://"):
        return _from_path(Path(url2pathname(urlsplit(spec).path)), options)
    if _SCHEME.match(spec):
        return UrlSource(spec, options)
    return _from_path(Path(spec).expanduser(), options)


def shown(spec: str) -> str:
    """`spec` as it may be shown: a URL without its password."""
    return without_password(spec) if _SCHEME.match(spec) else spec


def _from_path(path: Path, options: CaptureOptions) -> Source:
    # A camera that is not plugged in yet has no node; it is waited for like any lost camera.
    if re.fullmatch(r"/dev/video\d+", str(path)):
        return CameraSource(str(path), options)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL character
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{path}: {reason}; give {ACCEPTED}.") from error
    if stat.S_ISCHR(mode):  # /dev/v4l/by-id/... and the like
        return CameraSource(str(path), options)
    if stat.S_ISDIR(mode) or is_image(path):
        return ImageSource(path, options)
    if stat.S_ISREG(mode):
        return VideoSource(path, options)
    raise SourceError(f"{path} is neither a file nor a folder nor a camera; give {ACCEPTED}.")


def _synthetic(spec: str, options: CaptureOptions) -> Source:
    match = _SYNTHETIC.fullmatch(spec)
    if match is None:
        raise SourceError(f"{spec!r} is not understood; give {ACCEPTED}.")
    width, height, fps = match.groups()
    try:
        return SyntheticSource(
            int(width or options.width or DEFAULT_SIZE[0]),
            int(height or options.height or DEFAULT_SIZE[1]),
            float(fps or options.fps or 30),
        )
    except ValueError as error:
        raise SourceError(f"{spec!r}: {error}.") from error
