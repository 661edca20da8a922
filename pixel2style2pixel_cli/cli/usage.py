"""What the argument parser found wrong, in the two lines that every error of ours has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any

import typer

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
    unknown = re.match(r"No such command '(.*?)'", found.message)
    if unknown and context is not None:
        near = get_close_matches(unknown[1], getattr(context.command, "commands", ()))
        return UsageError(f"no such command: {unknown[1]}", _did_you_mean(near, help_line))
    message = found.message.rstrip(".")
    return UsageError(message[:1].lower() + message[1:], help_line)


def _parameter_name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name)
    return str(max(parameter.opts, key=len))


def _did_you_mean(near: Sequence[str], otherwise: str) -> str:
    return f"did you mean {' or '.join(near)}?" if near else otherwise
