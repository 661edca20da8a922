"""What a command is told about its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pixel2style2pixel_cli.options.declare import MESSAGES, declare

Colour = Literal["auto", "always", "never"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class MessageOptions:
    """Only typed: the Python interface reports events instead."""

    json: bool = declare(
        False, "--json", section=MESSAGES, help="JSON Lines on standard output, all else on standard error."
    )
    quiet: bool = declare(False, "-q", "--quiet", section=MESSAGES, help="Errors only.")
    verbose: int = declare(
        0, "-v", "--verbose", section=MESSAGES, counted=True, minimum=0, help="One line per file; -vv adds timings."
    )
    color: Colour = declare(
        "auto", "--color", metavar="WHEN", section=MESSAGES,
        help="auto (terminal, NO_COLOR, FORCE_COLOR), always or never.",
    )  # fmt: skip
    config: str | None = declare(
        None, "--config", metavar="FILE", section=MESSAGES, path=True, configured=False,
        help="TOML file of defaults, in place of ./p2s2p.toml and the user file.",
    )  # fmt: skip
