"""Pictures to tensors and back against the published inference transforms (golden file image_io)."""

from __future__ import annotations

import fill
import numpy as np
import pytest
import torch
from golden_numbers import SALT, golden

from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.inputs.lowres import degrade, reduce_bicubic
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.inputs.sketch import resize_sketch


@pytest.mark.parametrize(
    ("tag", "height", "width"), [("down_500x403", 500, 403), ("up_101x80", 101, 80), ("same", 256, 256)]
)
def test_photo_to_encoder_input(tag: str, height: int, width: int) -> None:
    smooth = fill.image(SALT, tag, (1, 3, height, width))[0].transpose(1, 2, 0)
    photo = ((smooth + 1) * 127.5).astype(np.uint8)
    golden("image_io").check(f"encode_{tag}", to_float([resize_photo(photo, 256)]))


def test_network_output_to_picture() -> None:
    values = torch.from_numpy(fill.uniform(SALT, "im", (3, 24, 20), -1.3, 1.3))
    assert np.array_equal(to_uint8(values[None])[0], golden("image_io").arrays["tensor2im"])


def test_every_level_is_truncated_as_published() -> None:
    ramp = torch.linspace(-1, 1, 3 * 256).reshape(1, 3, 16, 16)
    assert np.array_equal(to_uint8(ramp)[0], golden("image_io").arrays["tensor2im_ramp"])


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 32])
def test_bicubic_reduction(factor: int) -> None:
    picture = (fill.image(SALT, "sr", (1, 3, 256, 256))[0].transpose(1, 2, 0) + 1) / 2
    found = torch.from_numpy(reduce_bicubic(picture, factor).transpose(2, 0, 1)[None])
    golden("image_io").check(f"bicubic_down_{factor}", found)


def test_super_resolution_input() -> None:
    smooth = fill.image(SALT, "sr_in", (1, 3, 300, 300))[0].transpose(1, 2, 0)
    photo = ((smooth + 1) * 127.5).astype(np.uint8)
    golden("image_io").check("super_res_8", to_float([degrade(resize_photo(photo, 256), 8)]))


def test_sketch_to_encoder_input() -> None:
    grey = ((fill.image(SALT, "gray", (1, 1, 300, 300))[0, 0] + 1) * 127.5).astype(np.uint8)
    golden("image_io").check("sketch", torch.from_numpy(resize_sketch(grey, 256) / 255.0)[None, None])
