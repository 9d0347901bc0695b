from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livepose.capture import (
    CameraSource,
    CaptureOptions,
    ImageSource,
    Source,
    SourceError,
    SyntheticSource,
    UrlSource,
    VideoSource,
    parse_source,
)
from livepose.capture.images import natural_order
from livepose.cv import cv2

from .fakes import FAST, picture

MakeVideo = Callable[..., Path]
LOOP = replace(FAST, loop=True)


def values(frames: list[Any]) -> list[int]:
    """The grey of each picture, which the test videos count up by 10."""
    return [round(float(frame.image.mean()) / 10) for frame in frames]


def test_a_video_from_begin_to_end(capture: Any, make_video: MakeVideo) -> None:
    run = capture(str(make_video(frames=20)), lossless=True)
    frames = run.drain()
    assert values(frames) == list(range(20))
    assert [f.media_s for f in frames] == pytest.approx([k / 25 for k in range(20)])
    assert [f.id for f in frames] == list(range(20))
    assert (run.thread.applied.fps, run.thread.applied.fourcc) == (25, "MJPG")
    assert run.wait_event("ended").message == "video.avi has ended."


def test_odd_sizes_survive(capture: Any, make_video: MakeVideo) -> None:
    run = capture(str(make_video(size=(641, 479), frames=3)), lossless=True)
    assert [f.image.shape for f in run.drain()] == [(479, 641, 3)] * 3


@pytest.mark.parametrize(
    "name", ["with spaces in it.avi", "ünïcödé 动画 видео.avi", "100%d %02d.avi", "a:b#c?d.avi"]
)
def test_any_file_name(name: str, capture: Any, make_video: MakeVideo) -> None:
    run = capture(str(make_video(name, frames=3)), lossless=True)
    assert values(run.drain()) == [0, 1, 2]
    assert run.thread.source_name == name


def test_a_video_loops(capture: Any, make_video: MakeVideo) -> None:
    run = capture(str(make_video(frames=5)), LOOP, lossless=True)
    assert values([run.frame() for _ in range(13)]) == [*range(5), *range(5), 0, 1, 2]
    assert run.thread.state == "playing"


def test_a_paced_video_takes_its_time(capture: Any, make_video: MakeVideo) -> None:
    begin = time.monotonic()
    run = capture(str(make_video(frames=13, fps=25)))
    frames = run.drain()
    assert time.monotonic() - begin >= 12 / 25
    assert len(frames) + run.thread.dropped == 13
    spacing = np.diff([f.timeline.start_ns for f in frames]) / np.diff([f.id for f in frames])
    np.testing.assert_allclose(spacing, 40e6, atol=10)


def test_skipping_grabs_without_converting(make_video: MakeVideo) -> None:
    source = VideoSource(make_video(frames=10))
    source.open()
    assert source.skip(6) == 6
    reading = source.read()
    assert reading is not None
    assert reading.image is not None
    assert round(reading.image.mean() / 10) == 6
    assert reading.media_s == pytest.approx(6 / 25)
    assert source.skip(100) == 3
    assert source.read() is None
    source.close()
    assert source.read() is None
    assert source.skip(1) == 0


@pytest.mark.parametrize("content", [b"", b"hello " * 5000, bytes(range(256)) * 200])
def test_garbage_is_refused_with_a_reason(content: bytes, capture: Any, tmp_path: Path) -> None:
    path = tmp_path / "garbage.mp4"
    path.write_bytes(content)
    run = capture(str(path))
    event = run.wait_event("failed")
    assert "is not a video that can be decoded" in event.message
    assert event.level == "error"
    assert run.thread.state == "failed"


