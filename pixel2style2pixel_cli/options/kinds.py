"""What the values of an option are, read from its annotation: how a text becomes one, and whether a value is one."""

from __future__ import annotations

import math
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pixel2style2pixel_cli.config import FALSE, TRUE
from pixel2style2pixel_cli.errors import shown_value

Base = Literal["flag", "whole", "number", "text", "choice"]

_WHOLE = re.compile(r"[+-]?\d{1,4000}", re.ASCII)
_BASES: dict[Any, Base] = {bool: "flag", int: "whole", float: "number", str: "text", Path: "text"}


class Unexpected(ValueError):
    """A value that an option does not take: the value, and in words what the option does take."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(f"is {shown_value(value)}, expected {expected}")
        self.value, self.expected = value, expected


# Compared by nobody, and every start of the command line pays for what is generated.
@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Kind:
    """The values of one option.

    ``choices`` are words with a meaning of their own, beside the values of ``base`` ("choice": there are no others).
    ``optional``: None stands for the choice of the model or the machine. ``many``: a list of such values. ``pairs``: a
    mapping of names to texts. ``path``: a text that names a file or folder; ``path_object``: or a Path. ``numeric``: a
    number may stand for a text. ``pattern``: what a text must look like, and ``pattern_means`` how that is called.
    """

    base: Base
    choices: tuple[str, ...] = ()
    optional: bool = False
    many: bool = False
    pairs: bool = False
    path: bool = False
    path_object: bool = False
    numeric: bool = False
    minimum: float | None = None
    maximum: float | None = None
    pattern: re.Pattern[str] | None = None
    pattern_means: str = ""

    @property
    def expected(self) -> str:
        """One value in words, as it stands after "expected"."""
        words = [*self.choices] if self.base == "choice" else [*self.choices, self._base_in_words()]
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

    def read(self, text: str) -> object:
        """The value that a text stands for; Unexpected where it stands for none."""
        if text in self.choices:
            return text
        if self.base == "flag" and text.lower() in TRUE | FALSE:
            return text.lower() in TRUE
        if self.base == "whole" and _WHOLE.fullmatch(text.strip()):
            return self._within(int(text), text)
        if self.base == "number":
            try:
                return self._within(float(text), text)
            except ValueError:
                raise Unexpected(text, self.expected) from None
        if self.base == "text" and self._matches(text):
            return self._read_path(text) if self.path else text
        raise Unexpected(text, self.expected)

    def check(self, value: object) -> object:
        """A value of the Python interface as the code takes it; Unexpected where it is of another type or range."""
        if value is None and self.optional:
            return None
        if self.pairs:
            return self._check_pairs(value)
        if not self.many:
            return self._check_one(value)
        if isinstance(value, (str, bytes, bytearray, os.PathLike)) or not isinstance(value, Sequence):
            return (self._check_one(value),)  # one value is a list of one, and a text no list of letters
        return tuple(self._check_one(item) for item in value)

    def _check_one(self, value: object) -> object:
        if isinstance(value, str) and value in self.choices:
            return value
        if self.base == "flag" and isinstance(value, bool):
            return value
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            if self.base == "whole" and isinstance(value, numbers.Integral):
                return self._within(int(value), value)
            if self.base == "number":
                return self._within(_as_float(value), value)
        if self.base == "text":
            if isinstance(value, int) and not isinstance(value, bool) and self.pattern is not None:
                value = str(value)  # the number of a face
            if isinstance(value, int) and not isinstance(value, bool) and self.numeric:
                return value
            if isinstance(value, str) and self._matches(value):
                return value
            if self.path and isinstance(value, os.PathLike):
                return value if self.path_object else os.fspath(value)
        raise Unexpected(value, self.expected)

    def _check_pairs(self, value: object) -> Mapping[str, str]:
        if not isinstance(value, Mapping):
            raise Unexpected(value, "a mapping of names to values")
        return {str(name): _plain_text(item) for name, item in value.items()}

    def _within(self, number: float, given: object) -> float:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        finite = isinstance(number, int) or math.isfinite(number)  # an int may be too large to ask
        if not finite or not low <= number <= high:
            raise Unexpected(given, self.expected)
        return number

    def _matches(self, text: str) -> bool:
        return self.pattern is None or self.pattern.fullmatch(text) is not None

    def _read_path(self, text: str) -> str:
        """The path with the home folder in the place of ``~``."""
        if not text.startswith("~"):
            return text
        try:
            return str(Path(text).expanduser())
        except RuntimeError:
            user = re.split(r"[/\\]", text, maxsplit=1)[0]
            raise Unexpected(text, f"a path; there is no home folder {user}") from None

    def _base_in_words(self) -> str:
        if self.base == "flag":
            return "true or false"
        if self.base == "text":
            return self.pattern_means or ("a path" if self.path else "text")
        noun = "a whole number" if self.base == "whole" else "a number"
        low, high = (None if limit is None else str(limit) for limit in (self.minimum, self.maximum))
        if low is None:
            return noun if high is None else f"{noun} of at most {high}"
        return f"{noun} of at least {low}" if high is None else f"{noun} from {low} to {high}"


def kind_of(annotation: object) -> Kind:
    """The kind of an annotation: bool, int, float, str, Path, Literal, unions of these with None, Sequence, Mapping."""
    members = _members(annotation)
    optional = NoneType in members
    rest = [member for member in members if member is not NoneType]
    choices = tuple(str(word) for member in rest if get_origin(member) is Literal for word in get_args(member))
    others = [member for member in rest if get_origin(member) is not Literal]
    origins = [get_origin(member) for member in others]
    if Sequence in origins:
        inner = kind_of(get_args(others[origins.index(Sequence)])[0])
        return replace(inner, many=True, optional=optional)
    if Mapping in origins:
        return Kind(base="text", pairs=True, optional=optional)
    bases = {_BASES[member] for member in others}
    base: Base = "text" if "text" in bases else next(iter(bases)) if bases else "choice"
    path, numeric = Path in others, {"text", "whole"} <= bases
    return Kind(base=base, choices=choices, optional=optional, path=path, path_object=path, numeric=numeric)


def _members(annotation: object) -> tuple[object, ...]:
    """The members of a union, else the annotation itself."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(inner for member in get_args(annotation) for inner in _members(member))
    return (annotation,)


