"""``p2s2p seg2face``: label maps in, photographs out."""

from __future__ import annotations

from typing import Annotated

import typer

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.seg2face import Seg2FaceOptions

EXAMPLES = """Examples:

p2s2p seg2face map.png --mix-seed 0-7 --grid row -o faces/

p2s2p seg2face maps/ -r --labels bisenet-19
"""
LABELS_HELP = "What the numbers in the maps mean: celebamask-19 or bisenet-19."

Maps = Annotated[list[str], typer.Argument(metavar="INPUT", help="Label maps" + o.INPUTS_HELP)]
OWN = {
    "labels": Annotated[
        str | None, o.value("--labels", metavar="SCHEMA", panel=o.TASK, help=LABELS_HELP, show_default="the model's")
    ],
}

seg2face = task_command(Seg2FaceOptions, own=OWN, inputs=Maps)
