"""DSNT: coordinates from heatmaps, differentiably, with its losses and regularisers.

Nibali, He, Morgan, Prendergast: *Numerical Coordinate Regression with Convolutional Neural
Networks*, 2018 (https://arxiv.org/abs/1801.07372). Equation numbers below are of that paper.

Conventions, everywhere in this module:

- A map of n cells along an axis has its cell centres at ``-(n-1)/n, -(n-3)/n, ..., (n-1)/n``
  (section 3.1); the edges of the picture are at -1 and +1. So a coordinate means the same
  point of the picture whatever the size of the map.
- Coordinates are in the order ``(x, y)`` or ``(x, y, z)``, while the axes of a map come in the
  order ``(..., H, W)`` or ``(..., D, H, W)``: the last coordinate belongs to the first axis.
- Pixel coordinates have 0 at the centre of the first cell.
- All functions are pure. What needs precision (softmax, expectations, divergences) is computed
  in float32 even inside autocast; float64 stays float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPS = 1e-24


def _precise(x: Tensor) -> Tensor:
    """float32 for half-precision inputs, so that sums over a map keep their digits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check_dims(dims: int) -> None:
    if dims not in (1, 2, 3):
        raise ValueError(f"maps have 1, 2 or 3 dimensions, not {dims}")


# --------------------------------------------------------------------------- coordinates


