"""Options of the Python interface, checked as the command line checks what is typed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from pixel2style2pixel_cli.errors import UsageError, shown_value
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.kinds import Unexpected, kind_of
from pixel2style2pixel_cli.options.refusal import refusal

Options = TypeVar("Options")


def validate(options: Options, called: str) -> Options:
    """The options with one value in the place of a list of one; UsageError for a value that an option does not take.

    ``called`` is the function whose help lists what it takes.
    """
    changed: dict[str, object] = {}
    for declared in declarations_of(type(options)):
        given = getattr(options, declared.name)
        if given is declared.default:
            continue
        try:
            value = declared.kind.check(given)
        except Unexpected as error:
            raise refusal(declared.name, error, declared.kind, f"help({called}) lists what it takes") from None
        if value is not given:
            changed[declared.name] = value
    _check_callbacks(options)
    return replace(options, **changed) if changed else options  # type: ignore[type-var]


def check_value(
    name: str,
    value: object,
    annotation: object,
    called: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """One argument of a function that has no dataclass of options, checked as ``validate`` checks those."""
    kind = replace(kind_of(annotation), minimum=minimum, maximum=maximum)
    try:
        return kind.check(value)
    except Unexpected as error:
        raise refusal(name, error, kind, f"help({called}) lists what it takes") from None


def _check_callbacks(options: object) -> None:
    """Raise UsageError where something that would be called, such as ``on_event``, is no function."""
    declared = {each.name for each in declarations_of(type(options))}
    for field in fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        if field.name not in declared and value is not field.default and not callable(value):
            raise UsageError(f"{field.name} is {shown_value(value)}, expected a function", "leave it out")


def input_list(inputs: object) -> list[str]:
    """Inputs as texts: one text or path is one input, not a list of letters; UsageError for anything else."""
    items: Iterable[Any] = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs  # type: ignore[assignment]
    try:
        listed = list(items)
    except TypeError:
        raise _no_inputs(inputs) from None
    for item in listed:
        if not isinstance(item, (str, os.PathLike)) or isinstance(os.fspath(item), bytes):
            raise _no_inputs(item)
    return [str(Path(item)) if isinstance(item, os.PathLike) else item for item in listed]


def _no_inputs(found: object) -> UsageError:
    kind = type(found).__name__
    return UsageError(f"an input is a {kind}, expected a path", "give paths: ['a.jpg', 'photos/']")
