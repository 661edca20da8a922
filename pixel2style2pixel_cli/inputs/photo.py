"""A face crop to the input size of an encoder, by the published rule (methods.md 4.7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import check_shape


def resize_photo(crop: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Bilinear with antialiasing to ``size`` x ``size``: what Resize((size, size)) does to a PIL picture.

    crop: uint8 (H, W, 3); a crop that is not square is stretched, as published.
    """
    check_shape(crop, (None, None, 3), "crop")
    if crop.shape[:2] == (size, size):
        return crop
    image = Image.fromarray(np.ascontiguousarray(crop))
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR))
