"""The pipeline with real threads: following, failing, falling back, headless runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import cli, dsnt, resources
from livepose.capture import CaptureOptions
from livepose.cv import cv2
from livepose.engine import device, headless, region
from livepose.engine.draw import annotated
from livepose.engine.predictor import Predictor
from livepose.engine.scale import to_metres
from livepose.engine.session import Session
from livepose.engine.worker import InferenceThread
from livepose.frames import Event, Frame, Pose, Region, Result
from livepose.models.margipose import Config, MargiPose
from livepose.models.store import WeightsError
from livepose.skeleton import INDEX, J
from livepose.timing.timeline import Timeline, now_ns

CPU = device.Placement(torch.device("cpu"), torch.float32)
TINY = Config("lightning", 64)
FAST = CaptureOptions(retry_s=0.05, retry_max_s=0.1, stall_s=0.5)


def tiny(name: str = "") -> MargiPose:
    torch.manual_seed(0)
    return MargiPose(TINY).eval()


def wait_for(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


class Log:
    """Collects what a session says."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.events: list[Event] = []

    def kinds(self) -> list[str]:
        return [e.kind for e in self.events]


def session(source: str | None, log: Log, **more) -> Session:  # type: ignore[no-untyped-def]
    more = {"options": FAST, "load": tiny, "device": "cpu", "precision": "float32", **more}
    return Session(source, "tiny", on_result=log.results.append, on_event=log.events.append, **more)


def pose(joints: np.ndarray, confidence: float | np.ndarray = 0.9) -> Pose:
    c = np.broadcast_to(np.float32(confidence), J).copy()
    return Pose(joints, np.zeros((J, 3)), c, region.score(c), Region(0, 0, 1))


# --- device


def test_cpu_is_chosen_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "nvidia_hardware", lambda: False)
    assert device.choose().device.type == "cpu"
    assert device.choose().note == ""  # nothing lost, nothing to say
    assert "nvidia-smi" in device.choose("cuda").note


def test_a_gpu_silently_unused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(device, "nvidia_hardware", lambda: True)
    note = device.choose().note
    assert "no CUDA" in note
    assert "pip install" in note
    assert device.choose("cpu").note == ""  # asked for


def test_a_gpu_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*a: object, **k: object) -> torch.Tensor:
        raise RuntimeError("no kernel image is available for execution\nmore")

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", broken)
    assert "no kernel image" in device.choose("cuda").note
    assert "there is no cuda:3" in device.choose("cuda:3").note


def test_precision_follows_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(device, "cpu_has_bfloat16", lambda has=has: has)
        assert device.choose("cpu").dtype == dtype
    assert device.choose("cpu", "float32").dtype == torch.float32


@pytest.mark.parametrize(("where", "how"), [("tpu", "auto"), ("cuda:x", "auto"), ("cpu", "int3")])
def test_meaningless_devices_are_refused(where: str, how: str) -> None:
    with pytest.raises(device.DeviceError, match="known:"):
        device.choose(where, how)


# --- region and scale


def test_region_follows_with_room() -> None:
    joints = np.tile([300.0, 200.0], (J, 1))
    joints[INDEX["left_ankle"]] = (300, 300)
    joints[INDEX["nose"]] = (300, 100)
    r = region.following(pose(joints), 640, 480)
    assert r is not None
    assert (r.cx, r.cy) == (300, 200)
    assert r.side == pytest.approx(200 * region.MARGIN)


def test_region_opens_up_where_joints_are_not_seen() -> None:
    joints = np.random.default_rng(0).uniform(250, 350, (J, 2))
    confidence = np.full(J, 0.9)
    confidence[11:17] = 0.05
    part = region.following(pose(joints, confidence), 640, 480)
    full = region.following(pose(joints), 640, 480)
    assert part is not None
    assert full is not None
    assert part.side > 1.1 * full.side


@pytest.mark.parametrize(("confidence", "at"), [(0.1, 300), (0.9, 3000)])
def test_a_lost_person_has_no_region(confidence: float, at: float) -> None:
    assert region.following(pose(np.full((J, 2), at), confidence), 640, 480) is None


