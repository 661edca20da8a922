"""ReStyle: a code found in passes, each of which corrects it by what the drawn picture still lacks.

Source: Alaluf et al. 2021, section 3.1, equations 1 to 3: c_{t+1} = c_t + E(x, y_t) with y_t = G(c_t), started at the
average code and its picture. Shape suffixes: B batch, C channels, H W S height, width and side, N rows, D style width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

# Encoder inputs (B, 6, S, S) and codes (B, N, D) that they start from to codes; and codes to pictures (B, 3, R, R).
Encode: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Draw: TypeAlias = Callable[[Tensor], Tensor]


def encode_in_passes(encode: Encode, draw: Draw, average_ND: Tensor, inputs_BCHW: Tensor, passes: int) -> Tensor:
    """Codes (B, N, D) of encoder inputs (B, 3, S, S) after so many passes, of which there is at least one.

    Pictures are drawn with the stored noise by ``draw``, and brought to the encoder's side by averages, as published.
    """
    side, inputs = int(inputs_BCHW.shape[-1]), inputs_BCHW.to(average_ND)
    codes = average_ND.expand(inputs.shape[0], -1, -1)
    drawn = _averaged(draw(codes[:1]), side).expand(inputs.shape[0], -1, -1, -1)
    for made in range(passes):
        if made:
            drawn = _averaged(draw(codes), side)
        codes = encode(torch.cat([inputs, drawn.to(inputs)], dim=1), codes)
    return codes


def _averaged(image_BCHW: Tensor, side: int) -> Tensor:
    """A picture brought to a side by averages; both sides are powers of two."""
    if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return F.adaptive_avg_pool2d(image_BCHW, side)
    found = int(image_BCHW.shape[-1])  # the same in operations that exporters know
    if found > side:
        return F.avg_pool2d(image_BCHW, found // side)
    return image_BCHW if found == side else F.interpolate(image_BCHW, size=(side, side), mode="nearest")
