"""From a frame to poses: region, scale, network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from livepose import dsnt
from livepose.engine import device, region
from livepose.engine.predictor import Predictor
from livepose.engine.scale import to_metres
from livepose.skeleton import INDEX, J
from tests.engine.fakes import CPU, frame, pose, tiny


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