def test_scale_is_that_of_an_adult_and_ignores_its_unit() -> None:
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(J, 3))
    xyz[INDEX["neck"]], xyz[INDEX["pelvis"]] = (0, -0.51, 0), (0, 0, 0)
    confidence = np.zeros(J)
    confidence[[INDEX["neck"], INDEX["pelvis"]]] = 1
    for unit in (1.0, 37.0):
        metres = to_metres(xyz * unit + 5, confidence)
        assert np.linalg.norm(metres[INDEX["neck"]]) == pytest.approx(0.51, rel=1e-4)
        assert np.allclose(metres[INDEX["pelvis"]], 0, atol=1e-5)


def test_scale_of_a_collapsed_skeleton_is_finite() -> None:
    assert np.isfinite(to_metres(np.zeros((J, 3)), np.zeros(J))).all()


# --- predictor


def frame(width: int = 320, height: int = 240) -> Frame:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    timeline = Timeline(now_ns())
    timeline.mark("capture")
    return Frame(0, image, timeline)


@pytest.mark.parametrize("size", [(320, 240), (321, 241), (1, 1), (2000, 3)])
def test_predictor_takes_frames_of_any_size(size: tuple[int, int]) -> None:
    f = frame(*size)
    result = Predictor(tiny(), "tiny", CPU)(f, want_heatmaps=True)
    assert result.frame is f
    assert result.model == "tiny"
    stages = list(f.timeline.ms())
    assert stages == ["capture", "preprocess", "upload", "forward", "decode", "download"]
    assert sum(f.timeline.ms().values()) == pytest.approx(f.timeline.total_ms)
    maps = result.heatmaps[0]
    assert maps.xy.shape == (J, 16, 16)
    assert np.allclose(maps.xy.sum((1, 2)), 1, atol=1e-4)


def test_poses_come_in_pixels_of_the_frame() -> None:
    f, net = frame(), tiny()
    net.presence_bias.data.fill_(50.0)  # sure of everything
    predictor = Predictor(net, "tiny", CPU)
    result = predictor(f, want_heatmaps=True)
    maps, joints = result.heatmaps[0], result.poses[0].joints
    near = dsnt.around_peak(torch.from_numpy(maps.xy), net.config.peak_radius).numpy()
    centres = (2 * np.arange(16) - 15) / 16
    x = (near.sum(1) * centres).sum(1) * maps.region.side / 2 + maps.region.cx
    assert np.allclose(joints[:, 0], x, atol=0.1)
    assert predictor.region is not None
    assert predictor.region != region.whole(320, 240)  # closes in on the person
    predictor.forget()
    assert predictor.region is None


def test_nobody_is_no_pose() -> None:
    net = tiny()
    net.presence_bias.data.fill_(-50.0)
    predictor = Predictor(net, "tiny", CPU)
    assert predictor(frame()).poses == ()
    assert predictor.region is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    placement = device.Placement(torch.device("cuda"), torch.float32)
    f = frame()
    on_gpu = Predictor(tiny(), "", placement)(f)
    on_cpu = Predictor(tiny(), "", CPU)(frame())
    assert len(on_gpu.poses) == len(on_cpu.poses)
    for a, b in zip(on_gpu.poses, on_cpu.poses, strict=True):
        assert np.allclose(a.joints, b.joints, atol=0.5)
    assert sum(f.timeline.ms().values()) == pytest.approx(f.timeline.total_ms)


# --- threads


class SlowNet(MargiPose):
    def logits(self, x: torch.Tensor):  # type: ignore[no-untyped-def]
        time.sleep(0.1)
        return super().logits(x)


def test_latency_is_bounded_with_a_network_ten_times_slower_than_the_source() -> None:
    log = Log()
    s = session("synthetic:64x48@100", log, load=lambda name: SlowNet(TINY).eval())
    s.start()
    try:
        wait_for(lambda: len(log.results) >= 15, 60)
    finally:
        stats = s.stats()
        assert s.stop()
    ages = [r.frame.timeline.total_ms for r in log.results[3:]]
    waits = [r.frame.timeline.ms()["wait"] for r in log.results[3:]]
    # A queue would let the age grow by 90 ms with every frame: over a second by now.
    assert np.median(ages[-5:]) < 2 * np.median(ages[:5]) + 50
    assert np.median(waits) < 60  # newest frame wins: it waits for the source, not in a queue
    ids = [r.frame.id for r in log.results]
    assert ids == sorted(set(ids))
    assert stats.dropped > 3 * len(ids)


