"""Motion JPEG over HTTP (``multipart/x-mixed-replace``), as network cameras and phones send it.

OpenCV can read this too, and as fast where each part tells its length (4 ms from server to
picture). It is read here because FFmpeg, beneath OpenCV, waits for the next picture before it
hands out one of unknown length (a whole frame period of latency), stretches pictures to the size
of the first one when the size changes, gives up the stream at one broken picture, and decodes a
backlog one by one instead of going on with the newest.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass

import numpy as np

from livepose.capture.source import Reading, SourceError
from livepose.cv import cv2
from livepose.timing.timeline import now_ns

MAX_HEADER = 64 << 10
MAX_PICTURE = 64 << 20
_RECEIVE = 256 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of one picture, and when the first of them arrived."""

    data: bytes
    start_ns: int


class MultipartParser:
    """Cuts a multipart stream into its parts as soon as their last byte is there."""

    def __init__(self, boundary: str) -> None:
        # Some servers announce the boundary with its dashes, some without.
        self._delimiter = b"--" + boundary.strip().lstrip("-").encode()
        self._buffer = bytearray()
        self._in_body = False
        self._length: int | None = None
        self._start_ns: int | None = None

    def feed(self, data: bytes, at_ns: int) -> list[Part]:
        """The parts completed by `data`, which arrived at `at_ns`."""
        self._buffer += data
        parts: list[Part] = []
        while self._headers() if not self._in_body else self._body(at_ns, parts):
            pass
        return parts

    def _headers(self) -> bool:
        """Reads up to the begin of a body; False if more data is needed."""
        buffer = self._buffer
        begin = buffer.find(self._delimiter)
        if begin < 0:
            del buffer[: max(0, len(buffer) - len(self._delimiter))]
            return False
        ends = [(buffer.find(gap, begin), len(gap)) for gap in (b"\r\n\r\n", b"\n\n")]
        end, gap = min(((e, g) for e, g in ends if e >= 0), default=(-1, 0))
        if end < 0:
            if len(buffer) - begin > MAX_HEADER:
                buffer.clear()
            return False
        self._length = None
        for line in bytes(buffer[begin:end]).splitlines():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                self._length = min(int(value), MAX_PICTURE)
        del buffer[: end + gap]
        self._in_body, self._start_ns = True, None
        return True

    def _body(self, at_ns: int, parts: list[Part]) -> bool:
        """Reads to the end of the body; False if more data is needed."""
        buffer = self._buffer
        if not buffer:
            return False
        if self._start_ns is None:
            self._start_ns = at_ns
        if self._length is not None:
            end = self._length if len(buffer) >= self._length else -1
        else:
            end = jpeg_end(buffer)
            if end < 0:  # cut short, or no JPEG at all: the next part shows where it ends
                end = buffer.find(self._delimiter)
        if end < 0:
            if len(buffer) > MAX_PICTURE:
                buffer.clear()
                self._in_body = False
            return False
        parts.append(Part(bytes(buffer[:end]), self._start_ns))
        del buffer[:end]
        self._in_body = False
        return True


def jpeg_end(data: bytes | bytearray) -> int:
    """Length of the JPEG that `data` begins with, or -1 if it is none or not complete.

    Segments are stepped over by their lengths, as one may hold a thumbnail with an end mark of
    its own; within the scan, 0xFF is always followed by 0 or a restart mark, so the end mark
    is unambiguous.
    """
    if data[:2] != b"\xff\xd8":
        return -1
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        at, scan = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"), data[at + 1] == 0xDA
        if scan:
            end = data.find(b"\xff\xd9", at)
            return end + 2 if end >= 0 else -1
    return -1


class MjpegReader:
    """Pictures out of an open HTTP response, always the newest that has arrived."""

    def __init__(self, response: http.client.HTTPResponse, name: str) -> None:
        self._response = response
        self._name = name
        boundary = response.headers.get_param("boundary")
        self._parser = MultipartParser(boundary if isinstance(boundary, str) else "")

    def read(self) -> Reading | None:
        """The next picture, waiting for it; None when the server ends the stream.

        Raises:
            SourceError: the connection broke or fell silent.
        """
        while True:
            try:
                data = self._response.read1(_RECEIVE)
            except TimeoutError:
                raise SourceError(f"{self._name} has fallen silent: is it still on?") from None
            except (OSError, http.client.HTTPException) as error:
                raise SourceError(
                    f"The connection to {self._name} broke ({error}): check the network."
                ) from error
            if not data:
                return None
            parts = self._parser.feed(data, now_ns())
            if parts:
                newest = parts[-1]
                return Reading(decode(newest.data), newest.start_ns, skipped=len(parts) - 1)

    def close(self) -> None:
        self._response.close()


def decode(data: bytes) -> np.ndarray | None:
    """The picture as BGR uint8, None if it is broken."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
