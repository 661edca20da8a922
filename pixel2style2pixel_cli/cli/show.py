"""``p2s2p show``: how a picture was made, what a latent or a weight file holds."""

from __future__ import annotations

from pathlib import Path

from pixel2style2pixel_cli.cli.registry import OTHERS
from pixel2style2pixel_cli.cli.spec import PLAIN_MESSAGES, CommandSpec, Given
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.models import ShowOptions


def show(given: Given) -> int:
    """Print what is known of the file."""
    from pixel2style2pixel_cli import api

    fields = dict(api.show_file(Path(given.options(ShowOptions).file)))
    if given.output.report.mode == "json":
        given.output.json_line({"event": "show", "schema": SCHEMA, **fields})
    else:
        given.output.record(fields)
    return 0


COMMANDS = (
    CommandSpec(
        name="show", help=OTHERS["show"], act=show, takes=declarations_of(ShowOptions), messages=PLAIN_MESSAGES
    ),
)