def test_every_frame_where_that_is_asked_for() -> None:
    log = Log()
    s = session("synthetic:64x48@100", log, lossless=True)
    s.start()
    wait_for(lambda: len(log.results) >= 20)
    assert s.stop()
    assert [r.frame.id for r in log.results[:20]] == list(range(20))
    assert s.stats().dropped == 0


def test_a_failing_stage_is_told_and_the_thread_goes_on() -> None:
    log, net = Log(), tiny()
    calls = []

    def flaky(x: torch.Tensor):  # type: ignore[no-untyped-def]
        calls.append(1)
        if 6 <= len(calls) < 9:
            raise RuntimeError("boom\ndetails")
        return MargiPose.logits(net, x)

    net.logits = flaky  # type: ignore[method-assign]
    s = session("synthetic:64x48@50", log, load=lambda name: net)
    s.start()
    wait_for(lambda: len(log.results) >= 12)
    assert s.stop()
    told = [e for e in log.events if e.kind == "stage"]
    assert len(told) == 1  # not one for each frame
    assert "boom" in told[0].message
    assert "details" not in told[0].message


def test_a_failing_listener_does_not_end_the_thread() -> None:
    seen, events = [], []

    def listen(result: Result) -> None:
        seen.append(result)
        raise RuntimeError("listener")

    s = Session("synthetic:64x48@50", "tiny", options=FAST, device="cpu", precision="float32",
                load=tiny, on_result=listen, on_event=events.append)  # fmt: skip
    s.start()
    wait_for(lambda: len(seen) >= 3)
    assert s.stop()


def test_a_gpu_that_fails_later_gives_way_to_the_cpu() -> None:
    from livepose.capture import Slot

    events: list[Event] = []
    meta = device.Placement(torch.device("cuda"), torch.float16)
    slot: Slot[Frame] = Slot()
    thread = InferenceThread(slot, "tiny", meta, lambda r: None, events.append, tiny)

    class Broken:
        def __call__(self, *a: object) -> Result:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    thread._predictor, thread._wanted = Broken(), None  # type: ignore[assignment]
    monkey = pytest.MonkeyPatch()
    monkey.setattr(device.Placement, "device_name", property(lambda self: str(self.device)))
    with monkey.context():
        for _ in range(3):
            thread._infer(frame())
    assert thread.placement.device.type == "cpu"
    assert "illegal memory access" in thread.placement.note
    assert "fallback" in [e.kind for e in events]


def test_switching_models_and_one_that_does_not_load() -> None:
    def load(name: str) -> MargiPose:
        if name == "broken":
            raise WeightsError("broken.safetensors is cut off; get it again")
        return tiny()

    log = Log()
    s = session("synthetic:64x48@50", log, load=load)
    s.start()
    wait_for(lambda: log.results)
    s.use("broken")
    wait_for(lambda: any("cut off" in e.message for e in log.events))
    assert s.model == "tiny"
    s.use("other")
    wait_for(lambda: log.results[-1].model == "other")
    assert s.stop()


def test_pause_step_and_switch() -> None:
    log = Log()
    s = session("synthetic:64x48@100", log)
    s.start()
    wait_for(lambda: log.results)
    s.pause()
    assert s.paused
    time.sleep(0.3)
    count = len(log.results)
    s.step()
    wait_for(lambda: len(log.results) == count + 1)
    time.sleep(0.2)
    assert len(log.results) == count + 1
    s.resume()
    wait_for(lambda: len(log.results) > count + 3)
    before = log.results[-1].frame.id
    s.open("synthetic:80x60@100")
    wait_for(lambda: log.results[-1].frame.width == 80)
    assert log.results[-1].frame.id > before
    assert s.source == "synthetic:80x60@100"
    assert s.stop()


