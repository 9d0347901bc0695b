"""Rendered people have the labels that belong to them (extra ``synth``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from livepose import cli
from livepose.cv import cv2
from livepose.data.readers import read
from livepose.skeleton import INDEX


def test_shards_are_reproducible_resumable_and_labelled(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("anny", reason="pip install 'livepose[synth]'")
    pytest.importorskip("moderngl", reason="pip install 'livepose[synth]'")
    from livepose.synth import command

    data = shared / "data"
    arguments = ["synth", "--assets", str(data / "assets/makehuman.zip"), "--motions",
                 str(data / "motions"), "--backgrounds", str(data / "backgrounds"),
                 "--workers", "1", "--split", "test"]  # fmt: skip
    monkeypatch.setattr(command, "SHARD", 4)
    monkeypatch.setattr(command, "TAKES", 2)
    # Rendered in this process, so that the numbers above hold.
    job = command.Job(data / "assets/makehuman.zip", data / "motions", data / "backgrounds",
                      "test", tmp_path / "a", 1)  # fmt: skip
    command._open(job)
    assert command._shard(job, 0) == 4
    first = (tmp_path / "a/00000/00003.jpg").read_bytes()
    command._shard(job, 0)
    assert (tmp_path / "a/00000/00003.jpg").read_bytes() == first
    assert cli.main([*arguments, "--out", str(tmp_path / "a"), "--count", "4"]) == 0
    assert "going on: 1 of 1" in capfd.readouterr().out

    s = read("synth", tmp_path / "a", "test")
    assert len(s) == 4
    assert s.masks is not None
    for i in range(4):
        mask = cv2.imread(str(s.masks[i]), cv2.IMREAD_GRAYSCALE)
        image = cv2.imread(str(s.images[i]))
        assert mask.shape == image.shape[:2]
        assert mask.max() == 255
        # What is visible lies on the person.
        for j in np.flatnonzero(s.present[i] == 1):
            x, y = np.round(s.joints[i, j]).astype(int)
            around = mask[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
            assert around.max() > 0, (i, j)
    assert s.xyz is not None
    thigh = np.linalg.norm(s.xyz[:, INDEX["left_hip"]] - s.xyz[:, INDEX["left_knee"]], axis=-1)
    assert ((thigh > 0.3) & (thigh < 0.6)).all()  # metres


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ["--assets", str(tmp_path / "no.zip"), "--motions", str(tmp_path), "--backgrounds",
             str(tmp_path), "--out", str(tmp_path / "out")]  # fmt: skip
    assert cli.main(["synth", *paths]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert "livepose[synth]" in error[0] or "no.zip" in error[0]
