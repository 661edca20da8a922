"""Limits of the numbers in presets: every number is finite, none is below 0 unless its section says so."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from pixel2style2pixel_cli.errors import UsageError, shown_value

MOST = 10.0**12  # of anything that is counted or multiplied; a run of a step a second takes 30,000 years for so many
BELOW_ONE = 0.999999  # the largest memory of an average

Range = tuple[float, float]


def check_numbers(section: str, config: Any, **ranges: Range) -> None:
    """Raise UsageError for all numbers of a dataclass that are out of their range: 0 to ``MOST`` where none is given.

    Numbers that are not finite are out of every range.
    """
    wrong: dict[Range, list[str]] = {}
    for field in dataclasses.fields(config):
        value, (least, most) = getattr(config, field.name), ranges.get(field.name, (0, MOST))
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not least <= value <= most:
            wrong.setdefault((least, most), []).append(f"{section}.{field.name} is {shown_value(value)}")
    if wrong:
        found = [f"{', '.join(values)}, expected {_in_words(*limits)}" for limits, values in wrong.items()]
        raise UsageError("; ".join(found), "correct these values")


def _in_words(least: float, most: float) -> str:
    if most == MOST:
        return f"{least:g} or more" if math.isfinite(least) else "a number"
    return f"{least:g} to {most:g}"
