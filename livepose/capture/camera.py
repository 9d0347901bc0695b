"""Cameras through OpenCV, and the list of those that are plugged in."""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from livepose.capture.device import Device, Factory, fourcc_text, open_device, sane_rate
from livepose.capture.source import (
    DEFAULTS,
    Applied,
    CaptureOptions,
    Reading,
    SourceError,
    describe,
)
from livepose.cv import cv2
from livepose.timing.timeline import now_ns

LINUX = sys.platform.startswith("linux")
DEFAULT_FPS = 30.0
# A driver's time stamp older than this belongs to another clock.
MAX_STAMP_AGE_NS = 2_000_000_000


class CameraSource:
    """A camera by index or device path."""

    live = True

    def __init__(
        self,
        target: int | str,
        options: CaptureOptions = DEFAULTS,
        factory: Factory = open_device,
        api: int = cv2.CAP_V4L2 if LINUX else cv2.CAP_ANY,
    ) -> None:
        self.name = f"Camera {target}"
        self.applied: Applied | None = None
        self._target = target
        self._options = options
        self._factory = factory
        self._api = api
        self._device: Device | None = None

    def open(self) -> None:
        self.close()
        try:
            device = self._factory(self._target, self._api, ())
            if not device.isOpened():
                raise SourceError(self._diagnosis())
            self.applied = self._configure(device)
        except cv2.error as error:
            raise SourceError(self._diagnosis()) from error
        self._device = device

    def read(self) -> Reading | None:
        device = self._device
        if device is None:
            return None
        try:
            if not device.grab():
                return None
            grabbed = now_ns()
            start = driver_stamp(device, grabbed) if self._api == cv2.CAP_V4L2 else None
            good, image = device.retrieve()
        except cv2.error:  # what OpenCV throws when the device vanishes under it
            return None
        return Reading(image if good else None, grabbed if start is None else start)

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.release()

    def _configure(self, device: Device) -> Applied:
        """Asks for what the user wants and reads back what the camera made of it."""
        asked = self._options
        fps = asked.fps or DEFAULT_FPS
        # In this order: the pixel format decides which sizes there are, the size which rates.
        if asked.fourcc:
            device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*asked.fourcc))
        if asked.width and asked.height:
            device.set(cv2.CAP_PROP_FRAME_WIDTH, asked.width)
            device.set(cv2.CAP_PROP_FRAME_HEIGHT, asked.height)
        device.set(cv2.CAP_PROP_FPS, fps)

        got = Applied(
            width=round(device.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=round(device.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            fps=sane_rate(device.get(cv2.CAP_PROP_FPS)),
            fourcc=fourcc_text(device.get(cv2.CAP_PROP_FOURCC)),
        )
        width, height = asked.width or got.width, asked.height or got.height
        fourcc = asked.fourcc or got.fourcc
        same = (
            (width, height) == (got.width, got.height)
            and abs(fps - (got.fps or fps)) < 0.5
            and fourcc == (got.fourcc or fourcc)
        )
        if same:
            return got
        wanted = describe(width, height, fps, fourcc)
        note = f"asked {wanted}, camera gave {got}"
        return Applied(got.width, got.height, got.fps, got.fourcc, note)

    def _diagnosis(self) -> str:
        """Why it does not open, as far as that can be seen from outside."""
        what = f"{self.name} could not be opened"
        path = f"/dev/video{self._target}" if isinstance(self._target, int) else self._target
        if LINUX and not os.path.exists(path):
            others = ", ".join(f"{spec} ({name})" for spec, name in list_cameras())
            found = f" or use {others}" if others else " (no other camera is there)"
            return f"{what}: there is no {path}; plug it in{found}."
        if LINUX and not os.access(path, os.R_OK | os.W_OK):
            return f"{what}: no permission for {path}; add yourself to the group 'video'."
        return (
            f"{what}: is it plugged in, used by another program, "
            "or are you missing from the group 'video'?"
        )


def driver_stamp(device: Device, grabbed_ns: int) -> int | None:
    """When the driver got the picture just grabbed, in monotonic ns; None if it does not tell.

    V4L2 drivers stamp with CLOCK_MONOTONIC, the clock used here. A few use another clock or
    none, and then the number lies far from now.
    """
    stamp = device.get(cv2.CAP_PROP_POS_MSEC)
    if not stamp > 0:
        return None
    ns = round(stamp * 1e6)
    return ns if grabbed_ns - MAX_STAMP_AGE_NS < ns <= grabbed_ns else None


def list_cameras(
    root: Path = Path("/sys/class/video4linux"),
    captures: Callable[[Path], bool | None] | None = None,
) -> list[tuple[str, str]]:
    """The cameras for a picker: (what `--source` takes, name for the user).

    No camera is started for it, so it takes no time. Only Linux has a list to look at; elsewhere
    it is the default camera alone. `root` and `captures` (does this device node deliver video?
    None: cannot be told) are for tests.
    """
    if not LINUX:
        return [("0", "Camera 0")]
    captures = captures or node_captures
    found: list[tuple[int, str]] = []
    for entry in root.glob("video*"):
        number = re.fullmatch(r"video(\d+)", entry.name)
        if number is None:
            continue
        # A webcam has a second node for metadata: it cannot capture, and is not the first one.
        usable = captures(Path("/dev") / entry.name)
        if usable is None:
            usable = _text(entry / "index") in ("", "0")
        if usable:
            found.append((int(number[1]), _text(entry / "name") or f"Camera {number[1]}"))
    return [(str(index), name) for index, name in sorted(found)]


def node_captures(path: Path) -> bool | None:
    """Whether a V4L2 node delivers video, by VIDIOC_QUERYCAP; None if it cannot be asked."""
    import fcntl  # not on Windows

    query, single_plane, multi_plane = 0x80685600, 0x1, 0x1000
    try:
        node = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        # struct v4l2_capability: driver, card, bus (80 bytes), then four words of which the
        # third is what this very node can do.
        reply = fcntl.ioctl(node, query, bytes(104))
    except OSError:
        return None
    finally:
        os.close(node)
    (capabilities,) = struct.unpack_from("=I", reply, 88)
    return bool(capabilities & (single_plane | multi_plane))


def pixel_formats(path: Path) -> list[str]:
    """FOURCCs that a V4L2 node offers, by VIDIOC_ENUM_FMT, its favourite first; [] if unknown."""
    if not LINUX:
        return []
    import fcntl

    enumerate_formats, video_capture = 0xC0405602, 1
    try:
        node = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    found: list[str] = []
    try:
        while True:  # until the driver says that there is no such index
            # struct v4l2_fmtdesc: index, type, flags, description (32 bytes), FOURCC, ...
            asked = struct.pack("=II56x", len(found), video_capture)
            (code,) = struct.unpack_from("=I", fcntl.ioctl(node, enumerate_formats, asked), 44)
            found.append(fourcc_text(code))
    except OSError:
        return found
    finally:
        os.close(node)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
