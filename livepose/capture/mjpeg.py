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

MULTIPART = "multipart/x-mixed-replace"
MAX_HEADER = 64 << 10
MAX_PICTURE = 64 << 20
_RECEIVE = 256 << 10
_ENOUGH = 64  # bytes, to tell what a stream is
_START, _END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of one picture, and when the first of them arrived."""

    data: bytes
    start_ns: int


class MultipartParser:
    """Cuts a multipart stream into its parts as soon as their last byte is there.

    boundary: between the parts; None for JPEGs that follow each other with nothing between them.
    """

    def __init__(self, boundary: str | None) -> None:
        # Some servers announce the boundary with its dashes, some without.
        self._delimiter = (
            None if boundary is None else b"--" + boundary.strip().lstrip("-").encode()
        )
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
        if self._delimiter is None:
            begin = buffer.find(_START)
            del buffer[: begin if begin >= 0 else max(0, len(buffer) - 1)]
            self._in_body, self._start_ns = begin >= 0, None
            return self._in_body
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
                end = self._begin_of_next(buffer)
        if end < 0:
            if len(buffer) > MAX_PICTURE:
                buffer.clear()
                self._in_body = False
            return False
        parts.append(Part(bytes(buffer[:end]), self._start_ns))
        del buffer[:end]
        self._in_body = False
        return True

    def _begin_of_next(self, buffer: bytearray) -> int:
        if self._delimiter is not None:
            return buffer.find(self._delimiter)
        border = buffer.find(_END + _START)
        return border + len(_END) if border >= 0 else -1


def boundary_of(data: bytes) -> str | None:
    """The boundary of a multipart stream that begins with `data`, None if it does not look so."""
    first, line_end, rest = data.lstrip(b"\r\n").partition(b"\n")
    if not (line_end and first.startswith(b"--") and rest[:8].lower() == b"content-"):
        return None
    return first.strip().decode("latin-1")


def jpeg_end(data: bytes | bytearray) -> int:
    """Length of the JPEG that `data` begins with, or -1 if it is none or not complete.

    Segments are stepped over by their lengths, as one may hold a thumbnail with an end mark of
    its own; within the scan, 0xFF is always followed by 0 or a restart mark, so the end mark
    is unambiguous.
    """
    if data[:2] != _START:
        return -1
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        at, scan = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"), data[at + 1] == 0xDA
        if scan:
            end = data.find(_END, at)
            return end + 2 if end >= 0 else -1
    return -1


class MjpegReader:
    """Pictures out of an open HTTP response, always the newest that has arrived."""

    def __init__(
        self, response: http.client.HTTPResponse, name: str, boundary: str | None, first: bytes
    ) -> None:
        self._response = response
        self._name = name
        self._parser = MultipartParser(boundary)
        self._first = first  # what was read to find out what it is

    @classmethod
    def recognise(cls, response: http.client.HTTPResponse, name: str) -> MjpegReader | None:
        """A reader if the response is Motion JPEG, else None.

        What the server says counts, and if it says something else (``ffmpeg -listen 1`` calls
        everything a byte stream), how the stream begins: a server for one client only cannot be
        asked a second time.

        Raises:
            SourceError: the connection broke or fell silent.
        """
        if response.headers.get_content_type() == MULTIPART:
            boundary = response.headers.get_param("boundary")
            return cls(response, name, boundary if isinstance(boundary, str) else "", b"")
        if response.length is not None:  # a file: paced, not live
            return None
        first = b""
        while len(first) < _ENOUGH and (more := _receive(response, name)):
            first += more
        if found := boundary_of(first):
            return cls(response, name, found, first)
        return cls(response, name, None, first) if first.startswith(_START) else None

    def read(self) -> Reading | None:
        """The next picture, waiting for it; None when the server ends the stream.

        Raises:
            SourceError: the connection broke or fell silent.
        """
        while True:
            data, self._first = self._first or _receive(self._response, self._name), b""
            if not data:
                return None
            parts = self._parser.feed(data, now_ns())
            if parts:
                newest = parts[-1]
                return Reading(decode(newest.data), newest.start_ns, skipped=len(parts) - 1)

    def close(self) -> None:
        self._response.close()


def _receive(response: http.client.HTTPResponse, name: str) -> bytes:
    """What has arrived, waiting for something; empty at the end."""
    try:
        return response.read1(_RECEIVE)
    except TimeoutError:
        raise SourceError(f"{name} has fallen silent: is it still on?") from None
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(
            f"The connection to {name} broke ({error}): check the network."
        ) from error


def decode(data: bytes) -> np.ndarray | None:
    """The picture as BGR uint8, None if it is broken."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