def test_without_a_camera_the_clip_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    from livepose.capture import open as module

    monkeypatch.setattr(module, "list_cameras", lambda: [])
    log = Log()
    s = session(None, log)
    s.start()
    wait_for(lambda: log.results)
    assert s.stop()
    assert "no-camera" in log.kinds()
    assert "retry" not in log.kinds()
    assert s.source == str(resources.CLIP)


def test_a_camera_that_does_not_work_is_named_and_the_clip_plays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from livepose.capture import open as module

    monkeypatch.setattr(module, "list_cameras", lambda: [("/dev/video97", "Broken camera")])
    log = Log()
    s = session(None, log)
    s.start()
    wait_for(lambda: log.results)
    assert s.stop()
    message = next(e.message for e in log.events if e.kind == "no-camera")
    assert "video97" in message
    assert "Trying again" not in message
    assert s.source == str(resources.CLIP)


def test_a_camera_that_was_asked_for_is_waited_for() -> None:
    log = Log()
    s = session("/dev/video97", log)
    s.start()
    wait_for(lambda: log.kinds().count("retry") >= 2 and "model" in log.kinds())
    assert s.stop()
    assert "no-camera" not in log.kinds()


def test_threads_spin_less_unless_the_user_says_otherwise() -> None:
    program = "import os, sys; from livepose import cli; assert 'torch' not in sys.modules; " \
              "cli.spin_less(); print(os.environ.get('GOMP_SPINCOUNT'))"  # fmt: skip
    bare = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    for more, expected in (
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ):
        run = subprocess.run([sys.executable, "-c", program], env={**bare, **more},
                             capture_output=True, text=True, check=True)  # fmt: skip
        assert run.stdout.strip() == expected


def test_a_hanging_thread_does_not_keep_the_process_or_change_its_status() -> None:
    program = """
import atexit, sys, threading, time
from livepose import cli
atexit.register(print, "torn down")
cli.main = lambda: 3
if sys.argv[1:]:
    threading.Thread(target=time.sleep, args=(60,), name=sys.argv[1], daemon=True).start()
sys.exit(cli.entry())
"""
    for name, out in ([], "torn down\n"), (["inference"], ""):
        run = subprocess.run([sys.executable, "-c", program, *name], capture_output=True,
                             text=True, timeout=30, check=False)  # fmt: skip
        assert (run.returncode, run.stdout) == (3, out)


def test_stopping_is_bounded_even_if_the_network_hangs() -> None:
    log, net = Log(), tiny()

    def hang(x: torch.Tensor):  # type: ignore[no-untyped-def]
        time.sleep(8)

    net.logits = hang  # type: ignore[method-assign]
    s = session("synthetic:64x48@100", log, load=lambda name: net)
    s.start()
    time.sleep(0.2)
    begin = time.monotonic()
    assert not s.stop(1.0)
    assert time.monotonic() - begin < 3


# --- headless


def run(source: str | None, lossless: bool = False, load=tiny, **options) -> dict:  # type: ignore[no-untyped-def,type-arg]
    def make(on_result, on_event):  # type: ignore[no-untyped-def]
        return Session(source, "tiny", options=FAST, device="cpu", precision="float32", load=load,
                       on_result=on_result, on_event=on_event, window=None,
                       lossless=lossless)  # fmt: skip

    return headless.run(make, headless.HeadlessOptions(**options))


def video(file: Path, frames: int = 12, size: tuple[int, int] = (96, 64)) -> Path:
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 30, size)
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), 20 * i % 255, np.uint8))
    writer.release()
    return file


def test_headless_writes_video_report_and_trace(tmp_path: Path) -> None:
    clip = video(tmp_path / "in.avi")
    figures = run(str(clip), lossless=True, video=tmp_path / "out.mp4", trace=tmp_path / "t.json")
    assert figures["frames"] == 12
    assert figures["dropped"] == 0
    assert list(figures["stages"]) == [
        "capture", "wait", "preprocess", "upload", "forward", "decode", "download"]  # fmt: skip
    for row in (*figures["stages"].values(), figures["end_to_end"]):
        assert 0 <= row["median"] <= row["p95"] <= row["max"]
    read = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert read.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert read.get(cv2.CAP_PROP_FPS) == pytest.approx(30, abs=1)
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert sum(e["ph"] == "X" for e in events) == 12 * 7


