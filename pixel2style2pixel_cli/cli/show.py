"""``p2s2p show``: how a picture was made, what a latent or a weight file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.defaults import start_output
from pixel2style2pixel_cli.events import SCHEMA

ShownFile = Annotated[str, typer.Argument(metavar="FILE", help="A picture made by p2s2p, a latent or a weight file.")]


def show(
    context: typer.Context,
    file: ShownFile,
    json: o.JsonOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Show the recipe of a picture, or the contents of a latent or a weight file."""
    output = start_output(context, json=json, quiet=False, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    fields = dict(api.show_file(Path(file)))
    if json:
        output.json_line({"event": "show", "schema": SCHEMA, **fields})
    else:
        output.record(fields)
    return 0
