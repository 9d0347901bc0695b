"""Network sources: RTSP and everything else FFmpeg reads, and Motion JPEG over HTTP."""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from urllib.parse import unquote, urlsplit, urlunsplit

from livepose.capture.device import Factory, open_device
from livepose.capture.mjpeg import MjpegReader
from livepose.capture.source import DEFAULTS, Applied, CaptureOptions, Reading, SourceError
from livepose.capture.video import FfmpegReader
from livepose.cv import cv2
from livepose.timing.timeline import now_ns


class UrlSource:
    """A stream by URL, or a file behind one: which of the two shows when it is opened."""

    def __init__(
        self,
        url: str,
        options: CaptureOptions = DEFAULTS,
        factory: Factory = open_device,
    ) -> None:
        self.name = without_password(url)
        self.live = True
        self.applied: Applied | None = None
        self._url = url
        self._timeout_s = options.open_timeout_s
        self._loop = options.loop
        self._factory = factory
        self._reader: MjpegReader | FfmpegReader | None = None

    def open(self) -> None:
        self.close()
        self.applied = None
        if self._url.lower().startswith(("http://", "https://")):
            self._reader = self._open_mjpeg()
        if self._reader is None:
            self._reader = self._open_ffmpeg()

    def read(self) -> Reading | None:
        reader = self._reader
        if isinstance(reader, MjpegReader):
            return reader.read()
        if reader is None:
            return None
        start = now_ns()
        if not reader.grab():
            if self.live or not self._loop:
                return None
            self.open()
            reader = self._reader
            if not isinstance(reader, FfmpegReader) or not reader.grab():
                return None
        # What a live stream was before `grab` returned cannot be seen from here; of a file we
        # know that it was decoded.
        return reader.retrieve(now_ns() if self.live else start)

    def skip(self, count: int) -> int:
        reader, done = self._reader, 0
        if isinstance(reader, FfmpegReader) and not self.live:
            while done < count and reader.grab():
                done += 1
        return done

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _open_mjpeg(self) -> MjpegReader | None:
        """None if the server sends something else."""
        try:
            response = urllib.request.urlopen(_request(self._url), timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.UNAUTHORIZED:
                return None  # digest authentication: FFmpeg can do it
            raise SourceError(
                f"{self.name} answers {error.code} {error.reason}: check the address."
            ) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise SourceError(
                f"{self.name} cannot be reached ({reason}): check the address and the network."
            ) from error
        try:
            reader = MjpegReader.recognise(response, self.name)
        except SourceError:
            response.close()
            raise
        if reader is None:
            response.close()
        else:
            self.live = True
        return reader

    def _open_ffmpeg(self) -> FfmpegReader:
        timeout_ms = round(self._timeout_s * 1000)
        params = (
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms,
            # Decoding in several threads holds back as many pictures as there are threads.
            cv2.CAP_PROP_N_THREADS, 1,
        )  # fmt: skip
        reader = FfmpegReader.open(self._url, self._factory, params)
        if reader is None:
            raise SourceError(
                f"{self.name} could not be opened: check the address, the network, "
                "and whether it is a video."
            )
        # A file behind a URL has a length; it is paced and ends like any file.
        self.live = reader.count == 0
        self.applied = reader.applied
        return reader


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
    except ValueError:
        return url
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))


def _request(url: str) -> urllib.request.Request:
    """A request with the user and password of the URL, which urllib does not look at."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)))
    if user:
        name, _, password = user.partition(":")
        token = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    return request
