"""``p2s2p invert``: photographs in, the W+ code and the reconstruction of each face out."""

from __future__ import annotations

from typing import Annotated

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.invert import InvertOptions

EXAMPLES = """Examples:

p2s2p invert photo.jpg -o me.png

p2s2p invert photos/ -r -o faces/ --save-latents --skip-existing

p2s2p invert group.jpg --face all --paste
"""
OPTIMIZE_HELP = "Steps that optimise the code after the encoder."

OWN = {
    "optimize": Annotated[
        int | None,
        o.value("--optimize", metavar="N", min=0, panel=o.TASK, help=OPTIMIZE_HELP, show_default="the model's"),
    ],
}

invert = task_command(InvertOptions, own=OWN)
