"""Two processes under torchrun train what one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from livepose.models.margipose import Config, MargiPose
from tests.data.made import write_image

_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from livepose.data.samples import Samples
from livepose.models.margipose import Config
from livepose.skeleton import J
from livepose.train.config import Part, TrainConfig
from livepose.train.loop import Run

folder = Path(sys.argv[1])
joints = np.random.default_rng(0).uniform(20, 80, (4, J, 2)).astype("f4")
full = np.ones((4, J), "f4")
images = tuple(folder / f"{i}.png" for i in range(4))
depth = full * np.arange(J) % 7
depth[1:] = np.nan  # few have depth, and few labels: most batches of one process have none
known = full > 0
known[2:, 5:] = False
people = Samples("made", images, joints, known, full, depth)
config = TrainConfig(
    data=(Part("lsp", ""),), network=Config(input_size=64, context_layers=1, context_width=8),
    steps=3, batch=4, workers=0, warm_up=1, validate_every=3, seed=3, precision="float32",
)
run = Run(config, folder / sys.argv[2])
run.resume()
run.train([(people, 1.0)], people)
"""


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    for i in range(4):
        write_image(tmp_path / f"{i}.png", 90, 120)
    script = tmp_path / "go.py"
    script.write_text(_SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]),
                   "OMP_NUM_THREADS": "1"}  # fmt: skip
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for start, name in (([], "one"), (two, "two")):
        command = [sys.executable, *start, str(script), str(tmp_path), name]
        subprocess.run(command, check=True, env=environment, timeout=300)
    one, both = (
        torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("one", "two")
    )
    assert both["step"] == 3
    # AdamW makes much of the smallest differences, where gradients are near 0.
    torch.manual_seed(3)
    start = MargiPose(Config(input_size=64, context_layers=1, context_width=8)).state_dict()
    a, b = (
        torch.cat([(run["net"][k] - v).flatten() for k, v in start.items()]) for run in (one, both)
    )
    assert a.norm() > 0.1
    assert torch.cosine_similarity(a, b, 0) > 0.99
    assert len((tmp_path / "two/log.jsonl").read_text().splitlines()) == 1
    # Not to be gone on with by another number of processes.
    command = [sys.executable, str(script), str(tmp_path), "two"]
    alone = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300,
                           check=False)  # fmt: skip
    assert "go on with as many" in alone.stderr
