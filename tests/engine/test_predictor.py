"""From a frame to poses: region, scale, network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from livepose import dsnt
from livepose.crop import Square
from livepose.engine import device, region
from livepose.engine import predictor as predictor_module
from livepose.engine.backends import TorchBackend
from livepose.engine.predictor import Detector, Predictor
from livepose.engine.settings import EngineSettings
from livepose.engine.steady import View
from livepose.frames import Region
from livepose.models.margipose import Config, MargiPose
from livepose.models.multitask import MultiTaskConfig
from livepose.models.networks import build
from livepose.skeleton import INDEX, J
from tests.engine.fakes import CPU, Eyes, found, frame, predictor, tiny
from tests.lift.test_lift import standing


def test_region_follows_with_room() -> None:
    joints = np.tile([300.0, 200.0], (J, 1))
    joints[INDEX["left_ankle"]] = (300, 300)
    joints[INDEX["nose"]] = (300, 100)
    r = region.following([found(joints)], 640, 480)[0]
    assert r is not None
    assert (r.cx, r.cy) == pytest.approx((300, 200), abs=2)  # half of the grid
    assert r.side == pytest.approx(200 * region.MARGIN, abs=2)
    # The fastest to cut.
    assert r.side % 4 == 0
    assert (r.cx - (r.side - 1) / 2) % 4 == (r.cy - (r.side - 1) / 2) % 4 == 0


def test_region_opens_up_where_joints_are_not_seen() -> None:
    joints = np.random.default_rng(0).uniform(250, 350, (J, 2))
    confidence = np.full(J, 0.9)
    confidence[11:17] = 0.05
    part = region.following([found(joints, confidence)], 640, 480)[0]
    full = region.following([found(joints)], 640, 480)[0]
    assert part is not None
    assert full is not None
    assert part.side > 1.1 * full.side


@pytest.mark.parametrize(("confidence", "at"), [(0.1, 300), (0.9, 3000)])
def test_a_lost_person_has_no_region(confidence: float, at: float) -> None:
    assert region.following([found(np.full((J, 2), at), confidence)], 640, 480)[0] is None


def test_a_region_moves_when_there_is_need() -> None:
    old = Region(100, 100, 200)
    assert region.settled(old, Region(104, 97, 210)) is old
    assert region.settled(old, Region(120, 100, 200)).cx == 120
    assert region.settled(old, Region(100, 100, 240)).side == 240
    assert region.settled(None, old) is old


# --- predictor


@pytest.mark.parametrize("size", [(320, 240), (321, 241), (1, 1), (2000, 3)])
def test_predictor_takes_frames_of_any_size(size: tuple[int, int]) -> None:
    f = frame(*size)
    result = predictor(tiny())(f, want_heatmaps=True)
    assert result.frame is f
    assert result.model == "tiny"
    stages = list(f.timeline.ms())
    assert stages == ["capture", "preprocess", "upload", "forward", "decode", "download", "track"]
    assert sum(f.timeline.ms().values()) == pytest.approx(f.timeline.total_ms)


def test_poses_come_in_pixels_of_the_frame() -> None:
    f, net = frame(media_s=0.0), tiny()
    net.presence_bias.data.fill_(50.0)  # sure of everything
    predict = predictor(net)
    result = predict(f, want_heatmaps=True)
    maps, joints = result.heatmaps[0], result.poses[0].joints
    assert maps.xy.shape == (J, 16, 16)
    assert np.allclose(maps.xy.sum((1, 2)), 1, atol=1e-4)
    near = dsnt.around_peak(torch.from_numpy(maps.xy), net.config.peak_radius).numpy()
    centres = (2 * np.arange(16) - 15) / 16
    x = (near.sum(1) * centres).sum(1) * maps.region.side / 2 + maps.region.cx
    assert np.allclose(joints[:, 0], x, atol=0.1)
    assert np.allclose(maps.xyz[:, 0], (near.sum(1) * centres).sum(1), atol=1e-5)
    assert result.poses[0].region == region.whole(320, 240)
    again = predict(frame(media_s=0.1)).poses[0]
    assert again.region != region.whole(320, 240)  # closes in on the person
    assert again.id == result.poses[0].id
    predict.forget()
    assert predict(frame(media_s=0.2)).poses[0].region == region.whole(320, 240)


LIFTED = Config("small", 64, heatmap_stride=8, lift_layers=1, lift_width=16)


@pytest.fixture
def credulous(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an untrained network sees in one square is enough."""
    monkeypatch.setattr(predictor_module, "_AGREE", -1.0)


