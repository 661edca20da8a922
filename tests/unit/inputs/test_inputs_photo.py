"""The published resize of a crop to the encoder's input."""

from __future__ import annotations

import numpy as np
import pytest

from pixel2style2pixel_cli.errors import ShapeError
from pixel2style2pixel_cli.inputs.photo import resize_photo

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (300, 300), (512, 401), (37, 80)])
def test_equals_torchvision_on_a_pil_picture(height: int, width: int) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    from PIL import Image

    crop = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = np.array(transforms.Resize((256, 256))(Image.fromarray(crop)))
    assert np.array_equal(resize_photo(crop, 256), theirs)


def test_reduction_is_antialiased() -> None:
    """A chequerboard of single pixels becomes grey; without antialiasing it would stay black and white."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    small = resize_photo(board, 64)
    assert np.abs(small.astype(int) - 127).max() <= 2


def test_right_size_is_left_alone() -> None:
    crop = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(resize_photo(crop, 64), crop)


def test_grey_is_refused() -> None:
    with pytest.raises(ShapeError, match="crop has shape 64x64"):
        resize_photo(np.zeros((64, 64), np.uint8), 32)