def test_a_truncated_video_plays_as_far_as_it_goes(capture: Any, make_video: MakeVideo) -> None:
    path = make_video(frames=20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = capture(str(path), lossless=True)
    frames = run.drain()
    assert 5 <= len(frames) <= 15
    event = run.wait_event("ended")
    assert event.level == "warning"
    assert f"breaks off after {len(frames)} of 20 pictures" in event.message


def test_a_video_cut_off_in_its_header(capture: Any, make_video: MakeVideo) -> None:
    path = make_video(frames=20)
    path.write_bytes(path.read_bytes()[:100])
    run = capture(str(path), LOOP)
    assert run.wait_event("failed").level == "error"


def test_a_vanished_file_ends_its_loop(capture: Any, make_video: MakeVideo) -> None:
    path = make_video(frames=3)
    run = capture(str(path), LOOP, lossless=True)
    run.frame()
    path.unlink()
    run.drain()
    assert "cannot be read" in run.events[-1].message


# -- pictures ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of grey 10, 20, 100, of several kinds and sizes, and something else."""
    folder = tmp_path / "pictures of ümläuts"
    folder.mkdir()
    for name, value, size in (
        ("a2.png", 10, (8, 6)),
        ("a10.PNG", 20, (9, 7)),
        ("b.bmp", 100, (1, 1)),
    ):
        good, data = cv2.imencode(Path(name).suffix, picture(value, *size))
        assert good
        (folder / name).write_bytes(data.tobytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / "folder.png").mkdir()
    return folder


def test_a_folder_in_natural_order(folder: Path, capture: Any) -> None:
    run = capture(str(folder), lossless=True)
    frames = run.drain()
    assert [f.image[0, 0, 0] for f in frames] == [10, 20, 100]
    assert [(f.width, f.height) for f in frames] == [(8, 6), (9, 7), (1, 1)]
    assert run.thread.applied is None  # each picture has its own size, so a change is no event
    assert run.kinds() == ["opening", "opened", "ended"]


def test_a_corrupt_picture_among_good_ones(folder: Path, capture: Any) -> None:
    (folder / "a5.jpg").write_bytes(b"\xff\xd8 this is none")
    (folder / "a6.jpg").write_bytes(b"")
    run = capture(str(folder), lossless=True)
    assert [f.image[0, 0, 0] for f in run.drain()] == [10, 20, 100]
    assert run.thread.broken == 2
    assert "a5.jpg" in run.wait_event("broken").message


def test_a_folder_loops(folder: Path, capture: Any) -> None:
    run = capture(str(folder), LOOP, lossless=True)
    assert [run.frame().image[0, 0, 0] for _ in range(5)] == [10, 20, 100, 10, 20]


def test_a_folder_of_corrupt_pictures_does_not_loop_for_ever(capture: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    run = capture(str(tmp_path), LOOP)
    assert "no picture" in run.wait_event("failed").message


def test_an_empty_folder(capture: Any, tmp_path: Path) -> None:
    run = capture(str(tmp_path))
    assert "holds no picture (accepted: avif, bmp," in run.wait_event("failed").message


def test_a_folder_is_paced(folder: Path, capture: Any) -> None:
    begin = time.monotonic()
    run = capture(str(folder), replace(FAST, fps=10))
    run.wait_event("ended")
    assert time.monotonic() - begin >= 0.2


def test_a_single_picture_ends_at_once_and_stays(folder: Path, capture: Any) -> None:
    run = capture(str(folder / "b.bmp"))
    run.wait_event("ended")
    frame = run.frame()
    assert frame.image.tolist() == [[[100, 100, 100]]]
    assert (run.thread.applied.width, run.thread.applied.height) == (1, 1)


def test_a_single_picture_repeats_when_looped(folder: Path, capture: Any) -> None:
    run = capture(str(folder / "b.bmp"), LOOP, lossless=True)
    assert [run.frame().id for _ in range(4)] == [0, 1, 2, 3]


def test_a_corrupt_picture_is_refused(tmp_path: Path, capture: Any) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    run = capture(str(tmp_path / "a.jpg"))
    assert "is not a picture" in run.wait_event("failed").message


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 4)])
def test_grey_alpha_and_16_bit_files(shape: tuple[int, ...], tmp_path: Path, capture: Any) -> None:
    image = np.full(shape, 0x4000, np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), image)
    frame = capture(str(tmp_path / "a.png")).frame()
    assert frame.image.shape == (6, 8, 3)
    assert frame.image.dtype == np.uint8
    assert (abs(frame.image.astype(int) - 0x40) <= 1).all()