@pytest.mark.usefixtures("credulous")
def test_maps_tell_what_is_drawn_and_which_stages_there_are() -> None:
    for config, drawn, stages in (
        (LIFTED, (), ["before lifting"]),
        (replace(LIFTED, lift_layers=0, output="fc"), ("xy",), []),
        (MultiTaskConfig("small", 64, 8, 16), ("xy", "zy", "xz"), ["detectors"]),
    ):
        net = build(config).eval()
        net.presence_bias.data.fill_(50.0)
        (maps,) = predictor(net)(frame(), want_heatmaps=True).heatmaps
        assert maps.drawn == drawn
        assert [stage.name for stage in maps.stages] == stages
        assert all(stage.xy is not None and len(stage.xy) == J for stage in maps.stages)


@pytest.mark.usefixtures("credulous")
def test_a_stage_that_the_backend_does_not_give_is_named_all_the_same() -> None:
    class Last(TorchBackend):
        def __call__(self, *args: Any, **named: Any) -> Any:
            return super().__call__(*args, **named)._replace(stages=())

    net = MargiPose(LIFTED).eval()
    net.presence_bias.data.fill_(50.0)
    predict = predictor(net)
    predict.backend = Last(net, CPU)
    (maps,) = predict(frame(), want_heatmaps=True).heatmaps
    (stage,) = maps.stages
    assert stage.name == "before lifting"
    assert stage.xy is stage.zy is stage.xz is None


def test_nobody_is_no_pose() -> None:
    net = tiny()
    net.presence_bias.data.fill_(-50.0)
    predict = predictor(net)
    assert predict(frame()).poses == ()
    result = predict(frame(), want_heatmaps=True)
    assert result.poses == result.heatmaps == ()