def cell_centres(
    n: int, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Centres of n cells on -1..1: ``(2i - (n - 1)) / n`` for i = 0..n-1. Shape (n,)."""
    if n < 1:
        raise ValueError(f"a map needs at least one cell along each axis, got {n}")
    i = torch.arange(n, dtype=dtype or torch.get_default_dtype(), device=device)
    return (2 * i - (n - 1)) / n


def normalised_to_pixel(coords: Tensor, size: tuple[int, ...]) -> Tensor:
    """Normalised coordinates (..., K) -> pixels, ``((c + 1) * n - 1) / 2``.

    Args:
        size: cells along each coordinate in the order of the coordinates, e.g. (width, height).
    """
    n = _sizes(coords, size)
    return ((coords + 1) * n - 1) / 2


def pixel_to_normalised(coords: Tensor, size: tuple[int, ...]) -> Tensor:
    """Pixels (..., K) -> normalised coordinates, ``(2p + 1) / n - 1``. Inverse of the above."""
    n = _sizes(coords, size)
    return (2 * coords + 1) / n - 1


def _sizes(coords: Tensor, size: tuple[int, ...]) -> Tensor:
    if coords.shape[-1] != len(size):
        raise ValueError(f"{coords.shape[-1]} coordinates, but sizes for {len(size)}: {size}")
    # Filled there: a copy from the host could not be part of a CUDA graph.
    return torch.stack([coords.new_full((), n) for n in size])


# --------------------------------------------------------------------------- heatmaps


def flat_softmax(logits: Tensor, dims: int = 2) -> Tensor:
    """Softmax over the last `dims` axes together, so that each map sums to 1.

    Args:
        logits: (..., [D,] H, W) of any memory format.

    Returns:
        Same shape, float32 for half-precision input.
    """
    _check_dims(dims)
    if logits.dim() < dims:
        raise ValueError(f"expected at least {dims} axes, got shape {tuple(logits.shape)}")
    # reshape, not view: channels_last maps are not contiguous in this order.
    flat = logits.flatten(-dims) if dims > 1 else logits
    return torch.softmax(_precise(flat), -1).reshape(logits.shape)


def _marginals(heatmaps: Tensor, dims: int) -> list[Tensor]:
    """Marginal distribution along each of the last `dims` axes, in the order x, y, z."""
    axes = range(-dims, 0)
    return [
        heatmaps.sum([a for a in axes if a != axis]) if dims > 1 else heatmaps
        for axis in reversed(axes)
    ]


def dsnt(heatmaps: Tensor, dims: int = 2) -> Tensor:
    """The differentiable spatial to numerical transform: the mean position (equation 3).

    Args:
        heatmaps: (..., [D,] H, W), each map non-negative with sum 1 (see `flat_softmax`).

    Returns:
        (..., dims) coordinates (x[, y[, z]]) in -1..1.
    """
    _check_dims(dims)
    heatmaps = _precise(heatmaps)
    return torch.stack(
        [
            (p * cell_centres(p.shape[-1], dtype=p.dtype, device=p.device)).sum(-1)
            for p in _marginals(heatmaps, dims)
        ],
        -1,
    )


def variance(heatmaps: Tensor, dims: int = 2) -> Tensor:
    """Variance of the position along each axis (equation 5), normalised units squared.

    Args:
        heatmaps: (..., [D,] H, W), each map with sum 1.

    Returns:
        (..., dims) in the order (x[, y[, z]]).
    """
    _check_dims(dims)
    heatmaps = _precise(heatmaps)
    out = []
    for p in _marginals(heatmaps, dims):
        centres = cell_centres(p.shape[-1], dtype=p.dtype, device=p.device)
        mean = (p * centres).sum(-1, keepdim=True)
        out.append((p * (centres - mean) ** 2).sum(-1))
    return torch.stack(out, -1)


def gaussian(coords: Tensor, size: tuple[int, ...], sigma: float = 1.0) -> Tensor:
    """Target maps: spherical Gaussians about `coords`, each map normalised to sum 1.

    Args:
        coords: (..., K) normalised coordinates (x[, y[, z]]).
        size: cells in the order of a map's axes, ([D,] H, W).
        sigma: standard deviation in cells.

    Returns:
        (..., [D,] H, W). A map whose Gaussian lies far outside comes out as the nearest border
        cells rather than as NaN.
    """
    _check_dims(len(size))
    if coords.shape[-1] != len(size):
        raise ValueError(f"{coords.shape[-1]} coordinates for a map of {len(size)} axes")
    if sigma <= 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    coords = _precise(coords)
    out: Tensor | None = None
    # A Gaussian is separable: normalise each axis by itself, and take the outer product.
    for axis, n in enumerate(size):
        c = coords[..., len(size) - 1 - axis, None]
        d = (cell_centres(n, dtype=coords.dtype, device=coords.device) - c) * (n / 2 / sigma)
        p = torch.softmax(-0.5 * d * d, -1)
        out = p if out is None else out.unsqueeze(-1) * p.reshape(*p.shape[:-1], *(1,) * axis, n)
    assert out is not None
    return out


def sharpen(heatmaps: Tensor, power: float, dims: int = 2) -> Tensor:
    """Raises maps to a power and normalises them again, each map by itself.

    power > 1 draws the mean towards the highest mode, power < 1 flattens. (dsntnn 0.5.3
    normalises over the batch here, which is wrong for more than one map.)
    """
    _check_dims(dims)
    heatmaps = _precise(heatmaps)
    return flat_softmax(power * heatmaps.clamp_min(_EPS).log(), dims)


def around_peak(heatmaps: Tensor, radius: int) -> Tensor:
    """Keeps the window about the highest cell of each map, and normalises it to sum 1.

    The mean of a map with two modes (left or right knee? this person or the one behind?) lies
    between them, where nothing is; the mean of a window about the higher one does not. For
    trained networks: the window does not move with the gradient.

    Args:
        heatmaps: (..., H, W), each map non-negative with sum 1.
        radius: cells on each side; the window has 2 * radius + 1 cells along each axis.

    Returns:
        (..., H, W).
    """
    if heatmaps.dim() < 2:
        raise ValueError(f"expected (..., H, W), got shape {tuple(heatmaps.shape)}")
    if radius < 0:
        raise ValueError(f"radius must not be negative, got {radius}")
    heatmaps = _precise(heatmaps)
    h, w = heatmaps.shape[-2:]
    # Row first, then the column in it: runtimes are slow at the highest of thousands of cells.
    y = heatmaps.amax(-1).argmax(-1, keepdim=True)
    row = heatmaps.gather(-2, y[..., None].expand(*y.shape, w))
    x = row.squeeze(-2).argmax(-1, keepdim=True)
    rows = (torch.arange(h, device=heatmaps.device) - y).abs() <= radius
    columns = (torch.arange(w, device=heatmaps.device) - x).abs() <= radius
    window = heatmaps * rows.unsqueeze(-1) * columns.unsqueeze(-2)
    return window / window.sum((-2, -1), keepdim=True)


def argmax_decode(heatmaps: Tensor, shift: float = 0.25) -> Tensor:
    """Heatmap matching decode: the highest cell, moved a quarter cell to its higher neighbour.

    The decoding of Newell et al. 2016, which the paper compares DSNT with (section 4).

    Args:
        heatmaps: (..., H, W), any scores.
        shift: sub-pixel shift in cells; 0 for the plain argmax.

    Returns:
        (..., 2) normalised coordinates (x, y). Not differentiable.
    """
    if heatmaps.dim() < 2:
        raise ValueError(f"expected (..., H, W), got shape {tuple(heatmaps.shape)}")
    h, w = heatmaps.shape[-2:]
    flat = heatmaps.flatten(-2)
    index = flat.argmax(-1, keepdim=True)
    x, y = index % w, torch.div(index, w, rounding_mode="floor")

    def step(position: Tensor, n: int, stride: int) -> Tensor:
        before = flat.gather(-1, index - stride * (position > 0))
        after = flat.gather(-1, index + stride * (position < n - 1))
        # On the border there is only one neighbour: no shift, as in the original.
        inside = (position > 0) & (position < n - 1)
        return torch.sign(after - before) * inside

    dtype = _precise(heatmaps).dtype
    px = torch.cat([x + shift * step(x, w, 1), y + shift * step(y, h, w)], -1).to(dtype)
    return pixel_to_normalised(px, (w, h))


# --------------------------------------------------------------------------- losses


def average(losses: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of per-joint losses over the joints that count.

    Args:
        losses: (..., J). mask: same shape, bool or weights; joints with 0 are left out, and may
            hold anything, NaN included.

    Returns:
        Scalar; 0 (with a gradient of 0) where no joint counts.
    """
    if mask is None:
        return losses.mean()
    if mask.shape != losses.shape:
        raise ValueError(f"mask {tuple(mask.shape)} does not fit losses {tuple(losses.shape)}")
    weights = mask.to(losses.dtype)
    # where, not multiply: 0 * NaN is NaN.
    kept = torch.where(weights > 0, losses, torch.zeros_like(losses))
    return (kept * weights).sum() / weights.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def _difference(coords: Tensor, target: Tensor) -> Tensor:
    if coords.shape != target.shape:
        raise ValueError(f"shapes differ: {tuple(coords.shape)} and {tuple(target.shape)}")
    return _precise(coords) - _precise(target)


def euclidean_losses(coords: Tensor, target: Tensor) -> Tensor:
    """Distance between coordinates (equation 4): (..., K), (..., K) -> (...)."""
    d = _difference(coords, target)
    # The gradient of a norm is NaN at 0; the clamp makes it 0 there.
    return d.square().sum(-1).clamp_min(_EPS).sqrt()


def l1_losses(coords: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference over the coordinates: (..., K), (..., K) -> (...)."""
    return _difference(coords, target).abs().mean(-1)


def mse_losses(coords: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference over the coordinates: (..., K), (..., K) -> (...)."""
    return _difference(coords, target).square().mean(-1)


# --------------------------------------------------------------------------- regularisers


def kl_divergence(p: Tensor, q: Tensor, dims: int = 2) -> Tensor:
    """Kullback-Leibler divergence D(p || q) in nats over the last `dims` axes: -> (...)."""
    _check_dims(dims)
    p, q = _precise(p), _precise(q)
    ratio = p.clamp_min(_EPS).log() - q.clamp_min(_EPS).log()
    return (p * ratio).sum(list(range(-dims, 0)))


def js_divergence(p: Tensor, q: Tensor, dims: int = 2) -> Tensor:
    """Jensen-Shannon divergence in nats over the last `dims` axes: -> (...) in 0..ln 2."""
    p, q = _precise(p), _precise(q)
    m = (p + q) / 2
    return (kl_divergence(p, m, dims) + kl_divergence(q, m, dims)) / 2


def kl_reg_losses(heatmaps: Tensor, target: Tensor, sigma: float = 1.0) -> Tensor:
    """D(map || Gaussian about the target) (equation 6). Arguments as `js_reg_losses`."""
    dims = target.shape[-1]
    return kl_divergence(heatmaps, _target_maps(heatmaps, target, sigma), dims)


def js_reg_losses(heatmaps: Tensor, target: Tensor, sigma: float = 1.0) -> Tensor:
    """Jensen-Shannon divergence between maps and Gaussians about the target (equation 7).

    Args:
        heatmaps: (..., [D,] H, W), each map with sum 1.
        target: (..., K) normalised coordinates; K = 1, 2 or 3 is the dimension of the maps.
        sigma: standard deviation of the Gaussians in cells.

    Returns:
        (...) in 0..ln 2.
    """
    dims = target.shape[-1]
    return js_divergence(heatmaps, _target_maps(heatmaps, target, sigma), dims)


def mse_reg_losses(heatmaps: Tensor, target: Tensor, sigma: float = 1.0) -> Tensor:
    """Squared difference between maps and Gaussians, summed over the map.

    Not among the paper's regularisers; common as a heatmap matching loss. As `js_reg_losses`.
    """
    dims = target.shape[-1]
    d = _precise(heatmaps) - _target_maps(heatmaps, target, sigma)
    return d.square().sum(list(range(-dims, 0)))


def variance_reg_losses(heatmaps: Tensor, sigma: float = 1.0, dims: int = 2) -> Tensor:
    """Squared difference of the maps' variance from sigma squared (equation 5): -> (...).

    sigma is in cells and each axis has its own cell size; the sum over the axes is returned, in
    normalised units to the fourth.
    """
    v = variance(heatmaps, dims)
    sizes = torch.as_tensor(heatmaps.shape[-dims:][::-1], dtype=v.dtype, device=v.device)
    return (v - (2 * sigma / sizes) ** 2).square().sum(-1)


def _target_maps(heatmaps: Tensor, target: Tensor, sigma: float) -> Tensor:
    dims = target.shape[-1]
    _check_dims(dims)
    if heatmaps.shape[:-dims] != target.shape[:-1]:
        raise ValueError(f"maps {tuple(heatmaps.shape)} do not fit targets {tuple(target.shape)}")
    return gaussian(target, tuple(heatmaps.shape[-dims:]), sigma)
