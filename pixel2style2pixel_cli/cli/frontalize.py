"""``p2s2p frontalize``: photographs in, the same faces turned to the front out."""

from __future__ import annotations

from typing import Annotated

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.frontalize import FrontalizeOptions

EXAMPLES = """Examples:

p2s2p frontalize photo.jpg -o front.png --grid pair

p2s2p frontalize photos/ -r -o fronts/ --strength 0.7
"""
STRENGTH_HELP = "How far it turns: 0 leaves the face as it is, 1 turns it all the way."
LAYERS_HELP = "Rows that turn: 0-5, coarse, middle, fine."

OWN = {
    "strength": Annotated[float, o.value("--strength", metavar="S", panel=o.TASK, help=STRENGTH_HELP)],
    "layers": Annotated[
        str | None, o.value("--layers", metavar="ROWS", panel=o.TASK, help=LAYERS_HELP, show_default="all")
    ],
}

frontalize = task_command(FrontalizeOptions, own=OWN)
