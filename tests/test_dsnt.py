"""DSNT against hand-computed tables, the paper's properties, gradients, dsntnn and ONNX."""

from __future__ import annotations

import math

import dsntnn
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from livepose import dsnt

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
sizes = st.integers(1, 9)


def maps(*shape: int, dims: int = 2, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return dsnt.flat_softmax(torch.randn(*shape, dtype=dtype), dims)


# --- coordinates


def test_cell_centres_by_hand() -> None:
    assert dsnt.cell_centres(1).tolist() == [0.0]
    assert dsnt.cell_centres(4).tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert torch.allclose(dsnt.cell_centres(5), torch.tensor([-0.8, -0.4, 0, 0.4, 0.8]))


def test_no_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one cell"):
        dsnt.cell_centres(0)


def test_pixels_by_hand() -> None:
    # A picture 4 wide and 2 high: its corners are the outer corners of the outer pixels.
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    assert dsnt.normalised_to_pixel(corners, (4, 2)).tolist() == [
        [-0.5, -0.5],
        [3.5, 1.5],
        [1.5, 0.5],
    ]


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), sizes, sizes, sizes)
def test_pixels_and_back(point: list[float], w: int, h: int, d: int) -> None:
    p = torch.tensor(point, dtype=torch.float64)
    back = dsnt.pixel_to_normalised(dsnt.normalised_to_pixel(p, (w, h, d)), (w, h, d))
    assert torch.allclose(back, p, atol=1e-12)


def test_wrong_number_of_sizes() -> None:
    with pytest.raises(ValueError, match="2 coordinates"):
        dsnt.normalised_to_pixel(torch.zeros(5, 2), (1, 2, 3))


# --- softmax and expectation


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_softmax_sums_to_one_and_keeps_shape(dims: int) -> None:
    x = torch.randn(2, 3, 4, 5, 6) * 5
    p = dsnt.flat_softmax(x, dims)
    assert p.shape == x.shape
    assert torch.allclose(p.sum(list(range(-dims, 0))), torch.ones(x.shape[:-dims]))


def test_softmax_takes_any_memory_format() -> None:
    x = torch.randn(2, 3, 4, 5)
    expected = dsnt.flat_softmax(x)
    for same in (x.contiguous(memory_format=torch.channels_last),
                 x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)):  # fmt: skip
        assert torch.equal(dsnt.flat_softmax(same), expected)


def test_float32_inside_autocast() -> None:
    x = torch.randn(1, 2, 48, 48)
    with torch.autocast("cpu", torch.bfloat16):
        half = x.bfloat16()
        p = dsnt.flat_softmax(half)
        c, v = dsnt.dsnt(p), dsnt.variance(p)
        js = dsnt.js_reg_losses(p, c)
    assert p.dtype == c.dtype == v.dtype == js.dtype == torch.float32
    assert torch.allclose(c, dsnt.dsnt(dsnt.flat_softmax(half.float())), atol=1e-6)


def test_dsnt_by_hand() -> None:
    # Figure 2 of the paper's idea: a map of 5 x 5 with five cells about (0.4, 0).
    p = torch.zeros(5, 5)
    p[2, 3] = 0.6
    p[1, 3] = p[3, 3] = p[2, 2] = p[2, 4] = 0.1
    assert torch.allclose(dsnt.dsnt(p), torch.tensor([0.4, 0.0]), atol=1e-7)
    # x: cells 2, 3, 4 with 0.1, 0.8, 0.1 and distance 0.4; y: the same.
    assert torch.allclose(dsnt.variance(p), torch.tensor([0.032, 0.032]), atol=1e-7)


