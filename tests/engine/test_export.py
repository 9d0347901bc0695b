"""Networks are exported once, kept, and compiled without harm to the process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livepose.engine import backends
from livepose.engine.backends import kept
from livepose.engine.backends.prepare import prepare
from livepose.engine.loading import Choice
from livepose.models.store import load_model, save_model
from tests.engine.fakes import CPU, Log, session, tiny, wait_for
from tests.engine.test_backends import IMAGE, SQUARES, net


@pytest.mark.parametrize(("name", "module"), [
    ("openvino", "openvino_backend"), ("onnxruntime", "onnx_backend"),
])  # fmt: skip
def test_a_network_is_exported_once(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name)
    module = f"livepose.engine.backends.{module}.exported"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert backends.exports_first(net("plain"), CPU, name)
    first = backends.make(net("plain"), CPU, name)[0](IMAGE, SQUARES)
    assert not backends.exports_first(net("plain"), CPU, name)
    with monkeypatch.context() as patch:
        patch.setattr(module, None)  # not needed any more
        again, note = backends.make(net("plain"), CPU, name)
    assert note == ""
    np.testing.assert_allclose(again(IMAGE, SQUARES).xyz, first.xyz, atol=1e-5)
    # A broken cache is made again; another network has its own.
    for file in [*tmp_path.rglob("*.xml"), *tmp_path.rglob("*.onnx")]:
        file.write_text("<net>")
    for kind in ("plain", "context"):
        assert backends.make(net(kind), CPU, name)[1] == ""
    assert len(list((tmp_path / "livepose" / name).iterdir())) == 2


def test_what_was_not_used_for_longest_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_MOST", 250)
    a, b, c = (tmp_path / name for name in "abc")
    for age, folder in enumerate((b, a)):
        kept.keep(folder, lambda fresh: (fresh / "graph").write_bytes(bytes(100)) and None)
        os.utime(folder, (1000 + age, 1000 + age))
    kept.mark_used(b)  # made before a, used after it
    kept.keep(c, lambda fresh: (fresh / "graph").write_bytes(bytes(100)) and None)
    assert sorted(tmp_path.iterdir()) == [b, c]

    def broken(fresh: Path) -> None:
        (fresh / "graph").write_bytes(bytes(1))
        raise OSError("the disk is full")

    kept.keep(b, broken)  # what was there stays, whole
    assert (b / "graph").stat().st_size == 100
    assert sorted(tmp_path.iterdir()) == [b, c]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_network_is_exported_by_another_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_model(tmp_path / "tiny.safetensors", tiny(), {}, {})
    monkeypatch.chdir(tmp_path)  # where the path holds; the other process is elsewhere
    loaded = load_model("tiny.safetensors")[0]
    assert backends.exports_first(loaded, CPU, name)
    assert prepare("tiny.safetensors", 96, "float32", name)
    assert backends.exports_first(loaded, CPU, name)
    assert not backends.exports_first(backends.at_size(loaded, 96), CPU, name)
    if name == "openvino":  # it has other graphs for several people
        assert backends.exports_first(backends.at_size(loaded, 96), replace(CPU, squares=2), name)
        assert prepare("tiny.safetensors", 96, "float32", name, squares=2)
        assert not backends.exports_first(loaded, replace(CPU, squares=2), name)
    assert not prepare("nowhere.safetensors", None, "float32", name)


def test_a_network_that_is_new_here_runs_in_torch_until_it_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = tmp_path / "tiny.safetensors"
    save_model(model, tiny(), {}, {})
    log = Log()
    s = session("synthetic:64x48@50", log, load=lambda name: load_model(str(model))[0],
                backend="auto")  # fmt: skip
    s.use(Choice(str(model), "auto"))
    s.start()
    try:
        wait_for(lambda: log.results, 120)
        assert "openvino" not in log.results[0].device
        wait_for(lambda: "openvino" in log.results[-1].device, 300)
    finally:
        assert s.stop()
    gaps = np.diff([r.frame.timeline.end_ns for r in log.results]) / 1e6
    assert np.median(gaps) < 500  # the live picture went on meanwhile
    # The next time it is there at once.
    again = Log()
    s = session("synthetic:64x48@50", again, load=lambda name: load_model(str(model))[0],
                backend="auto")  # fmt: skip
    s.start()
    wait_for(lambda: again.results, 120)
    assert "openvino" in again.results[0].device
    assert s.stop()


_STACKS = """
import ctypes
import torch
from livepose.engine import backends
from livepose.engine.device import Placement
from tests.engine.fakes import tiny

def stack():
    now = (ctypes.c_size_t * 3)()  # start, flags, size
    assert not ctypes.CDLL(None).sigaltstack(None, now)
    return list(now)

before = stack()
backend, note = backends.make(tiny(), Placement(torch.device("cpu"), torch.bfloat16), "openvino")
assert not note, note
assert stack() == before, (stack(), before)
"""


_ONE_THREAD = """
import torch
from livepose.engine import backends, device
from livepose.models.margipose import Config, MargiPose

device.set_cpu_threads(1)
net = MargiPose(Config("lightning", 64, context_layers=1, lift_layers=2)).eval()
backend, note = backends.make(net, device.Placement(torch.device("cpu"), torch.float32), "openvino")
assert not note, note
"""


def test_openvino_on_one_thread_does_not_end_the_process() -> None:
    pytest.importorskip("openvino")
    assert _ended(_ONE_THREAD) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="signal stacks as Linux has them")
def test_openvino_leaves_no_signal_stack_that_is_too_small_after_amx() -> None:
    pytest.importorskip("openvino")
    assert _ended(_STACKS) == (0, "")


def _ended(program: str) -> tuple[int, str]:
    """How a program ends in a process of its own: its status, and what it said if that is not 0."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    end = subprocess.run([sys.executable, "-c", program], env=environment, timeout=300,
                         capture_output=True, text=True, check=False)  # fmt: skip
    return end.returncode, end.stderr[-500:] if end.returncode else ""
