"""What is said of a value that an option does not take: the same words on the command line, in files and in Python."""

from __future__ import annotations

from difflib import get_close_matches

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.kinds import Kind, Unexpected


def refusal(name: str, error: Unexpected, kind: Kind, otherwise: str) -> UsageError:
    """The error about a value given for ``name``; its hint is the choice that was meant, if one is near."""
    near = nearest(error, kind)
    return UsageError(f"{name} {error}", f"did you mean {near}?" if near else otherwise)


def nearest(error: Unexpected, kind: Kind) -> str:
    """The choice that was probably meant; empty where none is near."""
    near = get_close_matches(error.value, kind.choices, n=1) if isinstance(error.value, str) else []
    return near[0] if near else ""