@pytest.mark.parametrize(("shape", "dims"), [((7,), 1), ((6, 7), 2), ((5, 6, 7), 3)])
def test_single_cell_is_its_centre(shape: tuple[int, ...], dims: int) -> None:
    p = torch.zeros(shape)
    index = tuple(n - 2 for n in shape)
    p[index] = 1
    expected = [dsnt.cell_centres(n)[n - 2].item() for n in reversed(shape)]
    assert torch.allclose(dsnt.dsnt(p, dims), torch.tensor(expected))
    assert torch.allclose(dsnt.variance(p, dims), torch.zeros(dims))


@given(sizes, sizes, st.integers(0, 2**31 - 1))
def test_mean_lies_between_the_outer_cells(h: int, w: int, seed: int) -> None:
    p = dsnt.flat_softmax(torch.randn(h, w, generator=torch.Generator().manual_seed(seed)) * 9)
    x, y = dsnt.dsnt(p).tolist()
    assert abs(x) <= (w - 1) / w + 1e-6
    assert abs(y) <= (h - 1) / h + 1e-6


def test_mirroring_a_map_mirrors_its_coordinate() -> None:
    p = maps(3, 8, 9)
    assert torch.allclose(
        dsnt.dsnt(p.flip(-1)), dsnt.dsnt(p) * torch.tensor([-1.0, 1.0]), atol=1e-6
    )


def test_three_dimensions_agree_with_marginals() -> None:
    p = maps(2, 4, 5, 6, 7, dims=3)
    xyz = dsnt.dsnt(p, 3)
    assert torch.allclose(xyz[..., :2], dsnt.dsnt(p.sum(-3)), atol=1e-6)
    assert torch.allclose(xyz[..., 2:], dsnt.dsnt(p.sum((-1, -2)), 1), atol=1e-6)


@pytest.mark.parametrize("dims", [0, 4])
def test_other_dimensions_are_refused(dims: int) -> None:
    with pytest.raises(ValueError, match="1, 2 or 3"):
        dsnt.dsnt(torch.ones(2, 2, 2, 2), dims)


# --- targets


@pytest.mark.parametrize("size", [(9,), (8, 9), (6, 8, 9)])
def test_gaussian_has_sum_mean_and_width(size: tuple[int, ...]) -> None:
    k = len(size)
    centre = torch.tensor([[0.1, -0.05, 0.02][:k]], dtype=torch.float64)
    p = dsnt.gaussian(centre, tuple(8 * n for n in size), sigma=2.0)
    assert p.shape == (1, *(8 * n for n in size))
    assert torch.allclose(p.sum(), torch.tensor(1.0, dtype=torch.float64))
    assert torch.allclose(dsnt.dsnt(p, k), centre, atol=1e-6)
    cells = torch.tensor([8 * n for n in reversed(size)], dtype=torch.float64)
    width = dsnt.variance(p, k) * (cells / 2) ** 2
    assert torch.allclose(width, torch.full_like(width, 4.0), rtol=1e-3)


def test_gaussian_far_outside_stays_finite() -> None:
    p = dsnt.gaussian(torch.tensor([[9.0, -9.0]]), (6, 6))
    assert torch.isfinite(p).all()
    assert p[0, 0, 5] == p.max()


def test_gaussian_of_no_width_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        dsnt.gaussian(torch.zeros(1, 2), (4, 4), sigma=0)


# --- sharpening and heatmap matching


def test_sharpening_works_on_each_map_by_itself() -> None:
    p = maps(3, 2, 6, 6)
    sharp = dsnt.sharpen(p, 3.0)
    assert torch.allclose(sharp.sum((-1, -2)), torch.ones(3, 2))
    for b in range(3):  # the fault of dsntnn's: maps of one batch influence each other
        assert torch.allclose(sharp[b : b + 1], dsnt.sharpen(p[b : b + 1], 3.0))
    expected = p[1, 1] ** 3 / (p[1, 1] ** 3).sum()
    assert torch.allclose(sharp[1, 1], expected, atol=1e-6)


