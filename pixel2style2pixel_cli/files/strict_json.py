"""JSON text of foreign files: finite numbers, whole characters and no deeper than anything we write."""

from __future__ import annotations

import json
import math
from typing import NoReturn

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_DEEPEST = 32  # a recipe has 4 levels
_DIGITS = 40


def parse_json(text: str | bytes) -> Json:
    """The value; ValueError, with a reason of one line, for text that is no such JSON."""
    try:
        value: Json = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep") from error
    level: list[Json] = [value]
    for _ in range(_DEEPEST):
        level = [item for outer in level for item in _inside(outer)]
        if not level:
            return value
    raise ValueError(f"it is nested more than {_DEEPEST} levels deep")


def _inside(value: Json) -> list[Json]:
    """The values in a list or a dictionary; ValueError for text that is no whole characters."""
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair: UnicodeEncodeError, a ValueError
        return []
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:_DIGITS]} is too large a number")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
