"""Depth from the skeleton as a whole: what it learns from skeletons alone."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from livepose import dsnt
from livepose.data import skeletons
from livepose.data.samples import DataError, Samples
from livepose.data.skeletons import Lifted, Skeletons
from livepose.models.lifting import Lifting
from livepose.models.margipose import Config, MargiPose, Output
from livepose.skeleton import FLIP, INDEX, J, indices
from livepose.train import lifting
from livepose.train.config import TrainConfig
from livepose.train.loop import Run
from livepose.train.loss import lift_loss, lift_parts
from tests.data.made import write_image

LIFTED = Config("small", 64, heatmap_stride=8, lift_layers=1, lift_width=16)


def samples(xyz: np.ndarray, focal: float = 500.0) -> Samples:
    """People without pictures. xyz: (N, J, 3) metres from the camera."""
    n = len(xyz)
    some, all_ = np.zeros((n, J, 2), "f4"), np.ones((n, J), bool)
    camera = np.tile(np.array([focal, focal, 0, 0], "f4"), (n, 1))
    files = tuple(Path(f"{i}.jpg") for i in range(n))
    return Samples("people", files, some, all_, all_.astype("f4"), some[..., 0],
                   xyz=xyz.astype("f4"), camera=camera)  # fmt: skip


def far(number: int = 40) -> np.ndarray:
    """Different bodies so far away that perspective does nothing, the same on both sides."""
    rng = np.random.default_rng(1)
    body = rng.uniform(-1, 1, (number, J, 3))
    body = body + body[:, list(FLIP)] * [-1, 1, 1]
    body[:, INDEX["pelvis"]] = 0
    body[..., 2] += 2000
    return body


def drawn(people: Samples, number: int = 200, turned: float = 1.0) -> Lifted:
    return Skeletons([people], turned)(np.random.default_rng(0), number)


def without_noise(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(skeletons, "_OFF", 0.0)
    patch.setattr(skeletons, "_OFF_BY_DOUBT", 0.0)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    without_noise(monkeypatch)


@pytest.mark.usefixtures("exact")
def test_skeletons_are_turned_and_scaled_only() -> None:
    people = samples(np.repeat(far(1), 3, 0), focal=1e6)
    got = drawn(people)
    assert people.xyz is not None
    true = np.linalg.norm(people.xyz[0, :, None] - people.xyz[0, None], axis=-1)
    seen = np.linalg.norm(got.xyz[:, :, None] - got.xyz[:, None], axis=-1)
    scale = seen.sum((1, 2)) / true.sum()
    np.testing.assert_allclose(seen / scale[:, None, None], np.tile(true, (200, 1, 1)), atol=5e-3)
    assert np.abs(got.xyz[:, INDEX["pelvis"], 2]).max() < 1e-6  # depth is about the pelvis
    assert scale.std() > 0.1 * scale.mean()
    # All sides are seen.
    left, right = indices(["left_hip", "right_hip"])
    facing = np.sign(got.xyz[:, left, 2] - got.xyz[:, right, 2])
    assert 0.3 < (facing > 0).mean() < 0.7


@pytest.mark.usefixtures("exact")
def test_mirrored_people_keep_their_left_hand() -> None:
    body = far(1)
    body[:, INDEX["nose"]] = [0, 0, 1999]  # looks at the camera
    body[:, INDEX["neck"]] = [0, -0.5, 2000]
    body[:, INDEX["left_shoulder"]], body[:, INDEX["right_shoulder"]] = (
        [0.3, -0.5, 2000], [-0.3, -0.5, 2000])  # fmt: skip

    def handed(xyz: np.ndarray) -> np.ndarray:
        nose, neck, pelvis, left, right = (xyz[:, i] for i in indices(
            ["nose", "neck", "pelvis", "left_shoulder", "right_shoulder"]))  # fmt: skip
        return np.sign((np.cross(neck - pelvis, left - right) * (nose - neck)).sum(-1))

    assert (handed(drawn(samples(body, focal=1e6)).xyz) == handed(body)).all()


@pytest.mark.usefixtures("exact")
def test_joints_outside_the_square_or_behind_the_camera_do_not_count() -> None:
    body = far() - [0, 0, 1999.2]  # some joints are behind a camera that is this near
    got = drawn(samples(body, focal=300))
    assert np.isfinite(got.xyz).all()
    assert 0.3 < got.known.mean() < 1
    assert (np.abs(got.xyz[got.known]) < 1).all()
    assert not got.sure[~got.known].any()  # none is found where none counts
    assert 0.9 < (got.sure[got.known] > 0).mean() < 1  # and a few are missed


def test_doubtful_joints_are_farther_off(monkeypatch: pytest.MonkeyPatch) -> None:
    people = samples(np.repeat(far(1), 3, 0), focal=1e6)
    got = drawn(people, 2000)
    with monkeypatch.context() as patch:
        without_noise(patch)
        off = np.abs(got.xyz - drawn(people, 2000).xyz)
    assert not off[..., 2].any()
    sure, doubtful = (off[got.known & (got.sure > low) & (got.sure < high), :2]
                      for low, high in ((0.8, 1), (0.01, 0.4)))  # fmt: skip
    assert 0.005 < np.median(sure) < 0.5 * np.median(doubtful) < 0.05


def test_only_true_depth_is_drawn_from() -> None:
    people = samples(far())
    flat = replace(people, xyz=None, camera=None)
    part = far()
    part[:10, INDEX["pelvis"]] = np.nan  # nothing is known about it
    assert len(Skeletons([flat])) == 0
    assert len(Skeletons([flat, people, samples(part)])) == 70


def test_depth_is_learned_from_skeletons_alone() -> None:
    """Bodies that are all the same: how far a joint is follows from the places of all."""
    torch.manual_seed(0)
    draw = Skeletons([samples(far(1), focal=1e6)], turned=0)
    rng, net = np.random.default_rng(0), Lifting(J, 8, 64, 1)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    out = Output(*(torch.zeros(1, J, 3) for _ in range(6)))
    nobody = {"xyz": torch.zeros(1, J, 3), "known": torch.zeros(1, J, dtype=torch.bool),
              "depth_known": torch.zeros(1, J, dtype=torch.bool)}  # fmt: skip
    errors = []
    for _ in range(150):
        parts = lift_parts(net, draw(rng, 64), out, nobody)
        optimiser.zero_grad()
        parts["lift"].backward()
        optimiser.step()
        errors.append(parts["lift"].item())
    assert np.mean(errors[-10:]) < 0.5 * errors[0]  # it began with "as far as the pelvis"


def test_the_lifting_learns_alone_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = samples(far(4))
    for image in people.images:
        write_image(tmp_path / image, 64, 64)
    people = replace(people, images=tuple(tmp_path / image for image in people.images))
    config = TrainConfig((), network=LIFTED, skeletons=16, lifting_first=5, steps=2, batch=2,
                         workers=0)  # fmt: skip
    before = MargiPose(LIFTED)

    def run(name: str, stop_at: int = -1) -> Run:
        run = Run(config, tmp_path / name)
        before.load_state_dict(run.net.state_dict())
        begun: list[int] = []

        def loss(*args):  # type: ignore[no-untyped-def]
            begun.append(1)
            if len(begun) == stop_at:
                os.kill(os.getpid(), signal.SIGINT)
            return lift_loss(*args)

        with monkeypatch.context() as patch:
            patch.setattr(lifting, "lift_loss", loss)
            run.train([(people, 1.0)], people)
        return run

    through = run("a")
    stopped = run("b", stop_at=3)
    assert stopped.step == 0
    assert not (tmp_path / "b/state.pt").exists()  # it begins anew, and comes to the same
    again = run("b")
    for name, value in through.net.state_dict().items():
        assert torch.equal(value, again.net.state_dict()[name]), name
    # The average begins where the lifting has come to, and what is no lifting has not learned yet.
    fresh = Run(config, tmp_path / "c")
    monkeypatch.setattr(fresh, "_run", lambda *args: None)
    fresh.train([(people, 1.0)], people)
    for name, value in fresh.net.state_dict().items():
        assert torch.equal(value, fresh.ema.state_dict()[name])
        assert torch.equal(value, before.state_dict()[name]) != name.startswith(
            ("lifting.depth", "lifting.layers", "lifting.norm", "lifting.enter")), name  # fmt: skip
    # Once it is behind the run, it does not come again.
    on = Run(config, tmp_path / "c")
    assert on.resume()
    monkeypatch.setattr(lifting, "lift_loss", None)
    on.train([(people, 1.0)], people)
    assert on.step == 2


class Says(nn.Module):
    """Says one depth for every joint, and remembers what it was asked."""

    def __init__(self, depth: float) -> None:
        super().__init__()
        self.depth, self.asked = depth, []  # type: ignore[var-annotated]

    def forward(self, xy: Tensor, sure: Tensor) -> Tensor:
        self.asked.append((xy, sure))
        return torch.full(xy.shape[:2], self.depth)


def test_labelled_skeletons_imply_depth_where_none_is_known() -> None:
    out = Output(*(torch.zeros(3, J, 3) for _ in range(6)))
    known, deep = torch.ones(3, J, dtype=torch.bool), torch.zeros(3, J, dtype=torch.bool)
    known[0, 7:] = False  # too little is known of the first
    deep[1] = True  # the second has its own depth
    target = {"xyz": torch.rand(3, J, 3), "known": known, "depth_known": deep}
    some = Lifted(np.zeros((2, J, 3), "f4"), np.ones((2, J), "f4"), np.ones((2, J), bool))
    says = Says(0.75)
    parts = lift_parts(says, some, out, target)
    assert parts["lift"].item() == pytest.approx(10 * 0.75)
    assert parts["implied"].item() == pytest.approx(0.5 * 0.75)
    assert torch.equal(says.asked[0][1], known.float())
    agrees = out._replace(xyz=torch.full((3, J, 3), 0.75))
    assert lift_parts(says, some, agrees, target)["implied"].item() == pytest.approx(0, abs=1e-6)


def test_a_network_lifts_what_it_found() -> None:
    torch.manual_seed(0)
    net = MargiPose(LIFTED).eval()
    plain = MargiPose(replace(LIFTED, lift_layers=0)).eval()
    net.go_on_from(plain)
    x = torch.randn(2, 3, 64, 64)
    assert net.lifting is not None
    with torch.no_grad():
        net.lifting.depth.bias.fill_(0.7)
        net.lifting.spread.fill_(-3)  # and is sure of it
        out = net(x)
    assert torch.equal(out.xy, plain(x).xy)
    assert torch.allclose(out.xyz[..., 2], torch.tensor(0.7), atol=0.05)
    z = (dsnt.dsnt(out.zy)[..., 0] + dsnt.dsnt(out.xz)[..., 1]) / 2
    assert torch.allclose(out.xyz[..., 2], z)


def test_the_picture_may_object() -> None:
    """What is seen at the joints changes their depth, and is learned from pictures only."""
    torch.manual_seed(0)
    net = Lifting(J, 8, 32, 1)
    nn.init.normal_(net.depth.weight)
    xy, sure, looks = torch.rand(2, J, 2), torch.ones(2, J), torch.randn(2, J, 8)
    assert torch.equal(net(xy, sure, looks), net(xy, sure))
    nn.init.normal_(net.look.weight)
    assert (net(xy, sure, looks) - net(xy, sure)).abs().mean() > 0.1
    net(xy, sure).sum().backward()
    assert net.look.weight.grad is None


@pytest.mark.parametrize("training", [True, False])
def test_it_sees_the_coordinates_of_evaluation(training: bool) -> None:
    torch.manual_seed(0)
    net = MargiPose(replace(LIFTED, peak_radius=1)).train(training)
    asked: list[Tensor] = []
    assert net.lifting is not None
    net.lifting.register_forward_pre_hook(lambda module, inputs: asked.append(inputs[0]))
    x = torch.randn(2, 3, 64, 64)
    out = net(x)
    assert not asked[0].requires_grad
    assert torch.allclose(asked[0], net.eval()(x).xyz[..., :2], atol=1e-6)
    assert torch.allclose(asked[0], out.xyz[..., :2]) != training


def test_half_precision_keeps_coordinates() -> None:
    torch.manual_seed(0)
    net = Lifting(J, 8, 32, 1)
    nn.init.normal_(net.depth.weight)
    xy, sure, looks = torch.rand(4, J, 2) * 2 - 1, torch.rand(4, J), torch.randn(4, J, 8)
    with torch.no_grad():
        exact = net(xy, sure, looks)
        half = net.bfloat16()(xy, sure, looks)
    assert half.dtype == torch.float32
    assert (exact - half).abs().mean() < 0.03 * exact.std()


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lift_layers"):
        TrainConfig((), skeletons=8)
    with pytest.raises(ValueError, match="lifting_first needs skeletons"):
        TrainConfig((), network=LIFTED, lifting_first=8)
    with pytest.raises(ValueError, match="lift_layers must not be negative and lift_width"):
        Config(lift_layers=1, lift_width=0)
    config = TrainConfig((), network=LIFTED, skeletons=8, steps=1, workers=0)
    people = replace(samples(far(2)), xyz=None, camera=None)
    with pytest.raises(DataError, match="true 3D labels"):
        Run(config, tmp_path).train([(people, 1.0)], people)