def test_natural_order() -> None:
    names = ["b1", "a10.png", "A2.png", "a2b.png", "10", "9"]
    ordered = sorted((Path(name) for name in names), key=natural_order)
    assert [p.name for p in ordered] == ["9", "10", "A2.png", "a2b.png", "a10.png", "b1"]


# -- which source a word means -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("0", CameraSource, "Camera 0"),
        (" 12 ", CameraSource, "Camera 12"),
        ("/dev/video3", CameraSource, "Camera /dev/video3"),
        ("rtsp://host/x", UrlSource, "rtsp://host/x"),
        ("HTTP://host:80/x?y=z", UrlSource, "HTTP://host:80/x?y=z"),
        ("synthetic", SyntheticSource, "synthetic"),
    ],
)
def test_specs_without_a_file(spec: str, kind: type, name: str) -> None:
    source = parse_source(spec)
    assert isinstance(source, kind)
    assert source.name == name
    assert source.live is (kind is not SyntheticSource)


def test_specs_of_files(folder: Path, make_video: MakeVideo, monkeypatch: Any) -> None:
    video = make_video()
    for spec, kind in (
        (str(video), VideoSource),
        (video.as_uri(), VideoSource),
        (str(folder), ImageSource),
        (str(folder / "a10.PNG"), ImageSource),
        ((folder / "a2.png").as_uri(), ImageSource),
    ):
        assert isinstance(parse_source(spec), kind), spec
    monkeypatch.setenv("HOME", str(video.parent))
    assert isinstance(parse_source(f"~/{video.name}"), VideoSource)
    monkeypatch.chdir(video.parent)
    (video.parent / "7").write_bytes(b"")
    assert isinstance(parse_source("./7"), VideoSource)
    assert isinstance(parse_source("7"), CameraSource)


@pytest.mark.parametrize(
    ("spec", "size", "fps"),
    [
        ("synthetic", (320, 240), 15),
        ("synthetic:64x48", (64, 48), 15),
        ("synthetic:64x48@29.97", (64, 48), 29.97),
        ("synthetic@5", (320, 240), 5),
    ],
)
def test_synthetic_specs(spec: str, size: tuple[int, int], fps: float) -> None:
    source: Source = parse_source(spec, CaptureOptions(width=320, height=240, fps=15))
    assert source.applied is not None
    assert ((source.applied.width, source.applied.height), source.applied.fps) == (size, fps)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "  ",
        "/no/such.mp4",
        "no such thing",
        "-1",
        "a\0b",
        "synthetic:x",
        "synthetic:64",
        "synthetic:0x5",
        "synthetic@0",
    ],
)
def test_what_names_no_source(spec: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_source(spec)
    if spec.strip() and "\0" not in spec:
        assert spec in str(caught.value)


def test_the_error_says_what_is_accepted() -> None:
    with pytest.raises(SourceError, match=r"No such file.*a camera \(0.*synthetic"):
        parse_source("/no/such.mp4")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        parse_source(str(tmp_path / "pipe"))


def test_a_character_device_is_taken_for_a_camera() -> None:
    assert isinstance(parse_source(os.devnull), CameraSource)


@pytest.mark.parametrize("name", ["a.avi", "a.png"])
def test_an_unreadable_file(name: str, tmp_path: Path, monkeypatch: Any, capture: Any) -> None:
    path = tmp_path / name
    path.write_bytes(b"secret")

    def refuse(self: Path, *_: Any, **__: Any) -> Any:
        # chmod does not stop root, which tests in containers often run as.
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    run = capture(str(path))
    message = run.wait_event("failed").message
    assert str(path) in message
    assert "Permission denied" in message
