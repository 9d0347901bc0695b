from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from livepose import dsnt, resources, skeleton
from livepose.crop import cut, to_input, whole
from livepose.cv import cv2
from livepose.models import store
from livepose.models.margipose import Config, MargiPose, Output
from livepose.models.movenet import Conv, MoveNet
from livepose.models.outputs import OUTPUTS, matching_losses
from livepose.models.store import WeightsError, load_model, save_model

J = skeleton.J


@pytest.fixture(scope="module")
def net() -> MargiPose:
    torch.manual_seed(1)
    return MargiPose(Config("lightning", 128)).eval()


@pytest.fixture
def saved(net: MargiPose, tmp_path: Path) -> Path:
    file = tmp_path / "small.safetensors"
    save_model(file, net, {"seed": 1}, {"pck": 0.5})
    return file


# --- the network


def test_output_shapes_and_ranges(net: MargiPose) -> None:
    with torch.no_grad():
        out = net(torch.rand(2, 3, 128, 128) * 2 - 1)
    assert out.xyz.shape == (2, J, 3)
    assert out.confidence.shape == (2, J)
    assert out.xy.shape == (2, J, 32, 32)
    assert out.zy.shape == (2, J, 16, 24)
    assert out.xz.shape == (2, J, 24, 16)
    for maps in (out.xy, out.zy, out.xz):
        assert torch.allclose(maps.sum((-1, -2)), torch.ones(2, J), atol=1e-5)
    assert (out.xyz.abs() < 1).all()
    assert ((out.confidence >= 0) & (out.confidence <= 1)).all()


def test_coordinates_come_from_the_marginal_maps(net: MargiPose) -> None:
    with torch.no_grad():
        logits = net.logits(torch.randn(1, 3, 128, 128))
        evaluated = net.decode(logits)
        trained = copy.deepcopy(net).train().decode(logits)
    # The mean of the whole map in training; about the peak where the result is used.
    assert torch.allclose(trained.xyz[..., :2], dsnt.dsnt(trained.xy))
    near = dsnt.around_peak(evaluated.xy, net.config.peak_radius)
    assert torch.allclose(evaluated.xyz[..., :2], dsnt.dsnt(near))
    for out in trained, evaluated:
        z = (dsnt.dsnt(out.zy)[..., 0] + dsnt.dsnt(out.xz)[..., 1]) / 2
        assert torch.allclose(out.xyz[..., 2], z)


def test_stages_are_the_maps_before_the_attention_and_the_lifting() -> None:
    config = Config("small", 64, heatmap_stride=8, context_layers=1, context_width=16,
                    lift_layers=1, lift_width=16)  # fmt: skip
    net, x = MargiPose(config).eval(), torch.randn(2, 3, 64, 64)
    assert net.context is not None
    assert net.lifting is not None

    def seen() -> tuple[Output, list[list[torch.Tensor | None]]]:
        with torch.no_grad():
            logits = net.logits(x)
            out = net.decode(logits)
            return out, [list(maps) for maps in net.stages(logits, out)]

    out, ((xy, *none), (same, zy, xz)) = seen()
    assert none == [None, None]
    assert torch.equal(xy, out.xy)  # the attention says nothing yet
    assert torch.equal(same, out.xy)
    for maps in (zy, xz):
        assert torch.allclose(maps.sum((-1, -2)), torch.ones(2, J), atol=1e-5)
    # What a later part adds is in the maps after it only.
    with torch.no_grad():
        net.lifting.depth.bias.fill_(0.7)
    lifted, (_, (_, zy_2, xz_2)) = seen()
    assert torch.equal(zy_2, zy)
    assert torch.equal(xz_2, xz)
    assert not torch.allclose(lifted.zy, out.zy)
    with torch.no_grad():
        net.context.coarse.weight.normal_()
    moved, ((xy_3, *_), _) = seen()
    assert torch.equal(xy_3, xy)
    assert not torch.allclose(moved.xy, out.xy)


def test_zy_and_xz_see_the_y_and_x_of_xy(net: MargiPose) -> None:
    # The marginals of one distribution: the maps of depth agree with xy from the start.
    with torch.no_grad():
        out = net(torch.randn(1, 3, 128, 128))
    xy = dsnt.dsnt(out.xy)
    assert torch.allclose(dsnt.dsnt(out.zy)[..., 1], xy[..., 1], atol=0.1)
    assert torch.allclose(dsnt.dsnt(out.xz)[..., 0], xy[..., 0], atol=0.1)