def _as_float(value: numbers.Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _plain_text(raw: object) -> str:
    """A scalar of a configuration file as it would be typed; Unexpected for a table or a list."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, (str, int, float)):
        return str(raw)
    raise Unexpected(raw, "one value")


def read_configured(kind: Kind, raw: object, *, count: bool = False) -> object:
    """A value of a configuration file; Unexpected where the option takes no such value."""
    if kind.base == "flag":
        if not isinstance(raw, (bool, int, str)):
            raise Unexpected(raw, kind.expected)
        try:
            return kind.read(str(raw))
        except Unexpected:
            raise Unexpected(raw, kind.expected) from None
    if count and isinstance(raw, bool):
        raise Unexpected(raw, kind.expected)
    if kind.pairs:
        return read_pairs(raw)
    if kind.many:
        items = [raw] if isinstance(raw, str) else raw
        if not isinstance(items, list):
            raise Unexpected(raw, "a list")
        return [kind.read(_plain_text(item)) for item in items]
    return kind.read(_plain_text(raw))


def read_pairs(raw: object) -> dict[str, str]:
    """Names and values out of a table, or out of texts such as ``run.batch=16``."""
    if isinstance(raw, Mapping):
        return {str(name): _plain_text(value) for name, value in raw.items()}
    found: dict[str, str] = {}
    items = [raw] if isinstance(raw, str) else raw
    if not isinstance(items, (list, tuple)):
        raise Unexpected(raw, "a list")
    for item in items:
        name, equals, value = _plain_text(item).partition("=")
        if not equals or not name.strip():
            raise Unexpected(item, "NAME=VALUE, such as run.batch=16")
        found[name.strip()] = value.strip()
    return found
