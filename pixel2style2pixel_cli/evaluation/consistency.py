"""Latent editing consistency (LEC): whether the code of an edited picture is the edited code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.float32]
Pixels = NDArray[np.uint8]
CUT = 100  # of a hundred lengths and more, one in a hundred is left out at either end, as published


def edit_lengths(
    codes: Codes,
    step: Codes,
    draw: Callable[[int, Codes], Sequence[Pixels]],
    invert: Callable[[Sequence[Pixels]], Codes],
) -> NDArray[np.float64]:
    """|E(x) - f'(E(G(f(E(x)))))| of each picture, where f adds the step (N, D) and f' takes it away again.

    codes: (M, N, D) of the pictures. ``draw`` draws codes (1, N, D) as picture number i is drawn, ``invert`` finds the
    codes of pictures. The norm is over the whole code. Source: Tov et al. 2021, Designing an Encoder for StyleGAN Image
    Manipulation, section 5.2.
    """
    edited = [draw(i, code[None] + step)[0] for i, code in enumerate(codes)]
    moved = codes - (invert(edited) - step)
    return np.asarray(np.linalg.norm(moved.reshape(len(codes), -1).astype(np.float64), axis=1))


def kept_lengths(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lengths without the ``CUT``-th part at either end."""
    cut = len(lengths) // CUT
    return np.sort(lengths)[cut : len(lengths) - cut]
