"""What callers of a session hand over: one thing or a list of them, and codes as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import UsageError, shown_value

T = TypeVar("T")


def is_list(value: object) -> bool:
    """Whether it is several things; a string is one, and so is an array."""
    return isinstance(value, (list, tuple))


def listed(value: T | Sequence[T]) -> list[Any]:
    """The things, or the one thing as a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def as_codes(codes: object) -> NDArray[np.float32]:
    """Numbers as codes; UsageError for what is none, or not finite."""
    try:
        found = np.asarray(codes, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"codes are {shown_value(codes)}, expected numbers", "give an array (N, D) or (B, N, D)"
        ) from error
    if found.size == 0 or not np.isfinite(found).all():
        raise UsageError("codes are empty or not finite", "give the numbers of session.encode, or result.codes")
    return found
