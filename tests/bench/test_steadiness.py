"""Jitter and lag before and after smoothing, on a motion that is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from livepose import cli, resources
from livepose.bench.steadiness import at_lag, smoothed, steadiness, torso
from livepose.engine.smoothing import Smoothing, alpha

FPS = 30.0


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """(F, 17, 2) true joints of the bundled clip: somebody stands, waves, squats, marches."""
    return np.load(resources.CLIP.with_suffix(".truth.npz"))["joints"][:, :17].astype(float)


@pytest.fixture(scope="module")
def noisy(clip: np.ndarray) -> np.ndarray:
    """With noise like that of a network: about half a hundredth of a torso."""
    noise = np.random.default_rng(0).normal(0, 0.005 * torso(clip), clip.shape)
    return clip + noise


def theirs(raw: np.ndarray, unit: float) -> np.ndarray:
    """MediaPipe's smoothing of landmarks: One Euro with its settings, each coordinate by itself."""
    scale = 3.5 * unit  # it measures speed in sides of the person's box
    points, speed, out = raw[0].copy(), np.zeros_like(raw[0]), [raw[0]]
    for now in raw[1:]:
        rate = (now - points) * FPS / scale
        speed = speed + alpha(1.0, 1 / FPS) * (rate - speed)
        keep = alpha(0.05 + 80.0 * np.abs(speed), 1 / FPS)
        points = points + keep * (now - points)
        out.append(points)
    return np.array(out)


def test_a_delay_is_found_and_still_noise_is_measured() -> None:
    at = np.arange(300) / FPS
    wave = 100 * np.sin(3 * at)[:, None, None] * np.ones((1, 2, 2))
    late = 100 * np.sin(3 * (at - 0.05))[:, None, None] * np.ones((1, 2, 2))
    figures = steadiness(late, wave, FPS, 100)
    assert figures["lag_ms"] == pytest.approx(50, abs=2)
    noise = np.random.default_rng(0).normal(0, 1, (300, 2, 2))
    assert steadiness(noise, np.zeros_like(noise), FPS, 100)["jitter_still"] == pytest.approx(
        10 * np.sqrt(6), rel=0.1
    )


def test_after_smoothing_there_is_less_jitter_for_little_lag(noisy: np.ndarray) -> None:
    unit, sure = torso(noisy), np.ones(noisy.shape[:2])
    before = steadiness(noisy, noisy, FPS, unit)
    after = steadiness(smoothed(noisy, sure, FPS, unit, Smoothing()), noisy, FPS, unit)
    assert before["lag_ms"] == pytest.approx(0, abs=1e-6)
    assert after["jitter_still"] < 0.4 * before["jitter_still"]
    assert after["lag_ms"] < 20


def test_at_equal_lag_less_jitter_than_with_mediapipes_settings(noisy: np.ndarray) -> None:
    unit, sure = torso(noisy), np.ones(noisy.shape[:2])
    other = steadiness(theirs(noisy, unit), noisy, FPS, unit)
    own, _ = at_lag(noisy, sure, FPS, unit, other["lag_ms"])
    figures = steadiness(own, noisy, FPS, unit)
    assert figures["lag_ms"] <= other["lag_ms"] + 0.1
    assert figures["jitter_still"] < other["jitter_still"]
    assert figures["jitter"] < other["jitter"]


def test_the_command_says_what_is_no_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["steadiness", "--source", str(tmp_path / "no.avi")]) == 2
    assert "somebody in it" in capsys.readouterr().err


def test_the_command_on_a_known_track(
    noisy: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livepose.bench import steadiness as command

    sure = np.ones(noisy.shape[:2])
    monkeypatch.setattr(command, "_track", lambda *a: (noisy, sure, FPS))
    out = tmp_path / "steady.json"
    assert cli.main(["steadiness", "--json", str(out)]) == 0
    raw, smooth = json.loads(out.read_text())
    assert smooth["jitter"] < raw["jitter"]
