"""Rendered people have the labels that belong to them (extra ``synth``)."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from livepose import cli
from livepose.cv import cv2
from livepose.data.readers import read
from livepose.data.samples import DataError
from livepose.skeleton import INDEX
from livepose.synth import command, held_out


def test_shards_are_reproducible_resumable_and_labelled(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("anny", reason="pip install 'livepose[synth]'")
    pytest.importorskip("moderngl", reason="pip install 'livepose[synth]'")
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
    assert cli.main([*arguments, "--out", str(tmp_path / "a"), "--count", "8", "--seed", "2"]) == 2
    with pytest.raises(DataError, match="of the split 'test'"):
        read("synth", tmp_path / "a", "train")

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


def test_builds_of_bodies_are_held_out() -> None:
    rng = np.random.default_rng(0)
    drawn = np.column_stack([rng.uniform(*held_out.HEIGHTS, 2000), rng.beta(2.2, 2.2, 2000)])
    weights = {split: np.array([held_out.weight_of(split, h, w) for h, w in drawn])
               for split in ("train", "test")}  # fmt: skip
    of_test = {split: [held_out.is_test_build(h, w) for (h, _), w in zip(drawn, own, strict=True)]
               for split, own in weights.items()}  # fmt: skip
    assert not any(of_test["train"])
    assert all(of_test["test"])
    for own in weights.values():
        assert (own.min(), own.max()) == (pytest.approx(0, abs=0.1), pytest.approx(1, abs=0.1))
    # Training keeps the bodies that it may have, and the others are near.
    free = ~np.array([held_out.is_test_build(h, w) for h, w in drawn])
    assert free.mean() > 0.7
    assert np.allclose(weights["train"][free], drawn[free, 1])
    assert np.abs(weights["train"] - drawn[:, 1]).max() < 0.2 + 1e-9


SETTINGS = ["--assets", "x.zip", "--motions", "x", "--backgrounds", "x", "--workers", "1"]


def write_shard(folder: Path, **settings: object) -> None:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "00000.npz", image=np.array(["00000/0.jpg"]), **settings)


@pytest.mark.parametrize(
    ("other", "name"),
    [({"split": "test"}, "split test, not train"), ({"seed": 2}, "seed 2, not 1"),
     ({"recipe": 1}, "recipe 1"), ({"takes": 7}, "takes 7"), (None, "split unknown")],
)  # fmt: skip
def test_a_set_is_not_gone_on_with_by_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: dict[str, object] | None, name: str
) -> None:
    own = command.Job(tmp_path, tmp_path, tmp_path, "train", tmp_path, 1).settings
    write_shard(tmp_path / "out", **(own | other if other is not None else {}))
    assert cli.main(["synth", *SETTINGS, "--out", str(tmp_path / "out"), "--count", "400"]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert f"was made with {name}" in error[0]


def _open_in_parent_only(job: command.Job) -> None:
    if multiprocessing.parent_process() is not None:
        os._exit(9)  # as a worker that is killed


def test_a_worker_that_is_killed_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_open", _open_in_parent_only)
    assert cli.main(["synth", *SETTINGS, "--out", str(tmp_path), "--count", "200"]) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if "livepose synth" in line]
    assert len(errors) == 1
    assert "a worker died" in errors[0]


def test_without_opengl_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(**_: object) -> None:
        raise Exception("eglInitialize failed")  # what glcontext raises

    fake = SimpleNamespace(create_context=nothing, **dict.fromkeys(
        ("Buffer", "Texture", "VertexArray"), object))  # fmt: skip
    monkeypatch.setitem(sys.modules, "moderngl", fake)
    spec = importlib.util.find_spec("livepose.synth.render")
    assert spec is not None
    assert spec.loader is not None
    render = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, render)
    spec.loader.exec_module(render)
    with pytest.raises(OSError, match=r"eglInitialize failed.*apt-get install libegl1"):
        render.Renderer(64)


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ["--assets", str(tmp_path / "no.zip"), "--motions", str(tmp_path), "--backgrounds",
             str(tmp_path), "--out", str(tmp_path / "out")]  # fmt: skip
    assert cli.main(["synth", *paths]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert "livepose[synth]" in error[0] or "no.zip" in error[0]
