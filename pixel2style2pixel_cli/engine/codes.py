"""What a generator draws a picture from.

Shape suffixes: B batch, N rows, D style width, s side of a noise map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixel2style2pixel_cli.errors import check_shape


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found:
    """What the optimisation of one picture has to say.

    ``metrics`` are numbers worth reporting, such as the loss. ``recipe`` is what was found on the way and decides the
    pixels. ``stopped`` says after how much of its work an optimisation was interrupted, in words; None where it ended
    by itself. ``frames`` are pictures on the way, uint8 (S, S, 3).
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, int | float | str] = field(default_factory=dict)
    stopped: str | None = None
    frames: tuple[NDArray[np.uint8], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Codes of a batch of pictures, on their whole way from the encoder to the generator.

    ``w_plus`` has shape (B, N, D). ``noise`` holds one map (B, 1, s, s) for each layer in the place of the generator's
    stored ones (Image2StyleGAN++). ``tensors`` replace those of the generator with the same names, for all pictures of
    the batch (pivotal tuning). ``found`` is what optimisation says of each picture.
    """

    w_plus: Tensor
    noise: tuple[Tensor, ...] | None = None
    tensors: Mapping[str, Tensor] | None = None
    found: tuple[Found, ...] | None = None

    def __post_init__(self) -> None:
        check_shape(self.w_plus, (None, None, None), "W+ codes")
        for noise in self.noise or ():
            check_shape(noise, (len(self.w_plus), 1, None, None), "a noise map of the codes")

    def __len__(self) -> int:
        return len(self.w_plus)

    def __getitem__(self, pictures: slice | list[int]) -> Codes:
        """The codes of some of the pictures."""
        noise = None if self.noise is None else tuple(map_[pictures] for map_ in self.noise)
        return replace(self, w_plus=self.w_plus[pictures], noise=noise, found=self._found_of(pictures))

    def _found_of(self, pictures: slice | list[int]) -> tuple[Found, ...] | None:
        if self.found is None:
            return None
        return self.found[pictures] if isinstance(pictures, slice) else tuple(self.found[i] for i in pictures)

    @property
    def stopped(self) -> bool:
        """Whether the optimisation of a picture was interrupted, so that those after it have no codes."""
        return any(each.stopped is not None for each in self.found or ())

    def with_w_plus(self, w_plus_BND: Tensor) -> Codes:
        """Other codes, with the same noise and generator."""
        return replace(self, w_plus=w_plus_BND)


def join(parts: Iterable[Codes]) -> Codes:
    """The codes of several batches, drawn by the same generator, as one."""
    codes = list(parts)
    first = codes[0]
    if any((part.noise is None) != (first.noise is None) or part.tensors is not first.tensors for part in codes):
        raise TypeError("codes with and without noise maps, or of different generators, cannot be joined")
    noise = None
    if first.noise is not None:
        noise = tuple(torch.cat(maps) for maps in zip(*(part.noise or () for part in codes), strict=True))
    found = None
    if any(part.found is not None for part in codes):
        found = tuple(each for part in codes for each in part.found or (Found(),) * len(part))
    return Codes(torch.cat([part.w_plus for part in codes]), noise, first.tensors, found)