@given(st.floats(1.1, 8))
def test_sharpening_narrows(power: float) -> None:
    p = dsnt.gaussian(torch.tensor([[0.1, 0.2]]), (12, 12), 2.0)
    assert (dsnt.variance(dsnt.sharpen(p, power)) < dsnt.variance(p)).all()
    assert torch.allclose(dsnt.sharpen(p, 1.0), p, atol=1e-6)


def test_the_window_about_the_peak_by_hand() -> None:
    m = torch.zeros(4, 6)
    m[1, 1], m[1, 2], m[0, 5], m[2, 1] = 0.4, 0.1, 0.3, 0.2
    window = dsnt.around_peak(m, 1)
    expected = torch.zeros(4, 6)
    expected[1, 1], expected[1, 2], expected[2, 1] = 4 / 7, 1 / 7, 2 / 7
    assert torch.allclose(window, expected)
    assert dsnt.around_peak(m, 0)[1, 1] == 1
    assert torch.allclose(dsnt.around_peak(m, 10), m)


@given(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7))
def test_the_window_leaves_the_mean_of_one_mode_and_takes_the_higher_of_two(
    x: float, y: float
) -> None:
    at = torch.tensor([x, y])
    one = dsnt.gaussian(at, (24, 24), 1.0)
    # The window is centred on a cell, the mode is not: at worst, tails differ.
    assert torch.allclose(dsnt.dsnt(dsnt.around_peak(one, 5)), at, atol=1e-4)
    far = torch.tensor([x - 0.9 if x > 0 else x + 0.9, y])
    two = 0.6 * one + 0.4 * dsnt.gaussian(far, (24, 24), 1.0)
    assert torch.allclose(dsnt.dsnt(dsnt.around_peak(two, 5)), at, atol=2e-2)
    assert (dsnt.dsnt(two) - at).norm() > 0.3


def test_the_window_checks_and_takes_batches() -> None:
    m = dsnt.flat_softmax(torch.randn(2, 3, 7, 9))
    assert torch.allclose(dsnt.around_peak(m, 2).sum((-1, -2)), torch.ones(2, 3))
    for b in range(2):
        assert torch.equal(dsnt.around_peak(m, 2)[b], dsnt.around_peak(m[b], 2))
    with pytest.raises(ValueError, match="radius"):
        dsnt.around_peak(m, -1)
    with pytest.raises(ValueError, match="H, W"):
        dsnt.around_peak(torch.ones(3), 1)


def test_argmax_by_hand() -> None:
    m = torch.zeros(4, 5)
    m[1, 2], m[1, 3], m[0, 2] = 1.0, 0.5, 0.2
    # A quarter cell towards the higher neighbours: right and up.
    pixel = dsnt.normalised_to_pixel(dsnt.argmax_decode(m), (5, 4))
    assert torch.allclose(pixel, torch.tensor([2.25, 0.75]), atol=1e-6)
    plain = dsnt.normalised_to_pixel(dsnt.argmax_decode(m, shift=0), (5, 4))
    assert torch.allclose(plain, torch.tensor([2.0, 1.0]), atol=1e-6)


def test_argmax_on_the_border_and_on_one_cell() -> None:
    m = torch.zeros(2, 3, 3)
    m[0, 0, 0] = 1
    m[1, 2, 2] = 1
    pixel = dsnt.normalised_to_pixel(dsnt.argmax_decode(m), (3, 3))
    assert torch.allclose(pixel, torch.tensor([[0.0, 0.0], [2.0, 2.0]]), atol=1e-6)
    assert dsnt.argmax_decode(torch.ones(1, 1)).tolist() == [0.0, 0.0]


def test_argmax_takes_batches_and_half() -> None:
    m = torch.randn(2, 3, 7, 9)
    assert dsnt.argmax_decode(m).shape == (2, 3, 2)
    assert dsnt.argmax_decode(m.half()).dtype == torch.float32


# --- losses


