"""Video files, and what they share with network streams: FFmpeg through OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from livepose.capture.device import Device, Factory, fourcc_text, open_device, sane_rate
from livepose.capture.source import DEFAULTS, Applied, CaptureOptions, Reading, SourceError
from livepose.cv import cv2
from livepose.timing.timeline import now_ns


class FfmpegReader:
    """One opened file or stream."""

    def __init__(self, device: Device) -> None:
        self._device = device
        # A live stream has no count: OpenCV then says 0 or something hugely negative.
        self.count = max(0, round(min(device.get(cv2.CAP_PROP_FRAME_COUNT), 1e12)))
        self.applied = Applied(
            width=round(device.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=round(device.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            fps=sane_rate(device.get(cv2.CAP_PROP_FPS)),
            fourcc=fourcc_text(device.get(cv2.CAP_PROP_FOURCC)),
        )

    @classmethod
    def open(cls, target: str, factory: Factory, params: Sequence[int] = ()) -> FfmpegReader | None:
        """None if FFmpeg makes nothing of `target`."""
        try:
            device = factory(target, cv2.CAP_FFMPEG, params)
            return cls(device) if device.isOpened() else None
        except cv2.error:
            return None

    def grab(self) -> bool:
        """Decodes the next picture without converting it, the cheap way to leave one out."""
        try:
            return self._device.grab()
        except cv2.error:
            return False

    def retrieve(self, start_ns: int) -> Reading:
        """The picture last grabbed."""
        try:
            media_s = self._device.get(cv2.CAP_PROP_POS_MSEC) / 1000
            good, image = self._device.retrieve()
        except cv2.error as error:
            return Reading(None, start_ns, problem=str(error))
        return Reading(image if good else None, start_ns, media_s)

    def close(self) -> None:
        self._device.release()


class VideoSource:
    """A video file."""

    live = False

    def __init__(
        self, path: Path, options: CaptureOptions = DEFAULTS, factory: Factory = open_device
    ) -> None:
        self.name = path.name
        self.applied: Applied | None = None
        self._path = path
        self._loop = options.loop
        self._factory = factory
        self._reader: FfmpegReader | None = None
        self._grabbed = 0

    def open(self) -> None:
        self.close()
        check_readable(self._path)
        # Absolute, because FFmpeg takes what stands before a colon for a protocol.
        reader = FfmpegReader.open(str(self._path.absolute()), self._factory)
        if reader is None:
            raise SourceError(
                f"{self._path} is not a video that can be decoded: is it complete, "
                "and does it play elsewhere?"
            )
        self._reader, self.applied, self._grabbed = reader, reader.applied, 0

    def read(self) -> Reading | None:
        start = now_ns()
        if self._grab() and self._reader:
            return self._reader.retrieve(start)
        count = self._reader.count if self._reader else 0
        if 0 < self._grabbed < 0.9 * count:  # the count in the header is not always exact
            raise SourceError(
                f"{self.name} breaks off after {self._grabbed} of {count} pictures: "
                "the file is incomplete or damaged."
            )
        return None

    def skip(self, count: int) -> int:
        done = 0
        while done < count and self._grab():
            done += 1
        return done

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _grab(self) -> bool:
        if self._reader is None:
            return False
        if not self._reader.grab():
            # An empty file must not loop: it would do so for ever within one read.
            if not self._loop or self._grabbed == 0:
                return False
            # Opening again takes as little as seeking, and works with every container.
            self.open()
            if not self._reader.grab():
                return False
        self._grabbed += 1
        return True


def check_readable(path: Path) -> None:
    """
    Raises:
        SourceError: `path` cannot be read, with the reason.
    """
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError(f"{path} cannot be read ({reason}): check its permissions.") from error
