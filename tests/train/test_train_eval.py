"""Training goes on where it stopped, evaluation counts by hand, the commands end to end."""

from __future__ import annotations

import copy
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import cli, skeleton
from livepose.crop import to_input
from livepose.cv import cv2
from livepose.data.mix import Mix, collate
from livepose.data.samples import Samples
from livepose.engine import device
from livepose.evaluate import command
from livepose.evaluate.metrics import pck
from livepose.evaluate.protocol import predict
from livepose.models.margipose import Config, MargiPose
from livepose.models.outputs import OUTPUTS
from livepose.models.store import load_model, save_model
from livepose.train.config import Part, TrainConfig
from livepose.train.loop import Run
from livepose.train.loss import COORDINATE_LOSSES, REGULARISERS, loss_parts, total
from livepose.train.pack import mean
from livepose.train.schedule import learning_rate
from tests.data.made import write_image

J = skeleton.J


@pytest.fixture
def people(tmp_path: Path) -> Samples:
    rng = np.random.default_rng(0)
    images = [tmp_path / f"images/{i}.png" for i in range(6)]
    for image in images:
        write_image(image, 90, 120)
    joints = rng.uniform(20, 80, (6, J, 2)).astype("f4")
    full = np.ones((6, J), "f4")
    return Samples("made", tuple(images), joints, full > 0, full, full * 3)


CONFIG = TrainConfig(
    data=(Part("lsp", "", 1.0),), network=Config(input_size=64), steps=4, batch=2, workers=0,
    warm_up=2, validate_every=2, seed=3,
)  # fmt: skip


def test_going_on_is_the_same_as_going_through(people: Samples, tmp_path: Path) -> None:
    through = Run(CONFIG, tmp_path / "a")
    through.train([(people, 1.0)], people)

    first = Run(CONFIG, tmp_path / "b")
    step = first.optimiser.step

    def stop_in_the_second(*args):  # type: ignore[no-untyped-def]
        if first.step == 1:  # in the midst of an update
            os.kill(os.getpid(), signal.SIGINT)
        return step(*args)

    first.optimiser.step = stop_in_the_second  # type: ignore[method-assign]
    first.train([(people, 1.0)], people)
    assert first.step == 2
    second = Run(CONFIG, tmp_path / "b")
    assert second.resume()
    assert second.step == 2
    second.train([(people, 1.0)], people)
    for name, value in through.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name
    for name, value in through.ema.state_dict().items():
        assert torch.equal(value, second.ema.state_dict()[name]), name
    assert through.means == second.means
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in "ab"]
    assert logs[0] == logs[1]
    assert (tmp_path / "a/best.pt").exists()


def test_a_run_of_another_configuration_is_not_continued(people: Samples, tmp_path: Path) -> None:
    run = Run(CONFIG, tmp_path)
    run.save()
    with pytest.raises(ValueError, match="another configuration"):
        Run(replace(CONFIG, batch=4), tmp_path).resume()
    # What touches speed only, and a lower rate after a NaN, may be chosen anew.
    assert Run(replace(CONFIG, rate=1e-5, workers=2), tmp_path).resume()
    (tmp_path / "log.jsonl").write_text('{"step": 0}\n{"step": 2}\n')
    assert run.resume()
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 0}\n'  # what is lost is not logged


def test_bfloat16_where_the_machine_computes_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for has, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(device, "cpu_has_bfloat16", lambda has=has: has)
        run = Run(CONFIG, tmp_path / precision)
        assert run.config.precision == precision  # which is what the card says
    run.save()
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: True)
    assert Run(CONFIG, tmp_path / "float32").resume()  # on another machine
    assert Run(replace(CONFIG, precision="float32"), tmp_path).config.precision == "float32"


def test_not_a_number_stops_it_with_the_last_state_kept(people: Samples, tmp_path: Path) -> None:
    run = Run(CONFIG, tmp_path)
    run.save()
    with torch.no_grad():
        run.net.presence_bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 0"):
        run.train([(people, 1.0)], people)
    fresh = Run(CONFIG, tmp_path)
    assert fresh.resume()
    assert all(torch.isfinite(p).all() for p in fresh.net.parameters())


