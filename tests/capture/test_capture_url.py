from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livepose.capture import SourceError, UrlSource
from livepose.capture.mjpeg import MultipartParser, jpeg_end
from livepose.capture.url import without_password
from livepose.cv import cv2
from livepose.timing.timeline import now_ns

from .fakes import FAST, FakeDevice, FakeDevices, picture, wait_until

PATIENT = replace(FAST, stall_s=5, open_timeout_s=5)  # where no time-out is under test


def jpeg(image: np.ndarray) -> bytes:
    good, data = cv2.imencode(".jpg", image)
    assert good
    return bytes(data.tobytes())


def clock_picture(width: int = 320, height: int = 240) -> np.ndarray:
    """A picture that shows the time it is made, in black and white stripes."""
    ms = now_ns() // 1_000_000 & 0xFFFFFF
    bits = np.array([ms >> b & 1 for b in range(24)], np.uint8) * 255
    row = np.repeat(bits, width // 24 + 1)[:width]
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def age_ms(image: np.ndarray) -> int:
    """How long ago a `clock_picture` was made."""
    step = image.shape[1] // 24 + 1
    columns = [b * step + step // 2 for b in range(24) if b * step + step // 2 < image.shape[1]]
    ms = sum(1 << b for b, x in enumerate(columns) if image[120, x].mean() > 128)
    mask = (1 << len(columns)) - 1
    return (now_ns() // 1_000_000 - ms) & mask


class Camera:
    """A network camera on 127.0.0.1 that can be switched off and on again."""

    def __init__(self) -> None:
        self.port = 0
        self.period_s = 0.01
        self.make: Callable[[int], bytes] = lambda k: jpeg(picture(k % 200))
        self.lengths = True
        self.boundary = "frame"
        self.delimiter: str | None = "--frame"  # None: nothing but the pictures
        self.kind: str | None = None  # content type instead of the true one
        self.files: dict[str, bytes] = {}
        self.requests: list[Any] = []
        self.silent = False
        self._server: http.server.ThreadingHTTPServer | None = None
        self._on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def switch_on(self) -> None:
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                camera.requests.append(self.headers)
                if self.path == "/stream":
                    with contextlib.suppress(OSError):  # the other side has gone
                        camera._stream(self)
                elif self.path in camera.files:
                    data = camera.files[self.path]
                    self.send_response(200)
                    self.send_header("Content-Type", "video/x-msvideo")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                else:
                    self.send_error(404)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        self.port = server.server_port
        self._server = server
        self._on.set()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def switch_off(self) -> None:
        self._on.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _stream(self, handler: Any) -> None:
        handler.send_response(200)
        kind = f"multipart/x-mixed-replace; boundary={self.boundary}"
        handler.send_header("Content-Type", self.kind or kind)
        handler.end_headers()
        k = 0
        while self._on.is_set():
            if self.silent:
                time.sleep(0.01)
                continue
            data = self.make(k)
            length = f"Content-Length: {len(data)}\r\n" if self.lengths else ""
            head = f"{self.delimiter}\r\nContent-Type: image/jpeg\r\n{length}\r\n"
            part = data if self.delimiter is None else head.encode() + data + b"\r\n"
            handler.wfile.write(part)
            k += 1
            time.sleep(self.period_s)
        handler.connection.close()


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Iterator[Camera]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    camera = Camera()
    camera.switch_on()
    yield camera
    camera.switch_off()


# -- Motion JPEG over HTTP -----------------------------------------------------------------------


def test_a_live_stream_arrives_without_delay(camera: Camera, capture: Any) -> None:
    camera.make = lambda k: jpeg(clock_picture())
    camera.period_s = 0.03
    for camera.lengths in (True, False):
        run = capture(camera.url, PATIENT)
        ages = []
        for _ in range(15):
            frame = run.frame()
            ages.append(age_ms(frame.image))
            # The stamp says when it arrived, which is after it was made.
            assert (now_ns() - frame.timeline.start_ns) / 1e6 <= ages[-1] + 2
        # A reader that waits for the next part to see the end of this one would be at 30 and more.
        assert sorted(ages)[len(ages) // 2] < 25, ages
        run.thread.stop()


def test_latency_stays_bounded_with_a_slow_consumer(camera: Camera, capture: Any) -> None:
    camera.make = lambda k: jpeg(clock_picture())
    camera.period_s = 0.008
    run = capture(camera.url, PATIENT)
    ages = []
    for _ in range(12):
        time.sleep(0.08)
        ages.append(age_ms(run.frame().image))
    assert sorted(ages)[len(ages) // 2] < 80, ages  # a queue would end near 900
    assert run.thread.dropped > 20


def test_a_server_that_dies_and_comes_back(camera: Camera, capture: Any) -> None:
    run = capture(camera.url, PATIENT)
    for _ in range(5):
        run.frame()
    camera.switch_off()
    run.wait_event("unplugged")
    event = run.wait_event("retry", 2)
    assert "cannot be reached" in event.message
    assert camera.url in event.message
    wait_until(lambda: run.thread.state == "waiting")
    last = run.thread.slot.get(0)
    camera.switch_on()
    run.wait_event("recovered")
    frame = run.frame()
    assert last is None or frame.id > last.id
    assert run.thread.state == "playing"


def test_a_server_that_falls_silent(camera: Camera, capture: Any) -> None:
    run = capture(camera.url, replace(FAST, stall_s=0.1, open_timeout_s=0.4))
    run.frame()
    camera.silent = True
    run.wait_event("stalled")
    assert "has fallen silent" in run.wait_event("retry").message
    camera.silent = False
    run.wait_event("recovered")


def test_a_change_of_size_mid_stream(camera: Camera, capture: Any) -> None:
    camera.make = lambda k: jpeg(picture(50, *((64, 48) if k < 20 else (161, 121))))
    run = capture(camera.url, PATIENT)
    wait_until(lambda: run.frame().image.shape == (121, 161, 3))
    assert "161x121 instead of 64x48" in run.wait_event("resized").message
    assert (run.thread.applied.width, run.thread.applied.height) == (161, 121)


def test_broken_pictures_do_not_end_the_stream(camera: Camera, capture: Any) -> None:
    whole = jpeg(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    camera.make = lambda k: [whole, whole[: len(whole) // 2], b"no picture", b""][k % 4]
    for camera.lengths in (True, False):
        run = capture(camera.url, PATIENT)
        wait_until(lambda run=run: run.thread.captured >= 8 and run.thread.broken >= 4)  # type: ignore[misc]
        run.wait_event("broken")
        assert len(camera.requests) == (1 if camera.lengths else 2)  # never connected anew
        run.thread.stop()


@pytest.mark.parametrize(
    ("boundary", "delimiter"), [('"frame"', "--frame"), ("--frame", "--frame"), ("--a", "----a")]
)
def test_boundaries_as_servers_write_them(
    boundary: str, delimiter: str, camera: Camera, capture: Any
) -> None:
    camera.boundary, camera.delimiter = boundary, delimiter
    run = capture(camera.url, PATIENT)
    assert run.frame().image.shape == (48, 64, 3)


@pytest.mark.parametrize("delimiter", ["--ffmpeg", None])
def test_a_stream_that_is_not_called_one_is_recognised_on_one_connection(
    camera: Camera, capture: Any, delimiter: str | None
) -> None:
    camera.kind, camera.delimiter = "application/octet-stream", delimiter
    camera.make = lambda k: jpeg(picture(k % 200))
    run = capture(camera.url, PATIENT)
    for _ in range(10):
        run.frame()
    assert run.thread.broken == 0
    assert len(camera.requests) == 1


def test_broken_pictures_with_nothing_between_them_do_not_end_the_stream(
    camera: Camera, capture: Any
) -> None:
    whole = jpeg(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    lost = whole[: len(whole) // 2] + whole[-2:]  # a piece is missing
    camera.kind, camera.delimiter = "image/jpeg", None
    camera.make = lambda k: [whole, lost, b"no picture", b""][k % 4]
    run = capture(camera.url, PATIENT)
    wait_until(lambda: run.thread.captured >= 8)
    assert len(camera.requests) == 1


def test_the_user_of_the_url_is_sent_and_never_shown(camera: Camera, capture: Any) -> None:
    url = camera.url.replace("http://", "http://me:se%40cret@")
    run = capture(url, PATIENT)
    run.frame()
    assert camera.requests[0]["Authorization"] == "Basic bWU6c2VAY3JldA=="
    assert run.thread.source_name == camera.url.replace("http://", "http://me:***@")
    camera.switch_off()
    run.wait_event("retry")
    assert not [e for e in run.events if "cret" in e.message]


def test_passwords_are_hidden() -> None:
    assert without_password("rtsp://u:p@[::1]:554/a?b=c") == "rtsp://u:***@[::1]:554/a?b=c"
    assert without_password("rtsp://host/x") == "rtsp://host/x"
    assert without_password("http://[broken/x") == "http://[broken/x"


def test_a_wrong_address_says_so(camera: Camera) -> None:
    with pytest.raises(SourceError, match="answers 404"):
        UrlSource(camera.url + "er", PATIENT).open()
    with pytest.raises(SourceError, match="cannot be reached"):
        UrlSource("http://127.0.0.1:1/x", PATIENT).open()
    for nonsense in ("http://", "http://[::1/x", "http://127.0.0.1:notaport/"):
        with pytest.raises(SourceError):
            UrlSource(nonsense, PATIENT).open()


# -- through FFmpeg ------------------------------------------------------------------------------


def test_an_unreachable_rtsp_address_fails_soon_and_is_tried_again(capture: Any) -> None:
    run = capture("rtsp://127.0.0.1:1/x")
    assert "rtsp://127.0.0.1:1/x could not be opened" in run.wait_event("retry", 2).message
    begin = time.monotonic()
    assert run.thread.stop(10)
    assert time.monotonic() - begin < 5


def test_an_address_that_never_answers_is_given_up(capture: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        port = server.getsockname()[1]
        for scheme in ("http", "rtsp"):
            run = capture(f"{scheme}://127.0.0.1:{port}/x")
            run.wait_event("retry")
            run.thread.stop(5)


def test_a_file_behind_a_url_is_paced_and_ends(
    camera: Camera, capture: Any, make_video: Callable[..., Path]
) -> None:
    camera.files["/film.avi"] = make_video(frames=13).read_bytes()
    url = camera.url.replace("stream", "film.avi")
    begin = time.monotonic()
    run = capture(url, PATIENT)
    frames = run.drain()
    assert time.monotonic() - begin >= 12 / 25
    assert run.thread.state == "ended"
    assert len(frames) + run.thread.dropped == 13
    looped = capture(url, replace(PATIENT, loop=True), lossless=True)
    values = [round(looped.frame().image.mean() / 10) for _ in range(15)]
    assert values == [*range(13), 0, 1]


def test_streams_get_time_outs_and_one_decoder_thread() -> None:
    device = FakeDevice([picture()])
    devices = FakeDevices(device)
    source = UrlSource("rtsp://host/x", replace(FAST, open_timeout_s=1.5), devices)
    source.open()
    target, api, params = devices.calls[0]
    assert (target, api) == ("rtsp://host/x", cv2.CAP_FFMPEG)
    assert dict(zip(params[::2], params[1::2], strict=True)) == {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 1500,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: 1500,
        cv2.CAP_PROP_N_THREADS: 1,
    }
    assert source.live
    before = now_ns()
    reading = source.read()
    assert reading is not None
    assert reading.start_ns >= before + 1_000_000
    assert source.read() is None
    source.close()
    assert device.released == 1


# -- the parts of a multipart stream -------------------------------------------------------------

PICTURES = [jpeg(picture(k * 40, 16, 16)) for k in range(3)]


def stream(lengths: bool) -> bytes:
    parts = [
        b"--b\r\nContent-Type: image/jpeg\r\n"
        + (b"Content-Length: %d\r\n" % len(data) if lengths else b"")
        + b"\r\n" + data + b"\r\n"
        for data in PICTURES
    ]  # fmt: skip
    return b"preamble\r\n" + b"".join(parts) + b"--b--\r\n"


@settings(deadline=None)
@given(st.booleans(), st.lists(st.integers(1, 400), min_size=1))
def test_parts_do_not_depend_on_how_the_bytes_arrive(lengths: bool, sizes: list[int]) -> None:
    data, parser, got, at = stream(lengths), MultipartParser("b"), [], 0
    turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        got += parser.feed(data[at : at + size], turn)
        at, turn = at + size, turn + 1
    assert [part.data for part in got] == PICTURES
    starts = [part.start_ns for part in got]
    assert starts == sorted(starts)


def test_a_part_is_complete_with_its_last_byte_and_begins_with_its_first() -> None:
    for lengths in (True, False):
        parser = MultipartParser("b")
        head, _, rest = stream(lengths).partition(PICTURES[0])
        assert parser.feed(head, 1) == []
        assert parser.feed(PICTURES[0][:5], 2) == []
        assert parser.feed(PICTURES[0][5:-1], 3) == []
        (part,) = parser.feed(PICTURES[0][-1:], 4)
        assert (part.data, part.start_ns) == (PICTURES[0], 2)
        assert [p.data for p in parser.feed(rest, 5)] == PICTURES[1:]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_garbage_is_no_danger(chunks: list[bytes]) -> None:
    parser = MultipartParser("b")
    for chunk in chunks:
        parser.feed(chunk, 0)
    if b"--b" not in b"".join(chunks):
        assert [part.data for part in parser.feed(b"\n\n" + stream(True), 1)] == PICTURES


def test_endless_headers_are_not_collected() -> None:
    parser = MultipartParser("b")
    for _ in range(100):
        parser.feed(b"--b\r\n" + b"X: y" * 1000, 0)
    assert len(parser._buffer) < 100_000


def test_the_end_of_a_jpeg_is_not_that_of_its_thumbnail() -> None:
    thumbnail = PICTURES[0]
    length = (len(thumbnail) + 2).to_bytes(2, "big")
    data = PICTURES[1][:2] + b"\xff\xe1" + length + thumbnail + PICTURES[1][2:]
    assert jpeg_end(data) == len(data)
    assert jpeg_end(data + b"\r\n--b") == len(data)
    for cut in range(len(data)):
        assert jpeg_end(data[:cut]) == -1
    assert jpeg_end(b"no jpeg at all") == -1
