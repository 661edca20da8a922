"""``p2s2p sketch2face``: drawings in, photographs out."""

from __future__ import annotations

from typing import Annotated

import typer

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.sketch2face import Sketch2FaceOptions

EXAMPLES = """Examples:

p2s2p sketch2face drawing.png -o face.png --mix-seed 0-3 --grid row

p2s2p sketch2face photo.jpg --sketchify --preview-input
"""
SKETCHIFY_HELP = "The inputs are photographs: make the drawings from them."
INVERT_HELP = "The drawings have light lines on dark paper."

Drawings = Annotated[list[str], typer.Argument(metavar="INPUT", help="Drawings and scans" + o.INPUTS_HELP)]
OWN = {
    "sketchify": Annotated[bool, o.flag("--sketchify", panel=o.TASK, help=SKETCHIFY_HELP)],
    "invert_sketch": Annotated[bool, o.flag("--invert-sketch", panel=o.TASK, help=INVERT_HELP)],
}

sketch2face = task_command(Sketch2FaceOptions, own=OWN, inputs=Drawings)
