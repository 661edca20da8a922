"""How sure a mean is: bootstrap intervals (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

DRAWS, SHARE = 2000, 0.95
ENDS = ((1 - SHARE) / 2, (1 + SHARE) / 2)


def interval(values: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """The ends of the 95 % bootstrap interval of the mean of some numbers (M,), the same for equal seeds."""
    if len(values) == 1:
        return float(values[0]), float(values[0])
    chosen = np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), ENDS)
    return float(low), float(high)


def resampled(count: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """How often each of ``count`` things is drawn, for each of the bootstrap's draws: figures that are no means."""
    chance = np.random.default_rng(seed)
    for _ in range(DRAWS):
        yield np.bincount(chance.integers(count, size=count), minlength=count)