@pytest.mark.parametrize("size", [(64, 64), (192, 256)])
def test_other_input_sizes(net: MargiPose, size: tuple[int, int]) -> None:
    with torch.no_grad():
        out = net(torch.zeros(1, 3, *size))
    assert out.xy.shape[-2:] == (size[0] // 4, size[1] // 4)


@pytest.mark.parametrize("size", [(32, 64), (100, 128)])
def test_impossible_input_sizes_are_refused(net: MargiPose, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        net(torch.zeros(1, 3, *size))


def test_no_state_between_calls(net: MargiPose) -> None:
    a, b = torch.randn(1, 3, 128, 128), torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        first, _, again = net(a), net(b), net(a)
        both = net(torch.cat([a, b]))
    assert torch.equal(first.xyz, again.xyz)
    assert torch.allclose(both.xyz[:1], first.xyz, atol=1e-5)


def test_half_precision_keeps_float32_outputs(net: MargiPose) -> None:
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        exact = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(x)
    assert half.xyz.dtype == half.xy.dtype == torch.float32
    # Means of whole maps: of an untrained net's flat ones, the peak may be anywhere.
    for a, b in zip(half[2:], exact[2:], strict=True):
        assert torch.allclose(dsnt.dsnt(a), dsnt.dsnt(b), atol=0.03)


def test_unknown_trunk_is_refused() -> None:
    with pytest.raises(ValueError, match="known: lightning, thunder, small"):
        Config("resnet")
    with pytest.raises(ValueError, match="multiples of 32"):
        Config(input_size=100)


def test_context_starts_silent_and_then_speaks() -> None:
    torch.manual_seed(2)
    plain = MargiPose(Config("lightning", 64)).eval()
    net = MargiPose(Config("lightning", 64, context_layers=2, context_width=16)).eval()
    net.go_on_from(plain)
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for a, b in zip(net(x), plain(x), strict=True):
            assert torch.equal(a, b)
        net.context.coarse.weight.normal_()  # type: ignore[union-attr]
        far = x.clone()
        far[..., -16:] = 1
        change = (net.logits(far).xy - net.logits(x).xy).abs()
        local = (plain.logits(far).xy - plain.logits(x).xy).abs()
    assert change[..., :4].mean() > 2 * local[..., :4].mean()  # the left side hears of the right
    with pytest.raises(ValueError, match="another kind"):
        plain.go_on_from(net)
    with pytest.raises(ValueError, match="another kind"):
        net.go_on_from(MargiPose(Config("thunder", 64)))
    with pytest.raises(ValueError, match="multiple of 4"):
        Config(context_layers=1, context_width=30)


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_at_all_heatmap_sizes(output: str, stride: int) -> None:
    net = MargiPose(Config("small", 128, heatmap_stride=stride, output=output)).eval()
    with torch.no_grad():
        out = net(torch.randn(2, 3, 128, 128))
    assert out.xyz.shape == (2, J, 3)
    assert out.xy.shape == (2, J, 128 // stride, 128 // stride)
    assert out.zy.shape == (2, J, 16, 24)
    for maps in (out.xy, out.zy, out.xz):
        assert torch.allclose(maps.sum((-1, -2)), torch.ones(2, J), atol=1e-5)
    if output == "heatmap":
        assert torch.equal(out.xyz[..., :2], dsnt.argmax_decode(out.raw))


def test_fully_connected_output_draws_its_maps_and_has_one_size() -> None:
    net = MargiPose(Config("small", 128, heatmap_stride=8, output="fc")).eval()
    with torch.no_grad():
        out = net(torch.randn(2, 3, 128, 128))
    assert torch.allclose(dsnt.dsnt(out.xy), out.xyz[..., :2].clamp(-1, 1), atol=0.05)
    with pytest.raises(ValueError, match="16 x 16 only"):
        net(torch.zeros(1, 3, 128, 160))


def test_heatmap_matching_wants_gaussians() -> None:
    at = torch.tensor([[1 / 16, -5 / 16]])  # the centre of a cell
    wanted = dsnt.gaussian(at, (16, 16))
    assert matching_losses(wanted / wanted.amax(), at, 1.0).item() == pytest.approx(0, abs=1e-6)
    # A flat map misses all of the Gaussian: the sum of its squares, pi in the plane.
    flat = matching_losses(torch.zeros(1, 16, 16), at, 1.0).item()
    assert flat == pytest.approx(torch.pi, rel=0.05)


def test_impossible_networks_are_refused() -> None:
    for wrong, message in (({"output": "x"}, "dsnt, heatmap, fc"), ({"heatmap_stride": 2}, "4, 8"),
                           ({"heatmap_stride": 32, "context_layers": 1}, "most 16")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            Config(**wrong)  # type: ignore[arg-type]


def test_same_padding_of_tensorflow() -> None:
    # Stride 2 on an even size: the first window starts at the first pixel, zeros come after.
    conv = Conv(1, 1, 3, 2, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1)
        out = conv(torch.ones(1, 1, 4, 4))
    assert out[0, 0].tolist() == [[9, 6], [6, 4]]


# --- MoveNet as published


def test_movenet_finds_a_person(shared: Path) -> None:
    image = cv2.imread(str(shared / "data/lsp_dataset/images/im0001.jpg"))
    net = MoveNet.load("lightning", shared / "pretrained/movenet-lightning.safetensors")
    square = whole(image.shape[1], image.shape[0])
    with torch.no_grad():
        found = net(to_input([cut(image, square, 192)]))
    from livepose.data.readers import read

    samples = read("lsp", shared / "data/lsp_dataset")
    points = square.to_picture((2 * found.xy[0].numpy() + 1) / 192 - 1)
    error = np.linalg.norm(points[5:] - samples.joints[0, 5:17], axis=1)
    assert np.median(error) < 8  # pixels, of a person about 130 tall


def test_start_keeps_the_teachers_heatmaps(shared: Path) -> None:
    teacher = MoveNet.load("lightning", shared / "pretrained/movenet-lightning.safetensors")
    net = MargiPose(Config("lightning", 192))
    net.start_from(teacher)
    x = torch.rand(1, 3, 192, 192) * 2 - 1
    with torch.no_grad():
        own = net.logits(x).xy[:, :17]
        theirs = teacher.head["kpt_heatmap"](teacher.fpn(*teacher.trunk(x)))
    assert torch.allclose(own, 2 * theirs, atol=1e-3)
    small = MargiPose(Config("small", 192, heatmap_stride=8))
    small.start_from(teacher)
    with pytest.raises(ValueError, match="cannot start from that"):
        MargiPose(Config("thunder", 192)).start_from(teacher)
    with pytest.raises(ValueError, match="no MoveNet 'small'; known: lightning, thunder"):
        MoveNet.load("small", Path("movenet-small.safetensors"))
    assert torch.equal(small.trunk.block_9.project.weight, teacher.trunk.block_9.project.weight)


# --- weights on disk


def test_saved_and_loaded(net: MargiPose, saved: Path) -> None:
    again, card = load_model(str(saved))
    assert card.name == "small"
    assert card.config == net.config
    assert card.measured == {"pck": 0.5}
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        assert torch.allclose(again(x).xyz, net(x).xyz, atol=5e-3)  # stored in float16


def test_truncated(saved: Path) -> None:
    raw = saved.read_bytes()
    saved.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(WeightsError, match="get both files again"):
        load_model(str(saved))


def test_truncated_with_matching_card(saved: Path) -> None:
    import hashlib

    raw = saved.read_bytes()[:1000]
    saved.write_bytes(raw)
    _edit(saved, sha256=hashlib.sha256(raw).hexdigest())
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load_model(str(saved))


def test_weights_of_another_network(saved: Path) -> None:
    _edit(saved, network={"trunk": "thunder", "input_size": 128, "depth_cells": 24})
    with pytest.raises(WeightsError, match="does not fit the network of its card"):
        load_model(str(saved))


def test_other_schema(saved: Path) -> None:
    _edit(saved, schema="livepose-card/99")
    with pytest.raises(WeightsError, match=r"livepose-card/99.*update livepose"):
        load_model(str(saved))


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "\x00\xff"])
def test_card_that_is_none(saved: Path, text: str) -> None:
    saved.with_suffix(".json").write_text(text, encoding="latin-1")
    with pytest.raises(WeightsError):
        load_model(str(saved))


def test_card_with_missing_keys_or_unknown_settings(saved: Path) -> None:
    card = json.loads(saved.with_suffix(".json").read_text())
    del card["sha256"]
    saved.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="lacks sha256"):
        load_model(str(saved))
    _edit(saved, sha256="0", network={"trunk": "thunder", "layers": 3})
    with pytest.raises(WeightsError, match="cannot build"):
        load_model(str(saved))


def test_missing_card(saved: Path) -> None:
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"small\.json is missing"):
        load_model(str(saved))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "exploded",))

    for name in ("model.pt", "model.pth", "model.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(WeightsError, match="pickled"):
            load_model(str(tmp_path / name))
    disguised = tmp_path / "small.safetensors"
    disguised.write_bytes(pickle.dumps(Bomb()))
    save_model(tmp_path / "other.safetensors", MargiPose(Config(input_size=64)), {}, {})
    (tmp_path / "other.json").rename(tmp_path / "small.json")
    with pytest.raises(WeightsError):
        load_model(str(disguised))
    assert not (tmp_path / "exploded").exists()


def test_the_best_model_is_chosen_on_the_validation_split(net: MargiPose, tmp_path: Path) -> None:
    assert store.best(tmp_path) == ""
    for name, val, test in (("a", 0.8, 0.99), ("b", 0.9, 0.5), ("c", 0.85, None)):
        measured = {"validation_pck": val, "lsp_test_pck": test}
        save_model(tmp_path / f"{name}.safetensors", net, {}, measured)
    assert store.best(tmp_path) == "b"


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(WeightsError, match="shipped models"):
        load_model("nonsense")


def _edit(saved: Path, **values: object) -> None:
    file = saved.with_suffix(".json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


# --- what is shipped


@pytest.mark.parametrize("model", store.available(everywhere=True))
def test_shipped_models_load_and_state_their_origin(model: str) -> None:
    net, card = load_model(model)
    assert card.name == model
    assert {"command", "data", "seed"} <= set(card.training)
    assert card.measured["lsp_test_pck"] >= (0.84 if model in store.available() else 0.3)
    with torch.no_grad():
        out = net(torch.zeros(1, 3, card.config.input_size, card.config.input_size))
    assert torch.isfinite(out.xyz).all()


def test_shipped_files_are_small() -> None:
    def bytes_in(folder: Path) -> int:
        return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())

    assert 0 < bytes_in(resources.WEIGHTS) <= 30e6
    assert 0 < bytes_in(resources.WEIGHTS / "study") <= 15e6
