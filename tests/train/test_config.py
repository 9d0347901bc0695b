"""Configuration files of trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from livepose import cli
from livepose.data.readers import READERS
from livepose.models.networks import build
from livepose.train.config import read_config


def test_configurations_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    for text, message in (
        ("= 3", "not TOML"), ("speed = 3\ndata = []", "unknown settings"), ("steps = 3", "data"),
        ('[[data]]\nroot = "x"', "reader"), ('data = []\nregulariser = "x"', "js, kl"),
        ("data = []\nnetwork.input_size = 7", "multiples"),
        ('data = []\nsteps = "300"', "steps = '300' must be of type int"),
        ("data = []\nbatch = 2.5", "must be of type int"), ("data = []\nsizes = [1.5]", "int"),
        ('[[data]]\nreader = "lsp"\nroot = "x"\nshare = "x"', "must be of type float"),
        ('[[data]]\nreader = "lsp"\nroot = "x"\nsplit = "test"', "test splits"),
        ('data = []\nvalidation = {reader = "lsp", root = "x", split = "test"}', "test splits"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_config(file)
    with pytest.raises(ValueError, match=r"none\.toml"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize("file", sorted((Path(cli.__file__).parent / "train/configs").glob("*")))
def test_shipped_configurations_are_readable(file: Path) -> None:
    config = read_config(file)
    assert all(part.share > 0 and part.reader in READERS for part in config.data)
    build(config.network)


def test_a_configuration_like_another(tmp_path: Path) -> None:
    def say(name: str, text: str) -> Path:
        (tmp_path / f"{name}.toml").write_text(text)
        return tmp_path / f"{name}.toml"

    part = '[[data]]\nreader = "lsp"\nroot = "data/lsp_dataset"\n'
    one = read_config(say("one", f"steps = 5\nseed = 4\n{part}"))
    two = read_config(say("two", 'like = "one"\nseed = 6\nshares = {lsp = 0.5}\n'))
    assert two == replace(one, seed=6, data=(replace(one.data[0], share=0.5),))
    assert read_config(say("three", 'like = "two"\nsteps = 7')) == replace(two, steps=7)
    for text, wrong in (
        ('like = "four"', "like itself"), ('like = "none"', "none.toml"),
        ('like = "two"\nshares = {coco = 1}', "0 of the data are read by 'coco'"),
        (f'like = "two"\n{part}{part}[shares]\nlsp = 1', "2 of the data"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=wrong):
            read_config(say("four", text))