def test_losses_by_hand() -> None:
    a, b = torch.tensor([[0.0, 0.0], [0.3, 0.4]]), torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    assert torch.allclose(dsnt.euclidean_losses(a, b), torch.tensor([5.0, 0.0]), atol=1e-6)
    assert torch.allclose(dsnt.l1_losses(a, b), torch.tensor([3.5, 0.0]))
    assert torch.allclose(dsnt.mse_losses(a, b), torch.tensor([12.5, 0.0]))


@pytest.mark.parametrize("loss", [dsnt.euclidean_losses, dsnt.l1_losses, dsnt.mse_losses])
def test_gradient_at_no_error_is_finite(loss) -> None:  # type: ignore[no-untyped-def]
    a = torch.zeros(2, 2, requires_grad=True)
    loss(a, torch.zeros(2, 2)).sum().backward()
    assert torch.equal(a.grad, torch.zeros(2, 2))


def test_shapes_of_losses_must_fit() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        dsnt.euclidean_losses(torch.zeros(3, 2), torch.zeros(2))


def test_average_with_masks() -> None:
    losses = torch.tensor([[1.0, 2.0], [3.0, float("nan")]])
    mask = torch.tensor([[True, False], [True, False]])
    assert dsnt.average(losses, mask).item() == 2.0
    weights = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    assert dsnt.average(losses, weights).item() == pytest.approx(9 / 4)
    nothing = torch.zeros(2, 2, requires_grad=True)
    value = dsnt.average(nothing, torch.zeros(2, 2, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert torch.equal(nothing.grad, torch.zeros(2, 2))
    with pytest.raises(ValueError, match="does not fit"):
        dsnt.average(losses, torch.ones(2))


# --- regularisers


def test_js_is_zero_at_the_target_and_bounded() -> None:
    target = torch.tensor([[0.3, -0.2]])
    at_target = dsnt.gaussian(target, (12, 12))
    assert dsnt.js_reg_losses(at_target, target).item() == pytest.approx(0, abs=1e-6)
    far = dsnt.gaussian(-target * 3, (12, 12), 0.3)
    assert dsnt.js_reg_losses(far, target).item() == pytest.approx(math.log(2), abs=1e-3)
    assert dsnt.kl_reg_losses(at_target, target).item() == pytest.approx(0, abs=1e-6)
    assert dsnt.mse_reg_losses(at_target, target).item() == pytest.approx(0, abs=1e-12)


def test_divergences_by_hand() -> None:
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    kl = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert dsnt.kl_divergence(p, q, 1).item() == pytest.approx(kl)
    assert dsnt.kl_divergence(torch.tensor([1.0, 0.0]), p, 1).item() == pytest.approx(math.log(2))


def test_variance_regulariser_by_hand() -> None:
    # All mass in one cell: variance 0, target (2 * 1 / 4)^2 = 1/4 along x, (2 / 2)^2 = 1 along y.
    p = torch.zeros(2, 4)
    p[0, 0] = 1
    assert dsnt.variance_reg_losses(p, sigma=1.0).item() == pytest.approx(1 / 16 + 1)
    wide = dsnt.gaussian(torch.zeros(1, 2, dtype=torch.float64), (64, 64), sigma=2.0)
    assert dsnt.variance_reg_losses(wide, sigma=2.0).item() == pytest.approx(0, abs=1e-9)


def test_regulariser_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        dsnt.js_reg_losses(maps(2, 3, 5, 5), torch.zeros(2, 4, 2))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_regularisers_in_all_dimensions(dims: int) -> None:
    p = maps(2, 3, *(5, 6, 7)[:dims], dims=dims)
    target = torch.rand(2, 3, dims) - 0.5
    for loss in (dsnt.js_reg_losses, dsnt.kl_reg_losses, dsnt.mse_reg_losses):
        assert loss(p, target).shape == (2, 3)
    assert dsnt.variance_reg_losses(p, dims=dims).shape == (2, 3)


# --- gradients


@pytest.mark.parametrize(
    "function",
    [
        lambda x: dsnt.dsnt(dsnt.flat_softmax(x)),
        lambda x: dsnt.variance(dsnt.flat_softmax(x)),
        lambda x: dsnt.sharpen(dsnt.flat_softmax(x), 2.0),
        lambda x: dsnt.euclidean_losses(dsnt.dsnt(dsnt.flat_softmax(x)), _TARGET),
        lambda x: dsnt.js_reg_losses(dsnt.flat_softmax(x), _TARGET),
        lambda x: dsnt.kl_reg_losses(dsnt.flat_softmax(x), _TARGET),
        lambda x: dsnt.mse_reg_losses(dsnt.flat_softmax(x), _TARGET),
        lambda x: dsnt.variance_reg_losses(dsnt.flat_softmax(x)),
    ],
)
def test_gradcheck(function) -> None:  # type: ignore[no-untyped-def]
    x = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x,))


