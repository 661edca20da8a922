"""What the argument parser found wrong, in the two lines that every error of ours has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any

import typer

from pixel2style2pixel_cli.cli.defaults import configured
from pixel2style2pixel_cli.errors import UsageError


def usage_error(error: Exception, arguments: Sequence[str]) -> UsageError | None:
    """Translate an exception of the parser; None when it is not one.

    The parser is private to Typer, so its exceptions are known by what they carry, not by their classes.
    """
    if not (hasattr(error, "format_message") and hasattr(error, "exit_code")):
        return None
    found: Any = error
    context: typer.Context | None = getattr(found, "ctx", None)
    path = context.command_path if context else " ".join(["p2s2p", *takewhile(str.isalpha, arguments[:1])])
    help_line = f"{path} --help lists what it takes"
    kind = type(error).__name__
    if kind == "NoArgsIsHelpError":
        return UsageError("no command given", f"choose one of the commands above, then {path} COMMAND --help")
    if kind == "NoSuchOption":
        near = sorted(found.possibilities or ())
        return UsageError(f"no such option: {found.option_name}", _did_you_mean(near, help_line))
    if kind == "MissingParameter":
        return UsageError(f"missing {_parameter_name(found.param)}", help_line)
    if getattr(found, "param", None) is not None:
        return _bad_value(found, context, arguments, help_line)
    unknown = re.match(r"No such command '(.*?)'", found.message)
    if unknown and context is not None:
        near = get_close_matches(unknown[1], getattr(context.command, "commands", ()))
        return UsageError(f"no such command: {unknown[1]}", _did_you_mean(near, help_line))
    message = found.message.rstrip(".")
    return UsageError(message[:1].lower() + message[1:], help_line)


def _bad_value(found: Any, context: typer.Context | None, arguments: Sequence[str], help_line: str) -> UsageError:
    message = found.message.removeprefix("Value error, ").rstrip(".")
    message = re.sub(r"^Input (should be a[^,]*),.*", r"Input \1", message)
    message = message[:1].lower() + message[1:]
    default = configured(context, found.param.name) if context is not None else None
    value = _typed_value(found.param, arguments) if default is None else str(default.value)
    if value is not None and value not in message:
        message = f"{value!r}: {message}"
    where = f" ({default.origin})" if default is not None else ""
    listed = re.findall(r"'([^']*)'", message.partition(" is not one of ")[2])
    wrong = re.match(r"'([^']*)'", message)
    near = get_close_matches(wrong[1], listed) if wrong else []
    return UsageError(f"{_parameter_name(found.param)}{where}: {message}", _did_you_mean(near, help_line))


def _typed_value(parameter: Any, arguments: Sequence[str]) -> str | None:
    """What was typed for an option: some messages of the parser leave it out."""
    for index, word in enumerate(arguments):
        if word in parameter.opts and index + 1 < len(arguments):
            return arguments[index + 1]
        name, equals, value = word.partition("=")
        if equals and name in parameter.opts:
            return value
    return None


def _parameter_name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name)
    return str(max(parameter.opts, key=len))


def _did_you_mean(near: Sequence[str], otherwise: str) -> str:
    return f"did you mean {' or '.join(near)}?" if near else otherwise
