"""The inspector's numbers are those of `livepose.dsnt`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from livepose import dsnt
from livepose.frames import Heatmaps, Region
from livepose.inspection import figures, joint_figures, verdict


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


def test_entropy_and_edges_by_hand() -> None:
    flat, point = np.full((4, 8), 1 / 32), np.zeros((4, 8))
    point[1, 6] = 1
    assert figures(flat).entropy == pytest.approx(5)
    assert figures(point).entropy == 0
    assert figures(point).peak == figures(point).mean == (0.625, -0.25)
    assert figures(flat).at_edge
    assert not figures(point).at_edge
    cut_off = dsnt.gaussian(torch.tensor([[0.98, 0.0]]), (32, 32), 2.0)[0].numpy()
    assert figures(cut_off).at_edge
    assert figures(cut_off).mean[0] < 0.98  # the bias inwards
    with pytest.raises(ValueError, match="two axes"):
        figures(np.zeros(3))


def test_a_slanted_map_has_a_slanted_ellipse() -> None:
    grid = np.linspace(-1, 1, 64)
    y, x = np.meshgrid(grid, grid, indexing="ij")
    heat = np.exp(-((x - y) ** 2) / 0.02 - (x + y) ** 2 / 0.4)
    large, small, angle = figures(heat / heat.sum()).ellipse()
    assert np.tan(angle) == pytest.approx(1, abs=0.02)
    assert large > 3 * small


def maps(x: float, y: float, z_of_zy: float, z_of_xz: float, sigma: float = 1.0) -> Heatmaps:
    def one(a: float, b: float) -> np.ndarray:
        return dsnt.gaussian(torch.tensor([[a, b]]), (32, 32), sigma).numpy()

    return Heatmaps(one(x, y), one(z_of_zy, y), one(x, z_of_xz), Region(0, 0, 1))


def test_depth_is_the_mean_of_two_maps_and_their_quarrel_is_told() -> None:
    of = joint_figures(maps(0.2, -0.3, 0.1, 0.5), 0)
    assert of.xyz == pytest.approx((0.2, -0.3, 0.3), abs=1e-3)
    assert of.disagreement == pytest.approx(0.4, abs=1e-3)
    assert "disagree" in verdict(of, 0.9)
    assert "sure" in verdict(joint_figures(maps(0.2, -0.3, 0.1, 0.1), 0), 0.9)
    assert "hidden" in verdict(of, 0.01)
    assert "edge" in verdict(joint_figures(maps(0.97, 0, 0, 0, 3), 0), 0.9)
    two = maps(-0.5, 0, 0, 0)
    other = maps(0.5, 0, 0, 0)
    both = Heatmaps(0.55 * two.xy + 0.45 * other.xy, two.zy, two.xz, two.region)
    assert "two candidates" in verdict(joint_figures(both, 0), 0.9)
