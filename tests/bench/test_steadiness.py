"""Jitter and lag before and after smoothing, on a motion that is known."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

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


def test_standing_still_the_deviation_is_that_of_the_noise(clip: np.ndarray) -> None:
    still = np.repeat(clip[:1], 200, 0)
    noise = np.random.default_rng(1).normal(0, 0.006 * torso(clip), still.shape)
    drift = 0.01 * torso(clip) * np.arange(200)[:, None, None] / FPS  # leaning is no jitter
    figures = steadiness(still + drift + noise, still, FPS, torso(clip))
    assert figures["deviation_still"] == pytest.approx(6, rel=0.05)
    assert np.isnan(figures["lag_fast_ms"])
    moving = clip[:1] + 300 * np.sin(np.arange(200) / 3)[:, None, None]
    assert np.isnan(steadiness(moving, moving, FPS, torso(clip))["deviation_still"])


def test_deviation_and_fast_lag_before_and_after_smoothing(
    clip: np.ndarray, noisy: np.ndarray
) -> None:
    unit, sure = torso(noisy), np.ones(noisy.shape[:2])
    before = steadiness(noisy, clip, FPS, unit)
    after = steadiness(smoothed(noisy, sure, FPS, unit, Smoothing()), clip, FPS, unit)
    assert before["deviation_still"] == pytest.approx(5, rel=0.1)
    assert after["deviation_still"] < 0.7 * before["deviation_still"]
    assert abs(before["lag_fast_ms"]) < 2
    assert 0 < after["lag_fast_ms"] < 20
    late = np.roll(clip, 2, axis=0)
    assert steadiness(late, clip, FPS, unit)["lag_fast_ms"] == pytest.approx(2e3 / FPS, rel=0.1)


def test_where_nobody_was_found_time_goes_on(clip: np.ndarray, noisy: np.ndarray) -> None:
    unit, sure = torso(noisy), np.ones(noisy.shape[:2])
    holes = noisy.copy()
    holes[40:55] = holes[100] = np.nan
    track = smoothed(holes, sure, FPS, unit, Smoothing())
    assert np.isnan(track[40:55]).all()
    assert np.isfinite(track[55:100]).all()
    whole, some = (steadiness(t, clip, FPS, unit) for t in
                   (smoothed(noisy, sure, FPS, unit, Smoothing()), track))  # fmt: skip
    for name, value in whole.items():
        assert some[name] == pytest.approx(value, rel=0.15), name


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
    own, _ = at_lag(noisy, sure, FPS, unit, other["lag_ms"], noisy)
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
    noisy: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from livepose.bench import steadiness as command

    sure = np.ones(noisy.shape[:2])
    monkeypatch.setattr(command, "_track", lambda *a: (noisy, sure, FPS))
    out = tmp_path / "steady.json"
    assert cli.main(["steadiness", "--json", str(out)]) == 0
    raw, smooth = json.loads(out.read_text())
    assert smooth["jitter"] < raw["jitter"]
    assert smooth["deviation_still"] < raw["deviation_still"]
    assert smooth["lag_fast_ms"] > raw["lag_fast_ms"]  # behind the true joints beside the clip
    assert "true joints" in capsys.readouterr().out


def test_a_lag_that_cannot_be_reached_is_said(
    noisy: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from livepose.bench import steadiness as command

    sure = np.ones(noisy.shape[:2])
    monkeypatch.setattr(command, "_track", lambda *a: (noisy, sure, FPS))

    def run(line: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        late = np.repeat(noisy[:, :1], 33, 1)
        late[:, command._COCO] = noisy
        np.savez(line[-1], fps=FPS, raw=late, smooth=np.roll(late, 30, axis=0))
        return subprocess.CompletedProcess(line, 0, "", "")

    monkeypatch.setattr(command.subprocess, "run", run)
    assert cli.main(["steadiness", "--mediapipe", "python"]) == 0
    assert "does not reach a lag of" in capsys.readouterr().out
