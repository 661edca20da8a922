"""Rows of a W+ code as people write them (methods.md 4.6); without torch, so that they are checked before it loads."""

from __future__ import annotations

import re

from pixel2style2pixel_cli.errors import UsageError

_RANGE = re.compile(r"(\d{1,4})(-(\d{1,4})?)?", re.ASCII)
# the levels of the pSp encoder: networks/psp.py
NAMED = {"coarse": "0-2", "middle": "3-6", "fine": "7-"}


def parse_layers(text: str, n_styles: int) -> tuple[int, ...]:
    """Rows out of ``8-17``, ``8-``, ``0,3,7-9``, ``coarse``, ``middle``, ``fine``; UsageError beyond the model's."""
    rows: set[int] = set()
    for part in (piece.strip() for piece in text.split(",")):
        match = _RANGE.fullmatch(NAMED.get(part, part))
        if match is None:
            raise UsageError(f"the layers {part!r} cannot be read", "write 8-17, 8-, 0,3,7-9, coarse, middle or fine")
        first = int(match[1])
        last = first if match[2] is None else n_styles - 1 if match[3] is None else int(match[3])
        if first >= n_styles or last >= n_styles:
            raise UsageError(
                f"the layers {part} go beyond the model's {n_styles} rows", f"use rows 0 to {n_styles - 1}, or 8-"
            )
        if last < first:
            raise UsageError(f"the layers {part} are not a valid range", "write the smaller row first, as in 8-11")
        rows.update(range(first, last + 1))
    return tuple(sorted(rows))
