"""The inspector's numbers are those of `livepose.dsnt`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from livepose import dsnt
from livepose.frames import Heatmaps, Region, Stage
from livepose.inspection import (
    IN_USE,
    LEARNED,
    described,
    figures,
    joint_figures,
    to_look_at,
    verdict,
)


@given(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.floats(0.6, 4), st.integers(0, 9))
def test_numbers_agree_with_dsnt(x: float, y: float, sigma: float, seed: int) -> None:
    heat = dsnt.gaussian(torch.tensor([[x, y]], dtype=torch.float64), (24, 32), sigma)
    rough = torch.rand(heat.shape, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(seed))  # fmt: skip
    heat = heat + 0.1 * rough / rough.sum()
    heat = heat / heat.sum()
    of = figures(heat[0].numpy())
    assert of.mean == pytest.approx(dsnt.dsnt(heat)[0].tolist(), abs=1e-9)
    assert np.square(of.deviation) == pytest.approx(dsnt.variance(heat)[0].numpy(), abs=1e-9)
    assert 0 <= of.entropy <= of.most
    large, small, _ = of.ellipse()
    assert large >= small >= 0
    assert large**2 + small**2 == pytest.approx(sum(np.square(of.deviation)))


def gaussian(x: float, y: float, cells: int = 32, sigma: float = 1.0) -> np.ndarray:
    return dsnt.gaussian(torch.tensor([x, y], dtype=torch.float64), (cells, cells), sigma).numpy()


def test_entropy_and_peaks_by_hand() -> None:
    flat, point = np.full((4, 8), 1 / 32), np.zeros((4, 8))
    point[1, 6] = 1
    assert figures(flat).entropy == pytest.approx(5)
    assert figures(point).entropy == 0
    assert figures(point).peak == figures(point).mean == (0.625, -0.25)
    assert figures(point).cells == (8, 4)
    assert figures(gaussian(0, 0)).entropy == pytest.approx(LEARNED, abs=0.01)
    with pytest.raises(ValueError, match="two axes"):
        figures(np.zeros(3))


@pytest.mark.parametrize(("x", "y", "sides"), [
    (0.98, 0, ("right",)), (-1, 0, ("left",)), (0, -0.98, ("top",)), (-0.97, 1, ("left", "bottom")),
])  # fmt: skip
def test_a_map_that_the_border_cuts_off_is_biased_inwards(
    x: float, y: float, sides: tuple[str, ...]
) -> None:
    of = figures(gaussian(x, y, sigma=2))
    assert of.cut == sides
    for side, at, mean in (("left", x, of.mean[0]), ("top", y, of.mean[1])):
        assert mean > at + 0.02 or side not in sides
    for side, at, mean in (("right", x, of.mean[0]), ("bottom", y, of.mean[1])):
        assert mean < at - 0.02 or side not in sides


def test_a_map_with_nothing_at_the_border_is_not_cut_off_however_spread_it_is() -> None:
    both = figures((gaussian(-0.5, 0) + gaussian(0.5, 0)) / 2)
    assert both.mean[0] + 2 * both.deviation[0] > 1
    assert both.cut == ()


@pytest.mark.parametrize("cells", [6, 7, 12, 24, 48, 64])
def test_what_is_learned_is_narrow_and_what_is_flat_is_wide_at_every_size(cells: int) -> None:
    for x, y in ((0, 0), (0.13, -0.2), (0.2, 0.21)):
        of = figures(gaussian(x, y, cells))
        assert not of.wide
        assert of.second is None
        assert of.cut == ()
    flat = figures(np.full((cells, cells), 1 / cells**2))
    assert flat.wide
    assert flat.second is None


def test_a_little_everywhere_does_not_make_a_peak_wide() -> None:
    # The background of heatmap matching: a tenth of all, on thousands of cells.
    of = figures(0.9 * gaussian(0.2, 0.1, 64) + 0.1 / 64**2)
    assert max(of.deviation) * 32 > 3
    assert not of.wide
    assert figures(gaussian(0.2, 0.1, 64, sigma=4)).wide


def test_another_peak_needs_a_valley() -> None:
    of = figures(0.6 * gaussian(-0.5, 0.25) + 0.4 * gaussian(0.5, 0.25))
    assert of.peak == pytest.approx((-0.5, 0.25), abs=1 / 16)
    assert of.second == pytest.approx((0.5, 0.25), abs=1 / 16)
    assert figures(0.9 * gaussian(-0.5, 0) + 0.1 * gaussian(0.5, 0)).second is None  # too low
    near = figures(0.6 * gaussian(0, 0) + 0.4 * gaussian(2.2 / 16, 0))
    assert near.second is None


def test_a_slanted_map_has_a_slanted_ellipse() -> None:
    grid = np.linspace(-1, 1, 64)
    y, x = np.meshgrid(grid, grid, indexing="ij")
    heat = np.exp(-((x - y) ** 2) / 0.02 - (x + y) ** 2 / 0.4)
    large, small, angle = figures(heat / heat.sum()).ellipse()
    assert np.tan(angle) == pytest.approx(1, abs=0.02)
    assert large > 3 * small


def maps(
    xy: np.ndarray, zy: np.ndarray, xz: np.ndarray, used: tuple[float, float, float] | None = None,
    drawn: tuple[str, ...] = (), stages: tuple[Stage, ...] = (),
) -> Heatmaps:  # fmt: skip
    """Of a person with one joint; used: the mean of xy, and of both depths, if not given."""
    if used is None:
        (x, y), z = figures(xy).mean, (figures(zy).mean[0] + figures(xz).mean[1]) / 2
        used = x, y, z
    return Heatmaps(xy[None], zy[None], xz[None], Region(0, 0, 1), np.array([used]), drawn, stages)


def at(x: float, y: float, z: float, other_z: float | None = None) -> Heatmaps:
    return maps(gaussian(x, y), gaussian(z, y), gaussian(x, z if other_z is None else other_z))


def test_a_sharp_joint_is_sure_and_a_hidden_one_hidden() -> None:
    of = joint_figures(at(0.2, -0.3, 0.1), 0)
    assert of.xyz == pytest.approx((0.2, -0.3, 0.1), abs=1e-3)
    assert [of.used(view) for view in ("xy", "zy", "xz")] == [
        pytest.approx(pair, abs=1e-3) for pair in ((0.2, -0.3), (0.1, -0.3), (0.2, 0.1))
    ]
    assert "sure" in verdict(of, 0.9)
    assert "hidden" in verdict(of, 0.01)


def test_a_quarrel_about_depth_is_told() -> None:
    of = joint_figures(at(0.2, -0.3, 0.1, other_z=0.5), 0)
    assert of.disagreement == pytest.approx(0.4 * 16, abs=0.02)  # cells
    assert "zy and xz disagree about the depth" in verdict(of, 0.9)
    assert "disagree" not in verdict(joint_figures(at(0.2, -0.3, 0.1, other_z=0.15), 0), 0.9)


@pytest.mark.parametrize(("edge", "told"), [
    (at(0.97, 0, 0), "xy right, xz right"), (at(0, -0.99, 0), "xy top, zy top"),
    (at(0, 0, 0.99), "zy right, xz bottom"),
])  # fmt: skip
def test_every_map_that_is_cut_off_is_told(edge: Heatmaps, told: str) -> None:
    assert f"cut off at the edge ({told})" in verdict(joint_figures(edge, 0), 0.9)


def test_what_became_of_two_candidates_is_told() -> None:
    two = 0.55 * gaussian(-0.5, 0) + 0.45 * gaussian(0.5, 0)
    zy, mean = gaussian(0, 0), figures(two).mean
    near = dsnt.dsnt(dsnt.around_peak(torch.from_numpy(two), 5)).tolist()
    assert near[0] == pytest.approx(-0.5, abs=0.01)
    for used, told in ((near, "took the stronger"), (mean, "took their mean")):
        of = joint_figures(maps(two, zy, two, (*used, 0.0)), 0)
        assert of.xyz[:2] == pytest.approx(used)
        words = verdict(of, 0.9)
        assert f"two candidates in xy: the network {told}" in words
        assert "depth" not in words  # xz has two as well, because of x
        assert "edge" not in words


def test_two_candidates_in_front_and_behind() -> None:
    deep = 0.5 * gaussian(-0.5, 0) + 0.5 * gaussian(0.5, 0)
    assert "two candidates for the depth" in verdict(
        joint_figures(maps(gaussian(0, 0), deep, deep.T), 0), 0.9
    )


def test_regressed_numbers_are_not_judged_by_what_is_drawn() -> None:
    some = at(0.2, -0.3, 0.1)
    own = maps(some.xy[0], some.zy[0], some.xz[0], (0.9, 0.8, 0.1), ("xy",))
    of = joint_figures(own, 0)
    assert of.xy is None
    assert of.zy is not None
    assert of.xyz == pytest.approx((0.9, 0.8, 0.1))
    assert "regresses x and y: it has no heatmap" in verdict(of, 0.9)
    none = maps(some.xy[0], some.zy[0], some.xz[0], drawn=("xy", "zy", "xz"),
                stages=(Stage("detectors", some.xy, presence=True),))  # fmt: skip
    assert [stage.name for stage in to_look_at(none)] == ["detectors"]
    of = joint_figures(none, 0)
    assert of.xy is of.zy is of.xz is None
    assert of.disagreement == 0
    words = verdict(of, 0.9)
    assert "regresses x, y and z" in words
    assert "sure" not in words
    assert "in the window about its cell" in described(to_look_at(none)[-1])


def test_stages_are_measured_by_themselves_and_stand_in_order() -> None:
    last = at(0.2, -0.3, 0.1)
    first = Stage("before attention", gaussian(-0.4, 0)[None])
    gone = Stage("before lifting")
    person = maps(last.xy[0], last.zy[0], last.xz[0], stages=(first, gone))
    one, two, three = to_look_at(person)
    assert (one, two, three.name) == (first, gone, IN_USE)
    of = joint_figures(person, 0, first)
    assert of.xy is not None
    assert of.xy.mean == pytest.approx((-0.4, 0), abs=1e-3)
    assert of.zy is None
    assert of.xyz == pytest.approx((0.2, -0.3, 0.1), abs=1e-3)
    assert joint_figures(person, 0) == joint_figures(person, 0, three)
    assert "before attention" in described(first)
    assert "torch only" in described(gone)
    assert described(three) == ""