def test_a_batch_with_unusable_gradients_is_skipped_and_counted(
    people: Samples, tmp_path: Path
) -> None:
    run = Run(CONFIG, tmp_path)
    before = copy.deepcopy(run.net.state_dict())
    broken = run.net.presence_bias.register_hook(lambda gradient: gradient * float("inf"))
    batch = collate([Mix([(people, 1.0)], 64, 0, 2)[k] for k in range(2)])
    run._update(dict(batch))
    assert (run.step, run.skipped) == (1, 1)
    assert all(torch.equal(v, before[k]) for k, v in run.net.state_dict().items())
    broken.remove()
    run._update(dict(batch))
    assert (run.step, run.skipped) == (2, 1)
    assert not torch.equal(run.net.presence_bias, before["presence_bias"])
    run.save()
    again = Run(CONFIG, tmp_path)
    assert again.resume()
    assert again.skipped == 1


@pytest.mark.parametrize("coordinates", sorted(COORDINATE_LOSSES))
@pytest.mark.parametrize("regulariser", sorted(REGULARISERS))
def test_losses_by_name(people: Samples, coordinates: str, regulariser: str) -> None:
    net = MargiPose(Config(input_size=64))
    batch = collate([Mix([(people, 1.0)], 64, 0, 2)[k] for k in range(2)])
    out = net(to_input(batch.pop("image")))
    parts = loss_parts(out, batch, coordinates=coordinates, regulariser=regulariser)
    assert torch.isfinite(total(parts))
    assert (parts["xy_reg"] > 0) == (regulariser != "none")


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_learns(people: Samples, tmp_path: Path, output: str) -> None:
    network = Config("small", 64, heatmap_stride=8, output=output)
    run = Run(replace(CONFIG, network=network, steps=30, rate=2e-3, pretrained_rate=1.0), tmp_path)
    batch = collate([Mix([(people, 1.0)], 64, 0, 2)[k] for k in range(2)])
    losses = [run._update(dict(batch)) for _ in range(30)]
    name = "xy_match" if output == "heatmap" else "xy"
    assert losses[-1][name] < 0.9 * losses[0][name]
    assert ("xy_reg" in losses[0]) == (output == "dsnt")


def test_only_what_shall_learn_changes(people: Samples, tmp_path: Path) -> None:
    config = replace(CONFIG, learn=("depth.", "presence_gain"), frozen_blocks=2)
    run = Run(config, tmp_path)
    before = copy.deepcopy(run.net.state_dict())
    run._update(dict(collate([Mix([(people, 1.0)], 64, 0, 2)[k] for k in range(2)])))
    changed = {k for k, v in run.net.state_dict().items() if not torch.equal(v, before[k])}
    assert "depth.zy" in changed
    assert "presence_gain" in changed
    assert all(name.startswith(("depth.", "presence_gain")) for name in changed)
    with pytest.raises(ValueError, match=r"begins with nothing\."):
        Run(replace(CONFIG, learn=("nothing.",)), tmp_path / "other")


