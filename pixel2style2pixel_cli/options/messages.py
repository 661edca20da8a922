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
        False,
        "--json",
        section=MESSAGES,
        help="Print JSON Lines to standard output, everything else to standard error.",
    )
    quiet: bool = declare(False, "-q", "--quiet", section=MESSAGES, help="Print errors only.")
    verbose: int = declare(
        0,
        "-v",
        "--verbose",
        section=MESSAGES,
        counted=True,
        minimum=0,
        help="Print one line per file; -vv adds timings.",
    )
    color: Colour = declare(
        "auto", "--color", metavar="WHEN", section=MESSAGES,
        help="Colours: auto (terminal, NO_COLOR, FORCE_COLOR), always or never.",
    )  # fmt: skip
    config: str | None = declare(
        None, "--config", metavar="FILE", section=MESSAGES, path=True, configured=False,
        help="TOML file with defaults, instead of ./p2s2p.toml and the user's file.",
    )  # fmt: skip
