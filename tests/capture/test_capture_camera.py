from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livepose.capture import CameraSource, CaptureOptions, SourceError, list_cameras
from livepose.capture import camera as camera_module
from livepose.capture.camera import driver_stamp, node_captures, pixel_formats
from livepose.cv import cv2
from livepose.timing.timeline import now_ns

from .fakes import FakeDevice, FakeDevices, picture, wait_until

MJPG = cv2.VideoWriter.fourcc(*"MJPG")
YUYV = cv2.VideoWriter.fourcc(*"YUYV")


def camera(*devices: FakeDevice, target: int | str = 0, **options: Any) -> CameraSource:
    options = {"stall_s": 0.15, "retry_s": 0.01, "retry_max_s": 0.04, **options}
    return CameraSource(target, CaptureOptions(**options), FakeDevices(*devices), cv2.CAP_V4L2)


def test_format_then_size_then_rate() -> None:
    device = FakeDevice()
    camera(device, width=1280, height=720, fps=60).open()
    assert device.sets == [
        (cv2.CAP_PROP_FOURCC, MJPG),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 60),
    ]


def test_only_what_is_asked_is_set() -> None:
    device = FakeDevice()
    camera(device, width=None, height=None, fourcc=None).open()
    assert device.sets == [(cv2.CAP_PROP_FPS, 30)]


def test_index_and_path_reach_opencv() -> None:
    for target in (2, "/dev/video7"):
        devices = FakeDevices(FakeDevice())
        CameraSource(target, factory=devices, api=cv2.CAP_V4L2).open()
        assert devices.calls == [(target, cv2.CAP_V4L2, ())]


def test_what_was_really_applied_is_read_back() -> None:
    device = FakeDevice(
        gives={
            cv2.CAP_PROP_FRAME_WIDTH: 640,
            cv2.CAP_PROP_FRAME_HEIGHT: 480,
            cv2.CAP_PROP_FPS: 30,
            cv2.CAP_PROP_FOURCC: YUYV,
        }
    )
    source = camera(device, width=1280, height=720)
    source.open()
    applied = source.applied
    assert applied is not None
    assert (applied.width, applied.height, applied.fps, applied.fourcc) == (640, 480, 30, "YUYV")
    assert applied.note == "asked 1280x720 at 30 MJPG, camera gave 640x480 at 30 YUYV"


def test_no_note_when_the_camera_obeys_or_does_not_tell() -> None:
    silent: dict[int, float] = {cv2.CAP_PROP_FPS: 0, cv2.CAP_PROP_FOURCC: -1}
    for gives in ({}, {cv2.CAP_PROP_FPS: 29.97}, silent):
        source = camera(FakeDevice(gives=gives))
        source.open()
        assert source.applied is not None
        assert source.applied.note == ""


def test_the_drivers_stamp_is_the_begin_of_the_frame() -> None:
    device = FakeDevice([picture()] * 3)
    source = camera(device)
    source.open()
    device.stamp = lambda: (now_ns() - 20_000_000) / 1e6
    before = now_ns()
    reading = source.read()
    assert reading is not None
    assert before - 20_000_000 <= reading.start_ns <= now_ns() - 20_000_000


@pytest.mark.parametrize("stamp_ms", [0.0, -5.0, float("nan"), 1e18, 1.7e12])
def test_a_stamp_of_another_clock_is_not_believed(stamp_ms: float) -> None:
    device = FakeDevice([picture()] * 3)
    source = camera(device)
    source.open()
    device.stamp = lambda: stamp_ms
    before = now_ns()
    reading = source.read()
    assert reading is not None
    assert before <= reading.start_ns <= now_ns()


def test_the_limits_of_a_sane_stamp() -> None:
    device, now = FakeDevice(), 50_000_000_000
    for age_ns, sane in ((0, True), (1_999_000_000, True), (2_000_000_000, False), (-1_000, False)):
        device.stamp = lambda age_ns=age_ns: (now - age_ns) / 1e6  # type: ignore[misc]
        assert (driver_stamp(device, now) is not None) is sane, age_ns


def test_other_systems_have_no_stamp_to_trust() -> None:
    device = FakeDevice([picture()])
    device.stamp = lambda: (now_ns() - 20_000_000) / 1e6
    source = CameraSource(0, factory=FakeDevices(device), api=cv2.CAP_ANY)
    source.open()
    before = now_ns()
    reading = source.read()
    assert reading is not None
    assert reading.start_ns >= before


def test_unplugged_after_some_frames_is_told_and_tried_again(capture: Any) -> None:
    first, second = FakeDevice([picture()] * 5), FakeDevice([picture()] * 100_000)
    run = capture(camera(first, second))
    run.wait_event("opened", 2)
    run.wait_event("recovered")
    kinds = run.kinds()
    assert kinds[:2] == ["opening", "opened"]
    assert kinds.index("unplugged") < kinds.index("retry") < kinds.index("recovered")
    assert "Camera 0" in run.wait_event("unplugged").message
    assert "Trying again in" in run.wait_event("retry").message
    assert first.released == 1
    assert run.thread.state == "playing"
    assert run.thread.captured > 5


def test_open_failing_is_tried_again_ever_more_slowly(capture: Any) -> None:
    failing = [FakeDevice(opened=False) for _ in range(5)]
    run = capture(camera(*failing, FakeDevice([picture()] * 100_000)))
    run.frame()
    messages = [event.message for event in run.events if event.kind == "retry"]
    delays = [message.rsplit("in ", 1)[1] for message in messages]
    assert delays == ["0.01 s.", "0.02 s.", "0.04 s.", "0.04 s.", "0.04 s."]
    run.wait_event("recovered")
    assert "failed" not in run.kinds()