class Two:
    """Finds somebody on either side."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: np.ndarray) -> list[Region]:
        self.calls += 1
        return [Region(80, 120, 100), Region(240, 120, 100)]


@pytest.mark.parametrize("people", [1, 2])
def test_people_are_detected_up_to_the_limit_and_then_followed(people: int) -> None:
    net, two = tiny(), Two()
    net.presence_bias.data.fill_(50.0)
    settings = EngineSettings(people=people, detect_every=3)
    predict = predictor(net, two, settings=settings)
    results = [predict(frame(media_s=k / 30)) for k in range(7)]
    assert [len(r.poses) for r in results] == [people] * 7
    numbers = (0,) if people == 1 else (1, 2)
    assert {tuple(p.id for p in r.poses) for r in results} == {numbers}
    assert two.calls == 1  # there is no room for more
    predict.settings = EngineSettings(people=people + 1, detect_every=3)
    predict(frame(media_s=7 / 30))
    assert two.calls == 2


def somebody(x: float = 160.0, confidence: float = 0.9, height: float = 90.0) -> region.Found:
    joints = standing(turn=0.4) * height / 1.72
    return found(joints[:, :2] + np.array([x, 120.0]), confidence, joints[:, 2])


def looking(eyes: Eyes, detector: Detector | None = None, people: int = 1) -> Predictor:
    return Predictor(eyes, "", "", detector, EngineSettings(people=people))


def test_a_joint_that_is_no_number_is_forgotten_with_its_picture() -> None:
    good, bad = somebody(), somebody()
    bad.joints[INDEX["left_wrist"]] = np.nan
    eyes = Eyes(good)
    predict = looking(eyes)
    for k in range(30):
        eyes.people = [bad] if k == 12 else [good]
        result = predict(frame(media_s=k / 30))
        assert len(result.poses) == (k != 12)
        for pose in result.poses:
            assert np.isfinite(pose.joints).all()
            assert np.isfinite(pose.xyz).all()
            assert np.isfinite(pose.position).all()
        assert result.viewpoint is not None
        assert np.isfinite([*result.viewpoint.up, result.viewpoint.height]).all()


@pytest.mark.parametrize("stamp", [None, 0.0])
def test_a_film_without_stamps_moves(stamp: float | None) -> None:
    eyes = Eyes()
    predict = looking(eyes)
    for k in range(30):
        eyes.people = [somebody(100 + 3 * k)]
        (pose,) = predict(frame(media_s=stamp, start_s=k / 30)).poses
        assert pose.joints[:, 0].mean() == pytest.approx(eyes.people[0].joints[:, 0].mean(), abs=4)


def test_a_film_that_begins_again_has_the_same_people() -> None:
    eyes = Eyes(somebody(80), somebody(240))
    predict = looking(eyes, Two(), people=2)
    for _ in range(3):
        for k in range(20):
            result = predict(frame(media_s=k / 20))
            assert [pose.id for pose in result.poses] == [1, 2]


@pytest.mark.parametrize("fades", [True, False])
def test_a_ghost_of_one_square_is_not_shown(fades: bool) -> None:
    """What is gone, or elsewhere, in another square is nobody, however sure the network is."""

    class Ghosts(Eyes):
        def _seen(self, square: Square) -> tuple[np.ndarray, np.ndarray]:
            xyz, confidence = super()._seen(square)
            if square.side == 100:  # the detector's
                return xyz, confidence
            return (xyz, 0 * confidence) if fades else (xyz + 0.5, confidence)

    eyes = Ghosts(somebody(80), somebody(240))
    predict = looking(eyes, Two(), people=2)
    assert not any(predict(frame(media_s=k / 30)).poses for k in range(30))


def test_an_empty_room_is_not_searched_in_every_picture() -> None:
    two = Two()
    predict = looking(Eyes(), two, people=2)
    for k in range(60):
        predict(frame(media_s=k / 30))
    assert 8 <= two.calls <= 14
    predict.forget()  # another source: at once
    calls = two.calls
    predict(frame(media_s=0))
    assert two.calls == calls + 1


def test_another_height_holds_at_once() -> None:
    eyes = Eyes(somebody())
    predict = looking(eyes)
    for k in range(90):
        before = predict(frame(media_s=k / 30))
    assert before.viewpoint is not None
    predict.settings = EngineSettings(view=View(height=0.86))
    for k in range(90, 105):  # half a second
        after = predict(frame(media_s=k / 30))
    assert after.viewpoint is not None
    for name in ("xyz", "position"):
        big, small = (getattr(r.poses[0], name) for r in (before, after))
        assert small == pytest.approx(big / 2, rel=0.02, abs=1e-3)
    feet = [r.viewpoint.height - 0.08 for r in (before, after)]  # the ankles are above the sole
    assert feet[1] == pytest.approx(feet[0] / 2, rel=0.05)


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in ({"people": 0}, {"people": 11}, {"detect_every": 0}):
        with pytest.raises(ValueError, match="must be"):
            EngineSettings(**wrong)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    placement = device.Placement(torch.device("cuda"), torch.float32)
    f = frame()
    on_gpu = Predictor(TorchBackend(tiny(), placement), "", "")(f)
    on_cpu = predictor(tiny())(frame())
    assert len(on_gpu.poses) == len(on_cpu.poses)
    for a, b in zip(on_gpu.poses, on_cpu.poses, strict=True):
        assert np.allclose(a.joints, b.joints, atol=0.5)
    assert sum(f.timeline.ms().values()) == pytest.approx(f.timeline.total_ms)
