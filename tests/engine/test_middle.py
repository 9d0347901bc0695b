"""Whoever is upright is looked at in the middle of the square: the same joints, in less time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from livepose import dsnt
from livepose.crop import WIDTHS, Square, cut, to_input
from livepose.engine import backends, region
from livepose.engine.loading import Choice, Loader
from livepose.engine.tracking import Tracker, distinct
from livepose.frames import Region
from livepose.models.context import places
from livepose.models.margipose import Config, Logits, MargiPose
from livepose.models.multitask import MultiTaskConfig
from livepose.models.networks import build
from livepose.models.store import load_model, save_model
from livepose.skeleton import INDEX, J
from tests.engine.fakes import CPU, found, wait_for
from tests.engine.test_backends import IMAGE, net

LOOK = Region(200, 200, 260)


def standing(width: float = 60, x: float = 200) -> np.ndarray:
    """(J, 2): 200 pixels tall about (200, 200), the wrists so far apart."""
    joints = np.tile([x, 200.0], (J, 1))
    joints[INDEX["head_top"]], joints[INDEX["left_ankle"]] = (x, 100), (x, 300)
    joints[INDEX["left_wrist"], 0], joints[INDEX["right_wrist"], 0] = x + width / 2, x - width / 2
    return joints


def test_cells_of_a_middle_are_where_they_are_in_the_square() -> None:
    whole = places(8, 8, torch.zeros(1)).view(8, 8, -1)
    torch.testing.assert_close(places(8, 4, torch.zeros(1)).view(8, 4, -1), whole[:, 2:6])


@pytest.mark.parametrize("output", ["dsnt", "heatmap"])
def test_maps_of_a_middle_give_coordinates_of_the_square(output: str) -> None:
    made = MargiPose(Config("small", 128, output=output)).eval()
    at = torch.empty(1, J, 2).uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(0))
    # Heatmap matching learns maps that are 1 at the joint, DSNT logits.
    maps = dsnt.gaussian(at, (32, 32))
    maps = maps / maps.amax((-2, -1), keepdim=True)
    xy = maps if output == "heatmap" else 20 * maps
    zy, xz = torch.randn(1, J, 16, 24), torch.randn(1, J, 24, 16)
    whole = made.decode(Logits(xy, zy, xz)).xyz[..., :2]
    middle = made.decode(Logits(xy[..., 6:26], zy, xz[..., 3:13])).xyz[..., :2]
    assert (whole - at).abs().max() < 0.05
    torch.testing.assert_close(middle, whole, atol=1e-4, rtol=0)


def test_networks_say_which_middles_they_take() -> None:
    assert backends.columns(Config("thunder", 256)) == {0.625: 160, 0.75: 192}
    assert backends.columns(Config("lightning", 192)) == {0.625: 128, 0.75: 160}
    assert backends.columns(Config("small", 128)) == {0.625: 96, 0.75: 96}
    assert backends.columns(Config("small", 64)) == {}
    assert backends.columns(Config("small", 256, output="fc")) == {}
    assert backends.columns(MultiTaskConfig("small", 256)) == {}


@pytest.mark.parametrize("squares", [1, 2])
def test_one_square_alone_is_looked_at_in_its_middle(squares: int) -> None:
    pytest.importorskip("openvino")
    made = backends.at_size(net("context"), 128)
    backend, note = backends.make(made, replace(CPU, squares=squares), "openvino", middles=True)
    assert note == ""
    looks = [Square(90, 50, 80, width=width) for width in (*WIDTHS, 1.0)]
    x = to_input([cut(IMAGE, looks[0], 128)])
    with torch.inference_mode():
        whole, middle = made(x), made(x[..., 16:112])
    assert (whole.xyz - middle.xyz).abs().median() > 1e-3
    for look in looks:
        wanted = middle if look.width < 1 else whole
        np.testing.assert_allclose(backend(IMAGE, [look]).xyz, wanted.xyz, atol=2e-3)
        # Maps are those of the whole square.
        seen = backend(IMAGE, [look], want_maps=True)
        np.testing.assert_allclose(seen.xyz, whole.xyz, atol=2e-3)
        np.testing.assert_allclose(seen.maps[0], whole.xy, atol=2e-3)
    # Several at once: whole squares, where there is a graph for so many.
    wanted = middle if squares == 1 else whole
    np.testing.assert_allclose(backend(IMAGE, looks[:2]).xyz[1], wanted.xyz[0], atol=2e-3)


def test_middles_come_into_use_when_they_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = str(tmp_path / "model.safetensors")
    save_model(Path(model), backends.at_size(net("context"), 128), {}, {})
    look = Square(90, 50, 80, width=WIDTHS[0])

    def backend(patient: bool = False) -> Any:
        loader = Loader(lambda name: load_model(name)[0], patient)
        return loader(Choice(model, "openvino"), CPU).backend

    first = backend()
    whole = first(IMAGE, [look]).xyz
    assert not first.columns
    wait_for(lambda: first.columns, 120)
    middle = first(IMAGE, [look]).xyz
    assert np.abs(whole - middle).max() > 1e-3
    # The next time they are there at once; and whoever is patient has them at any time.
    for ready in (backend(), backend(patient=True)):
        np.testing.assert_allclose(ready(IMAGE, [look]).xyz, middle, atol=1e-4)


@pytest.mark.parametrize("kind", ["fc", "multitask"])
def test_networks_that_take_squares_alone_look_at_all_of_them(kind: str) -> None:
    pytest.importorskip("openvino")
    made = build(MultiTaskConfig("small", 128) if kind == "multitask"
                 else Config("small", 128, output="fc", heatmap_stride=8)).eval()  # fmt: skip
    backend, note = backends.make(made, CPU, "openvino", middles=True)
    assert note == ""
    a, b = (backend(IMAGE, [Square(90, 50, 80, width=width)]).xyz for width in (WIDTHS[0], 1.0))
    np.testing.assert_array_equal(a, b)


def width(joints: np.ndarray, before: float = 1.0, confidence: float | np.ndarray = 0.9) -> float:
    return region.narrowed(LOOK, found(joints, confidence), before).width


def test_who_is_in_the_middle_needs_no_more() -> None:
    assert [width(standing(w)) for w in (60, 120, 140, 170, 240)] == [0.625, 0.625, 0.75, 1, 1]
    # Off the middle of the square, there is less room.
    assert width(standing(100, x=220)) == 0.75
    assert region.narrowed(LOOK, found(standing(240)), 1.0) is LOOK


def test_how_much_is_enough_does_not_change_to_and_fro() -> None:
    assert width(standing(140), before=0.625) == 0.625
    assert width(standing(170), before=0.75) == 0.75
    assert width(standing(150), before=0.625) == 0.75
    assert width(standing(120), before=0.75) == 0.625


def test_arms_that_are_not_seen_may_be_anywhere() -> None:
    confidence = np.full(J, 0.9)
    confidence[INDEX["left_wrist"]] = 0.1
    assert width(standing(), confidence=confidence) == 1.0
    confidence[INDEX["left_wrist"]], confidence[INDEX["left_ankle"]] = 0.9, 0.1
    assert width(standing(), confidence=confidence) == 0.625


def test_people_are_followed_in_what_is_enough() -> None:
    tracker, image, widths = Tracker(1), np.zeros((400, 400, 3), np.uint8), []
    for k, wrists in enumerate([60, 60, 60, 140, 190, 190, 60, 60]):
        widths += [look.width for look in tracker.looks(k / 30, 400, 400)]
        tracker.update(distinct([found(standing(wrists))]), k / 30, image)
    # Of the picture before; at the first look at somebody all of the square counts.
    assert widths[1:] == [0.625, 0.625, 0.625, 1.0, 1.0, 0.625]
