"""Is a confidence of 0.8 right in eight of ten cases? The reliability curve, and making it so.

A joint is right if it is within 0.2 torso of its label; a joint of a picture without people is
never right.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from livepose import skeleton
from livepose.data.readers import read
from livepose.data.samples import DataError, Samples
from livepose.evaluate.metrics import errors_in_torsos
from livepose.evaluate.protocol import predict
from livepose.models.store import WeightsError, find, load_model, save_model

BINS = 10


def reliability(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """The reliability curve and the expected calibration error (Guo et al. 2017).

    Args:
        confidence: (N,) in 0..1. right: (N,) bool.

    Returns:
        ``ece``, and ``curve``: for each tenth of the confidence that occurs, its mean confidence,
        the share that is right and how many there are.
    """
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    curve = []
    for k in np.unique(which):
        own = which == k
        curve.append([float(confidence[own].mean()), float(right[own].mean()), int(own.sum())])
    ece = sum(abs(c - r) * n for c, r, n in curve) / max(1, len(confidence))
    return {"ece": float(ece), "curve": curve}


def judged(
    samples: Samples, points: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``(confidence, right)`` of the limb joints that are labelled, of all where nobody is."""
    i = skeleton.indices(skeleton.LIMBS)
    error, counts = errors_in_torsos(points[..., :2], samples, skeleton.LIMBS)
    nobody = ~samples.known.any(1, keepdims=True) & (samples.present[:, i] == 0)
    use = counts | nobody
    return confidence[:, i][use], ((error <= 0.2) & counts)[use]


def _odds(confidence: np.ndarray) -> np.ndarray:
    """Log-odds, finite for 0 and 1 too."""
    return np.log(np.clip(confidence, 1e-6, 1 - 1e-6) / np.clip(1 - confidence, 1e-6, 1))


def fit(confidence: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Platt scaling: (gain, bias) of the log-odds, by maximum likelihood."""
    odds = _odds(confidence)

    def cost(x: np.ndarray) -> float:
        z = x[0] * odds + x[1]
        return float(np.mean(np.logaddexp(0, np.where(right, -z, z))))

    found = minimize(cost, np.array([1.0, 0.0]), method="Nelder-Mead")
    return float(found.x[0]), float(found.x[1])


# --------------------------------------------------------------------------- the command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="name or .safetensors file; its confidence is rescaled")
    parser.add_argument("--lsp", type=Path, required=True, help="Leeds Sports Pose: its val split")
    parser.add_argument(
        "--empty", type=Path, required=True, help="pictures without people: every tenth of them"
    )
    parser.add_argument("--rooms", type=int, default=100, help="so many of them")


def main(args: argparse.Namespace) -> int:
    try:
        net, card = load_model(args.model)
        # Training has seen the other rooms, and has been told that nobody is there.
        people = read("lsp", args.lsp, "val")
        empty = read("empty", args.empty, "test").spread(args.rooms)
        parts = []
        for samples in (people, empty):
            found = predict(net, samples)
            parts.append(judged(samples, found.points, found.confidence))
    except (DataError, WeightsError) as error:
        print(f"livepose calibrate: {error}", file=sys.stderr)
        return 2
    confidence, right = (np.concatenate(p) for p in zip(*parts, strict=True))
    gain, bias = fit(confidence, right)
    with torch.no_grad():
        net.presence_gain.mul_(gain)
        net.presence_bias.mul_(gain).add_(bias)
    odds = _odds(confidence)
    before, after = (reliability(c, right)["ece"] for c in
                     (confidence, expit(gain * odds + bias)))  # fmt: skip
    command = f"livepose calibrate {card.name} --lsp DIR --empty DIR --rooms {args.rooms}"
    training = {**card.training, "calibration": {"command": command, "gain": gain, "bias": bias}}
    # What was measured of the confidence before no longer holds; eval --card measures it again.
    save_model(find(args.model), net, training, card.measured)
    print(f"{card.name}: gain {gain:.3f}, bias {bias:.3f}; calibration error {before:.3f} -> "
          f"{after:.3f} on what it was fitted to")  # fmt: skip
    return 0
