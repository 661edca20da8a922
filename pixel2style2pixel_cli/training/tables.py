"""Dataclasses from the tables of a TOML file and to JSON, and how the configurations of two runs differ."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
import typing
from typing import Any, Literal, TypeVar

from pixel2style2pixel_cli.errors import SHOWN, UsageError, in_one_line, listed, shown_value
from pixel2style2pixel_cli.training.limits import MOST

MOST_ITEMS = 64  # of a list

# Keys that checkpoints of earlier versions lack, and what their runs did.
ADDED: dict[str, Any] = {
    "encoder.stage": -1, "task.method": "psp", "losses.delta": 0.0, "losses.adversarial": 0.0, "losses.recogniser": "",
    "run.accumulate": 1, "run.recompute": False,
}  # fmt: skip

T = TypeVar("T")

_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text", tuple: "a list"}


def from_table(cls: type[T], table: dict[str, Any]) -> T:
    """A dataclass from nested tables; every unknown key and wrong type is reported at once."""
    problems: list[str] = []
    value = _build(cls, table, "", problems)
    if problems:
        raise UsageError("configuration: " + listed(problems), "remove or correct these keys")
    return typing.cast(T, value)


def to_json(config: Any) -> str:
    """The configuration as JSON with sorted keys: stored in checkpoints, compared on resume."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True)


def differing_keys(first: str, second: str) -> list[str]:
    """Keys, as ``section.key``, in which two configurations made by ``to_json`` differ; no section equals None.

    A key that one of them is too old to have counts as what every run did before there was the key.
    """
    one, other = ({**ADDED, **_flat(json.loads(text))} for text in (first, second))
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _flat(table: dict[str, Any], where: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{where}{key}.") if isinstance(value, dict) else {f"{where}{key}": value}
    return flat


def _build(cls: type[Any], table: dict[str, Any], where: str, problems: list[str]) -> Any:
    """A dataclass from its table, None where something in it is wrong."""
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls)}
    found = [f"unknown key {where}{in_one_line(key)[:SHOWN]}" for key in table if key not in known]
    arguments: dict[str, Any] = {}
    for name, item in known.items():
        if name not in table:
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                found.append(f"missing key {where}{name}")
            continue
        arguments[name] = _convert(hints[name], table[name], f"{where}{name}", found)
    problems += found
    return None if found else cls(**arguments)


def _convert(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    """A value of TOML as the type that a field has; what does not fit it is a problem."""
    if isinstance(hint, types.UnionType):
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(typing.cast(type[Any], hint), value, where + ".", problems)
    if origin is tuple and isinstance(value, list):
        element = typing.get_args(hint)[0]
        return tuple(_convert(element, item, f"{where}[{i}]", problems) for i, item in enumerate(value[:MOST_ITEMS]))
    if origin is Literal:
        if value not in typing.get_args(hint):
            known = ", ".join(map(str, typing.get_args(hint)))
            problems.append(f"{where} is {shown_value(value)}, expected one of {known}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < MOST else math.inf
    kind = origin or hint
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        problems.append(f"{where} is {shown_value(value)}, expected {_KINDS.get(kind, 'a table')}")
    elif isinstance(value, float) and not math.isfinite(value):
        problems.append(f"{where} is {value}, expected a finite number")
    return value


def toml_value(text: str) -> Any:
    """The value that a text of ``--set`` stands for; a text that is no TOML stands for itself."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except (ValueError, RecursionError):  # besides TOML's own errors: numbers and nesting without end
        return text
