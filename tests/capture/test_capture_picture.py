from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from livepose.capture.picture import to_bgr


def test_a_good_picture_is_not_copied() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert to_bgr(image) is image


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_grey(shape: tuple[int, ...]) -> None:
    image = np.arange(20, dtype=np.uint8).reshape(shape)
    out = to_bgr(image)
    assert out is not None
    assert out.shape == (4, 5, 3)
    for channel in range(3):
        np.testing.assert_array_equal(out[..., channel].ravel(), np.arange(20))


def test_bgra_loses_its_alpha() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 4), np.uint8)
    np.testing.assert_array_equal(to_bgr(image), image[..., :3])


def test_16_bit_keeps_its_high_byte() -> None:
    grey = np.array([[0, 255, 256, 65535]], np.uint16)
    out = to_bgr(grey)
    assert out is not None
    assert out.dtype == np.uint8
    assert out[0, :, 1].tolist() == [0, 0, 1, 255]
    colour = np.full((2, 2, 3), 0x8000, np.uint16)
    np.testing.assert_array_equal(to_bgr(colour), np.full((2, 2, 3), 128))


def test_views_become_contiguous() -> None:
    image = np.arange(120, dtype=np.uint8).reshape(5, 8, 3)[:, ::2]
    out = to_bgr(image)
    assert out is not None
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(out, image)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "text",
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0, 3), np.uint8),
        np.zeros((5,), np.uint8),
        np.zeros((5, 5, 2), np.uint8),
        np.zeros((5, 5, 5), np.uint8),
        np.zeros((1, 5, 5, 3), np.uint8),
        np.zeros((5, 5, 3), np.float32),
        np.zeros((5, 5, 3), bool),
        np.zeros((5, 5, 3), np.int16),
    ],
    ids=lambda b: f"{getattr(b, 'dtype', type(b).__name__)}{getattr(b, 'shape', '')}",
)
def test_what_is_no_picture(broken: object) -> None:
    assert to_bgr(broken) is None


@settings(deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32, np.int32]),
        st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple),
    )
)
def test_the_result_is_a_picture_or_nothing(array: np.ndarray) -> None:
    out = to_bgr(array)
    if out is not None:
        assert out.dtype == np.uint8
        assert out.flags.c_contiguous
        assert out.shape == (*array.shape[:2], 3)
        assert out.size
