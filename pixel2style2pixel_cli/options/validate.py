"""Options of the Python interface, checked as the command line checks what is typed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.kinds import Unexpected
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
    return replace(options, **changed) if changed else options  # type: ignore[type-var]


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