_TARGET = torch.tensor([[0.2, -0.3], [0.0, 0.5]], dtype=torch.float64)


def test_gradient_of_targets() -> None:
    c = torch.tensor([[0.2, -0.1]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: dsnt.gaussian(c, (4, 5), 1.0), (c,))


# --- dsntnn defines the same things (it takes (B, C, ...) only)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agreement_with_dsntnn(dtype: torch.dtype) -> None:
    tolerance = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    logits = torch.randn(3, 4, 7, 7, dtype=dtype)
    target = torch.rand(3, 4, 2, dtype=dtype) * 1.6 - 0.8
    p = dsnt.flat_softmax(logits)
    assert torch.allclose(p, dsntnn.flat_softmax(logits), **tolerance)
    assert torch.allclose(dsnt.dsnt(p), dsntnn.dsnt(p), **tolerance)
    gauss = dsntnn.make_gauss(target, (7, 7), 1.0)
    assert torch.allclose(dsnt.gaussian(target, (7, 7), 1.0), gauss, **tolerance)
    js, kl = dsntnn.js_reg_losses(p, target, 1.0), dsntnn.kl_reg_losses(p, target, 1.0)
    assert torch.allclose(dsnt.js_reg_losses(p, target), js, **tolerance)
    assert torch.allclose(dsnt.kl_reg_losses(p, target), kl, **tolerance)
    assert torch.allclose(dsnt.euclidean_losses(dsnt.dsnt(p), target),
                          dsntnn.euclidean_losses(dsnt.dsnt(p), target), **tolerance)  # fmt: skip
    assert torch.allclose(dsnt.l1_losses(p, p * 0), dsntnn.l1_losses(p, p * 0), **tolerance)
    assert torch.allclose(dsnt.mse_losses(p, p * 0), dsntnn.mse_losses(p, p * 0), **tolerance)
    # dsntnn measures the variance in cells, the paper (and we) in normalised units.
    cells = (7 / 2) ** 4
    assert torch.allclose(dsnt.variance_reg_losses(p) * cells, dsntnn.variance_reg_losses(p, 1.0),
                          rtol=1e-4, atol=1e-4)  # fmt: skip
    mask = torch.rand(3, 4) > 0.5
    assert torch.allclose(
        dsnt.average(js, mask), dsntnn.average_loss(js, mask.to(dtype)), **tolerance
    )


# --- ONNX, without TorchScript


class _Decoder(nn.Module):
    def forward(self, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        p = dsnt.flat_softmax(logits)
        return dsnt.dsnt(p), dsnt.argmax_decode(logits), dsnt.dsnt(dsnt.around_peak(p, 2))


def test_onnx_export(tmp_path) -> None:  # type: ignore[no-untyped-def]
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = torch.randn(2, 5, 12, 10)
    file = tmp_path / "decoder.onnx"
    torch.onnx.export(
        _Decoder().eval(), (x,), str(file), dynamo=True, input_names=["logits"], verbose=False
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for got, expected in zip(session.run(None, {"logits": x.numpy()}), _Decoder()(x), strict=True):
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-5)
