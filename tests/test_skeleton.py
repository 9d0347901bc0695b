from __future__ import annotations

import numpy as np
import pytest

from livepose import skeleton
from livepose.skeleton import INDEX, JOINTS, J


def test_table_covers_coco_and_margipose() -> None:
    assert JOINTS[:17] == skeleton.COCO_17
    assert set(skeleton.MARGIPOSE_17) <= set(JOINTS)
    assert len(set(JOINTS)) == J == 22


@pytest.mark.parametrize("layout", list(skeleton.LAYOUTS))
def test_there_and_back(layout: str) -> None:
    names = skeleton.LAYOUTS[layout]
    values = np.arange(2 * len(names) * 2, dtype="f4").reshape(2, len(names), 2)
    table, present = skeleton.to_table(values, layout)
    assert table.shape == (2, J, 2)
    assert present.sum() == sum(n is not None for n in names)
    assert np.isnan(table[:, ~present]).all()
    back = skeleton.from_table(table, layout)
    known = [n is not None for n in names]
    assert np.array_equal(back[:, known], values[:, known])


def test_every_layout_pairs_left_with_right() -> None:
    for names in skeleton.LAYOUTS.values():
        for name in filter(None, names):
            assert skeleton.mirrored(name) in names


def test_flip_is_its_own_inverse_and_swaps_sides() -> None:
    flip = np.array(skeleton.FLIP)
    assert np.array_equal(flip[flip], np.arange(J))
    assert flip[INDEX["left_wrist"]] == INDEX["right_wrist"]
    assert flip[INDEX["nose"]] == INDEX["nose"]
    assert skeleton.side("left_wrist") == "left"
    assert skeleton.side("nose") == "middle"


def test_derive_fills_what_follows_and_keeps_labels() -> None:
    points = np.full((J, 2), np.nan)
    mask = np.zeros(J, bool)
    labels = {
        "left_hip": (2, 0),
        "right_hip": (0, 0),
        "left_shoulder": (2, -4),
        "right_shoulder": (0, -4),
        "head_top": (1, -8),
        "neck": (1, -5),
    }
    for name, xy in labels.items():
        points[INDEX[name]], mask[INDEX[name]] = xy, True
    out, known = skeleton.derive(points, mask)
    assert out[INDEX["pelvis"]].tolist() == [1, 0]
    assert out[INDEX["neck"]].tolist() == [1, -5]  # labelled, so not the middle of the shoulders
    assert out[INDEX["spine"]].tolist() == [1, -2.5]
    assert out[INDEX["head"]].tolist() == [1, -6.5]
    assert not known[INDEX["left_knee"]]
    assert not mask[INDEX["pelvis"]]  # the input is left alone


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="unknown joint layout 'coco18'"):
        skeleton.to_table(np.zeros((17, 2)), "coco18")
    with pytest.raises(ValueError, match="lsp14 has 14 joints"):
        skeleton.to_table(np.zeros((17, 2)), "lsp14")
    with pytest.raises(ValueError, match="22 joints"):
        skeleton.from_table(np.zeros((17, 2)), "lsp14")


def test_bones_name_joints() -> None:
    for a, b in (*skeleton.BONES, *skeleton.FACE_BONES):
        assert a in INDEX
        assert b in INDEX