def test_board_shows_curves_and_squares(people: Samples, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Run(CONFIG, tmp_path).train([(people, 1.0)], people)
    log = EventAccumulator(str(tmp_path))
    log.Reload()
    assert {"pck", "auc", "xy", "rate"} <= set(log.Tags()["scalars"])
    assert [e.step for e in log.Scalars("pck")] == [2, 4]
    assert len(log.Tags()["images"]) == 1


def test_learning_rate() -> None:
    c = replace(CONFIG, steps=100, warm_up=10, rate=1.0)
    rates = [learning_rate(s, c) for s in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[100] == pytest.approx(0)
    assert rates[55] == pytest.approx(0.5)
    cycle = replace(c, schedule="one-cycle")
    assert np.argmax([learning_rate(s, cycle) for s in range(101)]) == 29


def test_a_few_steps_lower_the_loss(people: Samples, tmp_path: Path) -> None:
    run = Run(replace(CONFIG, steps=30, rate=2e-3, pretrained_rate=1.0), tmp_path)
    batch = collate([Mix([(people, 1.0)], 64, 0, 2)[k] for k in range(2)])
    losses = [sum(run._update(dict(batch)).values()) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]


# --- evaluation


def test_pck_by_hand() -> None:
    joints = np.zeros((2, J, 2), "f4")
    joints[:, skeleton.INDEX["left_shoulder"]] = (30, 40)  # right hip at (0, 0): torso 50, limit 10
    known = np.ones((2, J), bool)
    known[1, skeleton.INDEX["left_ankle"]] = False
    s = Samples("x", (Path("a"), Path("b")), joints, known, known * 1.0, joints[..., 0])
    predicted = joints.copy()
    predicted[0, skeleton.INDEX["left_knee"]] += (10, 0)  # on the limit: right
    predicted[0, skeleton.INDEX["left_wrist"]] += (8, 7)  # 10.6: wrong
    predicted[1, skeleton.INDEX["right_wrist"]] = np.nan  # missing: wrong
    predicted[1, skeleton.INDEX["left_ankle"]] = 999  # not labelled: does not count
    predicted[:, skeleton.INDEX["nose"]] = 999  # not a limb
    score = pck(predicted, s)
    assert score.pck == pytest.approx(21 / 23)
    # Thresholds are steps of 0.025 torso: 10 is right from the 8th on, 10.63 from the 9th.
    assert score.auc == pytest.approx((20 + 13 / 20 + 12 / 20) / 23)
    assert score.per_joint["left_wrist"] == 0.5
    assert score.per_joint["right_wrist"] == 0.5
    assert score.per_joint["left_ankle"] == 1.0
    assert list(score.per_joint) == list(skeleton.LIMBS)
    assert len(skeleton.LIMBS) == 12


def test_pck_without_torso_does_not_count() -> None:
    joints, known = np.zeros((1, J, 2), "f4"), np.ones((1, J), bool)
    known[0, skeleton.INDEX["right_hip"]] = False
    s = Samples("x", (Path("a"),), joints, known, known * 1.0, joints[..., 0])
    assert pck(joints, s).pck == 0
    assert np.isnan(pck(joints, s).per_joint["left_knee"])


def test_predictions_are_pixels_of_the_picture(people: Samples) -> None:
    net = MargiPose(Config(input_size=64)).eval()
    points, confidence, sizes = predict(net, people)
    assert sizes.tolist() == [[90, 120]] * 6
    assert points.shape == (6, J, 3)
    assert confidence.shape == (6, J)
    assert points[..., 1].min() > -0.5
    assert points[..., 1].max() < 119.5
    one = predict(net, people.take(np.array([4])), batch=1).points
    assert np.allclose(points[4], one[0], atol=1e-2)


def test_test_time_options(people: Samples) -> None:
    torch.manual_seed(0)
    net = MargiPose(Config(input_size=64)).eval()
    plain = predict(net, people).points
    both, sure, _ = predict(net, people, flip=True)
    assert not np.allclose(plain, both)
    assert ((sure > 0) & (sure < 1)).all()
    # A mirror image of the picture has the mirror image of the mean. Maps of a fresh network are
    # flat: no cell is surely the highest one.
    whole = copy.deepcopy(net)
    whole.config = replace(net.config, peak_radius=0)
    both = predict(whole, people, flip=True).points
    for path in people.images:
        cv2.imwrite(str(path), cv2.imread(str(path))[:, ::-1])
    back = predict(whole, people, flip=True).points[:, list(skeleton.FLIP)]
    back[..., 0] = 89 - back[..., 0]
    assert np.allclose(back, both, atol=0.05)
    mirrored = predict(net, people, flip=True).points
    boxed = predict(net, people, boxed=True).points
    assert np.abs(boxed - mirrored).max() > 0.1
    crops = predict(net, people, crops=3).points
    assert np.abs(crops - mirrored).max() > 0.1
    with pytest.raises(ValueError, match="1 to 5"):
        predict(net, people, crops=6)


def test_of_who_is_upright_the_middle_is_enough(people: Samples) -> None:
    net = MargiPose(Config(input_size=128)).eval()
    people.joints[::2, :, 0] = 40 + people.joints[::2, :, 0] / 4
    wide = predict(net, people, boxed=True).points
    narrow = predict(net, people, boxed=True, narrow=True).points
    assert np.allclose(narrow[1::2], wide[1::2], atol=1e-2)
    # What is beside them does not count.
    assert (np.abs(narrow - wide)[::2].max((1, 2)) > 0.1).all()
    for path in people.images:
        image = cv2.imread(str(path))
        image[:, :20] = 0
        cv2.imwrite(str(path), image)
    assert np.allclose(predict(net, people, boxed=True, narrow=True).points[::2], narrow[::2])


# --- the commands


def test_eval_command(shared: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "tiny.safetensors", MargiPose(Config(input_size=64)), {}, {})
    out = tmp_path / "out/figures.json"
    data = ["--dataset", "lsp", "--root", str(shared / "data/lsp_dataset"), "--split", "val"]
    model = ["--model", str(tmp_path / "tiny.safetensors")]
    status = cli.main(["eval", *data, *model, "--json", str(out)])
    assert status == 0
    figures = json.loads(out.read_text())
    assert 0 <= figures["pck"] < 0.2  # an untrained network
    assert len(figures["per_joint"]) == 12
    assert figures["images"] == 99
    assert figures["peak_radius"] == 5
    whole = ["--peak-radius", "0", "--size", "96", "--time", "--json", str(out)]
    assert cli.main(["eval", *data, *model, *whole]) == 0
    again = json.loads(out.read_text())
    assert (again["peak_radius"], again["size"]) == (0, 96)
    assert again["forward_ms"] > 0
    assert again["per_joint"] != figures["per_joint"]


@pytest.mark.parametrize(
    "options",
    [["--limit", "5"], ["--flip"], ["--crops", "2"], ["--peak-radius", "0"],
     ["--limit", "3", "--flip"]],
)  # fmt: skip
def test_cards_take_the_headline_protocol_only(
    people: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, options: list[str]  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    monkeypatch.setattr(command, "read", lambda *_: people)
    tiny = tmp_path / "tiny.safetensors"
    save_model(tiny, MargiPose(Config("small", 64)), {}, {})
    arguments = ["eval", "--dataset", "lsp", "--root", ".", "--model", str(tiny), "--card"]
    before = tiny.with_suffix(".json").read_text()
    assert cli.main([*arguments, *options]) == 2
    assert f"not with {options[0]}" in capsys.readouterr().err
    assert tiny.with_suffix(".json").read_text() == before
    assert cli.main(arguments) == 0
    assert "lsp_test" in json.loads(tiny.with_suffix(".json").read_text())["measured"]


def test_what_was_not_measured_is_null_in_json(
    people: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.known[:, skeleton.INDEX["left_knee"]] = False
    monkeypatch.setattr(command, "read", lambda *_: people)
    tiny, out = tmp_path / "tiny.safetensors", tmp_path / "f.json"
    save_model(tiny, MargiPose(Config("small", 64)), {}, {})
    arguments = ["--dataset", "lsp", "--root", ".", "--model", str(tiny), "--json", str(out)]
    assert cli.main(["eval", *arguments, "--card"]) == 0
    card = json.loads(tiny.with_suffix(".json").read_text())["measured"]["lsp_test"]
    for figures in (json.loads(out.read_text(), parse_constant=pytest.fail), card):
        assert figures["per_joint"]["left_knee"] is None
        assert figures["per_joint"]["right_knee"] is not None


def test_eval_of_another_programs_labels(shared: Path, tmp_path: Path) -> None:
    from livepose.data.readers import read

    root = shared / "data/lsp_dataset"
    s = read("lsp", root, "val")
    keypoints = np.zeros((len(s), 17, 4), "f4")
    keypoints[..., :2] = s.joints[:, :17]
    names = np.array([p.name for p in s.images])
    np.savez(tmp_path / "peer.npz", image=names[1:], keypoints=keypoints[1:])
    files = ["--json", str(tmp_path / "p.json"), "--gallery", str(tmp_path / "p.html")]
    data = ["--dataset", "lsp", "--root", str(root), "--split", "val"]
    assert cli.main(["eval", *data, "--predictions", str(tmp_path / "peer.npz"), *files]) == 0
    figures = json.loads((tmp_path / "p.json").read_text())
    assert figures["pck"] == pytest.approx(98 / 99)  # the missing one counts as wrong
    assert "im0901.jpg" in (tmp_path / "p.html").read_text()
    tiny = tmp_path / "tiny.safetensors"
    save_model(tiny, MargiPose(Config("small", 64)), {}, {"peers": {"lsp_test": {"x": {}}}})
    peer = ["--predictions", str(tmp_path / "peer.npz"), "--model", str(tiny), "--card"]
    assert cli.main(["eval", *data, *peer]) == 0
    peers = json.loads(tiny.with_suffix(".json").read_text())["measured"]["peers"]
    assert peers["lsp_val"]["peer"]["pck"] == figures["pck"]
    assert peers["lsp_test"] == {"x": {}}
    np.savez(tmp_path / "other.npz", image=np.array(["x.jpg"]), keypoints=keypoints[:1])
    assert cli.main(["eval", *data, "--predictions", str(tmp_path / "other.npz")]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--root", "nowhere", "--model", "base"],
        ["--root", "nowhere", "--model", "nonsense"],
        ["--root", "nowhere", "--device", "tpu"],
    ],
)
def test_eval_says_what_is_wrong_in_one_line(arguments: list[str], capsys) -> None:  # type: ignore[no-untyped-def]
    assert cli.main(["eval", "--dataset", "lsp", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_mean_of_weights() -> None:
    states = [{"a": torch.full((2,), v), "b": torch.zeros(1)} for v in (1.0, 2.0)]
    states += [{"a": torch.full((2,), 6.0), "c": torch.ones(1)}]
    out = mean(states)
    assert out["a"].tolist() == [3.0, 3.0]
    assert out["b"].tolist() == [0.0]
    assert "c" not in out
    assert mean(states, own=["a"])["a"].tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="several shapes"):
        mean([{"a": torch.zeros(2)}, {"a": torch.zeros(3)}])


def test_train_and_pack_commands(shared: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    config = tmp_path / "tiny.toml"
    config.write_text(
        "steps = 2\nbatch = 2\nvalidate_every = 2\nworkers = 0\n"
        'start_from = "pretrained/movenet-lightning.safetensors"\n'
        '[network]\ntrunk = "lightning"\ninput_size = 64\n'
        '[[data]]\nreader = "lsp"\nroot = "data/lsp_dataset"\nshare = 1.0\n'
    )
    run, out = tmp_path / "run", tmp_path / "w/tiny.safetensors"
    assert cli.main(["train", str(config), "--data", str(shared), "--out", str(run)]) == 0
    said = "lsp: 892 pictures, share 1.0; left out: 8 near-duplicates of test pictures"
    assert said in capsys.readouterr().out
    assert cli.main(["pack", str(run), "--out", str(out), "--command", "livepose train tiny"]) == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["training"]["steps"] == 2
    assert str(shared) not in json.dumps(card)  # no paths of this machine
    second = tmp_path / "second.toml"
    text = config.read_text().replace("pretrained/movenet-lightning.safetensors", str(out))
    # The second stage looks at the whole person; what it starts from did not.
    text = text.replace("= 64\n", "= 64\ncontext_layers = 1\ncontext_width = 8\n")
    text = 'select = "last"\n' + text
    second.write_text(text.replace("validate_every = 2", "validate_every = 1"))
    run2, out2 = tmp_path / "run2", tmp_path / "w/second.safetensors"
    assert cli.main(["train", str(second), "--data", str(shared), "--out", str(run2)]) == 0
    assert cli.main(["pack", str(run2), "--out", str(out2), "--command", "livepose train 2"]) == 0
    card = json.loads(out2.with_suffix(".json").read_text())
    assert card["training"]["first"]["command"] == "livepose train tiny"
    assert card["training"]["steps"] == 2
    assert str(tmp_path) not in json.dumps(card)
    both = ["pack", str(run2), "--out", str(tmp_path / "w/mean.safetensors"), "--command", "x"]
    assert cli.main([*both, "--mean-with", str(out)]) == 0
    card = json.loads((tmp_path / "w/mean.json").read_text())
    assert card["training"]["mean_with"]["tiny.safetensors"]["command"] == "livepose train tiny"
    assert card["measured"] == {}  # the log tells of one of them, not of the mean
    first, second_, packed = (load_model(str(tmp_path / f"w/{name}.safetensors"))[0].state_dict()
                            for name in ("tiny", "second", "mean"))  # fmt: skip
    name = "joints.out.weight"
    halfway = (first[name] + second_[name]) / 2
    assert torch.allclose(packed[name], halfway, rtol=2e-3, atol=1e-5)
    assert torch.equal(packed["context.norm.weight"], second_["context.norm.weight"])
    assert cli.main([*both, "--mean-with", str(out), str(out)]) == 0
    card = json.loads((tmp_path / "w/mean.json").read_text())
    assert card["training"]["mean_with"]["tiny.safetensors"]["times"] == 2
    packed = load_model(str(tmp_path / "w/mean.safetensors"))[0].state_dict()
    nearer = (2 * first[name] + second_[name]) / 3
    assert torch.allclose(packed[name], nearer, rtol=2e-3, atol=1e-5)
    assert cli.main([*both, "--mean-with", str(tmp_path / "w/gone.safetensors")]) == 2
    larger = ["pack", str(run2), "--out", str(out2), "--command", "livepose train 2", "--size"]
    assert cli.main([*larger, "96"]) == 0
    assert json.loads(out2.with_suffix(".json").read_text())["network"]["input_size"] == 96
    assert cli.main([*larger, "100"]) == 2
    assert "multiples of 32" in capsys.readouterr().err
    assert cli.main(["pack", str(tmp_path), "--out", str(out), "--command", "x"]) == 2
    assert cli.main(["train", "nonsense", "--data", str(shared), "--out", str(run)]) == 2