def test_waiting_for_a_camera_shows_as_such_and_is_left_at_once(capture: Any) -> None:
    run = capture(camera(), CaptureOptions(retry_s=1000, retry_max_s=1000))
    run.wait_event("retry")
    wait_until(lambda: run.thread.state == "waiting")
    assert run.thread.stop(5)
    assert run.thread.state == "stopped"


def test_a_camera_that_opens_but_sends_nothing(capture: Any) -> None:
    run = capture(camera(FakeDevice([]), FakeDevice([])))
    run.wait_event("retry", 2)
    assert "sends no picture" in run.wait_event("retry").message
    assert "unplugged" not in run.kinds()


def test_none_and_nonsense_are_counted_and_skipped(capture: Any) -> None:
    script = [None, picture(7), np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4, 2), np.uint8)]
    run = capture(camera(FakeDevice([*script, *[picture(7)] * 100_000])))
    wait_until(lambda: run.thread.captured > 5)
    assert run.thread.broken == 3
    assert run.kinds().count("broken") == 1  # one after the other would be a flood
    assert run.frame().image[0, 0].tolist() == [7, 7, 7]
    assert run.thread.state == "playing"


def test_opencv_throwing_is_a_lost_camera(capture: Any) -> None:
    def throw() -> None:
        raise cv2.error("can't retrieve")

    run = capture(camera(FakeDevice([picture(), throw]), FakeDevice([picture()] * 100_000)))
    run.wait_event("unplugged")
    run.wait_event("recovered")


@pytest.mark.parametrize(
    "image",
    [
        np.full((48, 64), 9, np.uint8),
        np.full((48, 64, 4), 9, np.uint8),
        np.full((48, 64), 9 << 8, np.uint16),
    ],
    ids=["grey", "bgra", "16 bit"],
)
def test_other_pixel_formats_are_converted(image: np.ndarray, capture: Any) -> None:
    run = capture(camera(FakeDevice([image] * 100_000), width=64, height=48))
    frame = run.frame()
    assert frame.image.shape == (48, 64, 3)
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert (frame.image == 9).all()
    assert run.thread.broken == 0


def test_a_change_of_size_is_told(capture: Any) -> None:
    script = [picture()] * 20 + [picture(width=320, height=240)] * 100_000
    run = capture(camera(FakeDevice(script), width=64, height=48))
    event = run.wait_event("resized")
    assert "320x240 instead of 64x48" in event.message
    wait_until(lambda: run.frame().width == 320)
    assert (run.thread.applied.width, run.thread.applied.height) == (320, 240)


def test_the_first_pictures_size_counts_if_the_read_back_was_wrong(capture: Any) -> None:
    run = capture(camera(FakeDevice([picture()] * 100_000), width=1280, height=720))
    run.frame()
    assert (run.thread.applied.width, run.thread.applied.height) == (64, 48)
    assert "resized" not in run.kinds()


def test_why_a_camera_does_not_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node = tmp_path / "video0"
    source = camera(target=str(node))
    monkeypatch.setattr(camera_module, "LINUX", True)
    monkeypatch.setattr(camera_module, "list_cameras", lambda: [("2", "Brio")])
    with pytest.raises(SourceError, match=r"there is no .*video0; plug it in or use 2 \(Brio\)"):
        source.open()
    node.touch()
    with pytest.raises(SourceError, match="used by another program"):
        source.open()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceError, match="add yourself to the group 'video'"):
        source.open()


def test_the_list_has_names_and_no_metadata_nodes(tmp_path: Path) -> None:
    def node(name: str, title: str, index: int) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(title + "\n")
        (tmp_path / name / "index").write_text(f"{index}\n")

    node("video10", "Second", 0)
    node("video0", "HD Webcam", 0)
    node("video1", "HD Webcam", 1)
    node("video2", "Depth", 1)
    node("v4l-subdev0", "Sensor", 0)
    expected = [("0", "HD Webcam"), ("10", "Second")]
    if not camera_module.LINUX:
        pytest.skip("only Linux lists its cameras")
    # Where the node cannot be asked, its number on the device decides.
    assert list_cameras(tmp_path, lambda path: None) == expected
    # Where it can, its own word counts.
    captures = {"video0": True, "video1": False, "video2": True, "video10": True}
    assert list_cameras(tmp_path, lambda path: captures[path.name]) == [
        ("0", "HD Webcam"), ("2", "Depth"), ("10", "Second"),
    ]  # fmt: skip
    assert list_cameras(tmp_path / "none") == []


def test_what_is_no_camera_node_cannot_be_asked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert node_captures(tmp_path / "file") is None
    assert node_captures(tmp_path / "none") is None


def test_the_formats_of_a_camera_are_those_that_its_driver_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl
    import struct

    def driver(node: int, request: int, asked: bytes) -> bytes:
        assert request == 0xC0000000 | 64 << 16 | ord("V") << 8 | 2  # _IOWR('V', 2, v4l2_fmtdesc)
        index, kind = struct.unpack_from("=II", asked)
        assert kind == 1
        if index >= 2:
            raise OSError(22, "Invalid argument")
        return asked[:44] + (b"MJPG", b"YUYV")[index] + asked[48:]

    (tmp_path / "video0").touch()
    monkeypatch.setattr(fcntl, "ioctl", driver)
    assert pixel_formats(tmp_path / "video0") == ["MJPG", "YUYV"]
    assert pixel_formats(tmp_path / "none") == []
