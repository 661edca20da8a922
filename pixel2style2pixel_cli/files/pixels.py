"""uint8 HWC RGB to float32 BCHW in [-1, 1] and back, by the published rules.

B = batch, C = channels, H W = height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pixel2style2pixel_cli.errors import P2S2PError, ShapeError, check_shape

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def to_float(images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """(x / 255 - 0.5) / 0.5 for uint8 (H, W, 3) images of one size; float32 (B, 3, H, W) on the CPU."""
    import torch

    if not images:
        raise ShapeError("no image was given, expected at least one", "pass a list of uint8 arrays")
    height, width = images[0].shape[:2]
    for image in images:
        check_shape(image, (height, width, 3), "image")
        if image.dtype != np.uint8:
            raise ShapeError(f"image holds {image.dtype}, expected uint8", "pass values from 0 to 255 as uint8")
    batch_BHWC = torch.from_numpy(np.stack(images))
    batch_BCHW = batch_BHWC.permute(0, 3, 1, 2).contiguous().to(torch.float32)
    # in this order, one rounding per step: bit for bit what the published transform gives
    return batch_BCHW.div_(255).sub_(0.5).div_(0.5)


def to_uint8(image_BCHW: torch.Tensor) -> list[NDArray[np.uint8]]:
    """clamp((x + 1) / 2, 0, 1) x 255, truncated: one uint8 (H, W, 3) array per image."""
    import torch

    check_shape(image_BCHW, (None, 3, None, None), "image batch")
    values_BCHW = image_BCHW.detach().to(device="cpu", dtype=torch.float32)
    if not torch.isfinite(values_BCHW).all():
        # clamped, they would come out as black or white pixels and nobody would know
        raise P2S2PError("the network gave values that are not finite numbers", "try --dtype float32")
    values_BCHW = ((values_BCHW + 1) / 2).clamp_(0, 1).mul_(255)
    return list(values_BCHW.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy())
