"""The check-up: one line for each part, whatever a part trips over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from livepose import cli, doctor
from livepose.models import store


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A display, OpenGL in software, one camera, no GPU."""
    monkeypatch.setattr(doctor, "display_problem", lambda: "")
    done = subprocess.CompletedProcess([], 0, "llvmpipe (LLVM 15)\n2.5\n", "")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *a, **k: done)
    monkeypatch.setattr(doctor, "list_cameras", lambda: [("0", "HD Webcam")])
    monkeypatch.setattr(doctor, "pixel_formats", lambda path: ["MJPG", "YUYV"])
    monkeypatch.setattr(doctor, "nvidia_hardware", lambda: False)
    monkeypatch.setattr(doctor, "set_cpu_threads", lambda: None)


def told(capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    assert cli.main(["doctor"]) == status
    return capsys.readouterr().out


def test_every_part_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys)
    for part in ("processor:", "GPU:", "torch", "models: base", "a display",
                 "camera 0: HD Webcam (MJPG, YUYV)", "note OpenGL draws in software"):  # fmt: skip
        assert part in text, text
    assert "uncompressed" not in text
    assert "waits for the screen" not in text


def test_what_holds_it_up_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = subprocess.CompletedProcess([], 0, "GeForce\n16.6\n", "")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *a, **k: synced)
    monkeypatch.setattr(doctor, "pixel_formats", lambda path: ["YUYV"])
    busy = doctor.Machine(cores=2, threads=2, load=9.0)
    monkeypatch.setattr(doctor.Machine, "here", lambda threads: busy)
    text = told(capsys)
    assert "load 9.0" in text
    assert "note other programs keep the processor busy" in text
    assert "note painting takes 17 ms: the window system waits for the screen" in text
    assert "note camera 0 sends uncompressed pictures only" in text


def test_what_is_missing_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "display_problem", lambda: "there is no display")
    monkeypatch.setattr(doctor, "list_cameras", list)
    monkeypatch.setattr(doctor, "nvidia_hardware", lambda: True)
    text = told(capsys)
    assert "there is no display; livepose runs headless" in text
    assert "no camera found" in text
    assert "GPU: there is one, but" in text or "ok   GPU" in text


def test_a_driver_that_hangs_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*a: object, **k: object) -> None:
        raise subprocess.TimeoutExpired("python", 60)

    monkeypatch.setattr(doctor.subprocess, "run", hang)
    text = told(capsys)
    assert "OpenGL has not drawn anything within 60 s" in text
    assert "camera 0" in text


def test_a_part_that_fails_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[tuple[str, str]]:
        raise OSError("the driver is gone")

    monkeypatch.setattr(doctor, "list_cameras", broken)
    assert "cameras: the driver is gone" in told(capsys)


def test_broken_weights_are_bad(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def cut_off(name: str) -> None:
        raise store.WeightsError("base.safetensors is cut off")

    monkeypatch.setattr(store, "load_model", cut_off)
    assert "bad  model base: base.safetensors is cut off" in told(capsys, 2)
    monkeypatch.setattr(store, "available", list)
    assert "no models" in told(capsys, 2)
