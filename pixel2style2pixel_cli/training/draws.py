"""Random numbers of a step, drawn for the whole batch and then shared out: how many share a batch changes nothing.

Pictures of a batch go to processes, and to the parts of one process that are computed one after the other, in turn like
cards: share ``index`` of ``shares`` has every ``shares``-th picture, from its own number on. Where a number is drawn
for each picture of a share, it is drawn for each picture of the batch, in the order of the batch, and those of the
share are kept. So every share needs the same state of torch's generator, and leaves the same.

In turn, and not in rows, because the discriminator compares pictures in groups that are laid out like that: each of its
groups then lies in one share.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.share import WHOLE, Share

_now = WHOLE


@contextlib.contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Within it, numbers are drawn for this share."""
    global _now
    before, _now = _now, share
    try:
        yield
    finally:
        _now = before


def total(rows: int) -> int:
    """How many pictures the whole batch has where this share has so many ``rows``."""
    return rows * _now.shares


def own(drawn: Tensor, dim: int = 0) -> Tensor:
    """Of numbers for the whole batch those of this share."""
    if _now.shares == 1:
        return drawn
    return drawn.transpose(0, dim)[_now.index :: _now.shares].transpose(0, dim)


def place(row: int) -> int:
    """The number in the whole batch of a picture of this share."""
    return _now.index + row * _now.shares


def noise_maps(generator: Generator, rows: int) -> list[Tensor]:
    """Random noise for each layer of a generator (B, 1, s, s), as it would draw it by itself."""
    like = generator.constant
    return [
        own(torch.randn(total(rows), 1, side, side, device=like.device, dtype=like.dtype))
        for side in generator.spec.noise_sizes
    ]
