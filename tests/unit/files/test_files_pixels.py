"""uint8 <-> float by the published rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pixel2style2pixel_cli.errors import P2S2PError, ShapeError
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8

LEVELS = np.arange(256 * 3, dtype=np.uint32).reshape(16, 16, 3).astype(np.uint8)


def test_range_layout_and_type() -> None:
    image = np.zeros((2, 5, 3), np.uint8)
    image[1, 4] = (255, 0, 51)
    batch = to_float([image, image])
    assert batch.shape == (2, 3, 2, 5)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous()
    assert batch[1, :, 1, 4].tolist() == pytest.approx([1.0, -1.0, -0.6])


def test_equals_the_reference_transform_bit_for_bit() -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])(LEVELS)
    assert torch.equal(to_float([LEVELS])[0], theirs)


def test_batch_gives_the_same_values_as_one_by_one() -> None:
    images = [np.full((4, 4, 3), value, np.uint8) for value in (0, 100, 255)]
    together = to_float(images)
    assert all(torch.equal(together[i], to_float([image])[0]) for i, image in enumerate(images))


def test_input_is_not_changed() -> None:
    image = LEVELS.copy()
    to_float([image])
    assert np.array_equal(image, LEVELS)
    values = torch.zeros(1, 3, 2, 2)
    to_uint8(values)
    assert values.eq(0).all()


def test_back_is_clamped_and_truncated() -> None:
    values = torch.tensor([-9.0, -1.0, 0.0, 0.9999, 1.0, 3.0]).repeat(3, 1)[None, :, None, :]
    assert to_uint8(values)[0][0, :, 0].tolist() == [0, 0, 127, 254, 255, 255]


def test_round_trip_loses_at_most_the_truncated_part() -> None:
    """(x / 255 - 0.5) / 0.5 and back is exact but for a rounding error that the truncation turns into one level."""
    back = to_uint8(to_float([LEVELS]))[0]
    assert np.abs(back.astype(int) - LEVELS).max() <= 1


def test_half_precision_is_taken() -> None:
    assert to_uint8(torch.ones(1, 3, 2, 2, dtype=torch.bfloat16))[0].min() == 255


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_not_drawn_black(value: float) -> None:
    image = torch.zeros(1, 3, 2, 2)
    image[0, 0, 0, 0] = value
    with pytest.raises(P2S2PError, match="not finite"):
        to_uint8(image)


def test_wrong_shapes_and_types() -> None:
    with pytest.raises(ShapeError, match="expected at least one"):
        to_float([])
    with pytest.raises(ShapeError, match="has shape 4x4x3, expected 2x2x3"):
        to_float([np.zeros((2, 2, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(ShapeError, match="float64"):
        to_float([np.zeros((2, 2, 3))])
    with pytest.raises(ShapeError, match="has shape 1x4x4x3"):
        to_uint8(torch.zeros(1, 4, 4, 3))