def test_the_video_keeps_the_time_of_the_source_when_pictures_are_dropped(tmp_path: Path) -> None:
    clip = video(tmp_path / "in.avi", frames=90)
    figures = run(str(clip), load=lambda name: SlowNet(TINY).eval(), video=tmp_path / "out.mp4")
    assert figures["frames"] < 40  # ten a second
    read = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    # It begins with the first picture that the network took, when that was loaded.
    assert 60 < read.get(cv2.CAP_PROP_FRAME_COUNT) <= 91


def test_the_video_goes_on_when_the_source_begins_again(tmp_path: Path) -> None:
    writer = headless._Video(tmp_path / "out.mp4", 10)
    for at_s in (0.0, 0.1, 0.4, 0.0, 0.1):
        writer.add(np.zeros((48, 64, 3), np.uint8), at_s)
    writer.close()
    read = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert read.get(cv2.CAP_PROP_FRAME_COUNT) == 1 + 3 + 1 + 1 + 1


def test_headless_stops_after_frames_or_seconds() -> None:
    assert run("synthetic:64x48@100", frames=7)["frames"] == 7
    begin = time.monotonic()
    assert run("synthetic:64x48@100", seconds=0.5)["frames"] > 0
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize(
    "source", ["/nowhere/clip.mp4", "/dev/video97", "http://127.0.0.1:9/x", "@"]
)
def test_headless_ends_with_one_line_where_the_source_is_none(source: str) -> None:
    with pytest.raises(headless.HeadlessError) as error:
        run(source)
    assert len(str(error.value).splitlines()) == 1


def test_headless_with_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"\x00" * 5000)
    with pytest.raises(headless.HeadlessError):
        run(str(tmp_path / "clip.mp4"))


def test_drawing_leaves_the_frame_alone() -> None:
    f = frame()
    before = f.image.copy()
    joints = np.random.default_rng(0).uniform(-20, 260, (J, 2)).astype("f4")
    joints[:3] = np.nan_to_num(joints[:3]) + 1e4  # far outside
    out = annotated(Result(f, (pose(joints, np.linspace(0, 1, J)),)))
    assert np.array_equal(f.image, before)
    assert (out != before).any()
    flipped = annotated(Result(f, ()), mirror=True)
    assert np.array_equal(flipped[100:], before[100:, ::-1])


# --- the command


@pytest.mark.parametrize(
    "arguments",
    [
        ["--source", "/nowhere/clip.mp4"],
        ["--source", "/dev/video97"],
        ["--source", "synthetic", "--device", "tpu"],
        ["--source", "synthetic", "--model", "nonsense"],
        ["--source", "synthetic", "--fps", "-3"],
    ],
)
def test_command_says_what_is_wrong_in_one_line(arguments: list[str], capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["run", "--headless", *arguments]) == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) == 1
    assert err.startswith("livepose: ")


def test_command_headless_on_the_synthetic_source(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "report.json"
    assert cli.main(["run", "--headless", "--source", "synthetic:320x240@30", "--frames", "5",
                     "--json", str(out)]) == 0  # fmt: skip
    figures = json.loads(out.read_text())
    assert {"stages", "end_to_end", "fps", "dropped"} <= set(figures)
    assert figures["frames"] == 5
    assert "forward" in capsys.readouterr().out


def test_without_display_a_fresh_process_writes_video_and_report(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["PYTHONPATH"] = str(Path(cli.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "livepose", "run", "--frames", "5"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no display" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert (tmp_path / "livepose.mp4").stat().st_size > 1000
    assert json.loads((tmp_path / "livepose.json").read_text())["frames"] == 5


def test_engine_and_model_know_no_qt() -> None:
    code = (
        "import sys, livepose.run, livepose.engine.session, livepose.train.loop;"
        "assert not any(m.startswith(('PyQt5', 'vispy', 'livepose.ui')) for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(cli.__file__).parents[1])
