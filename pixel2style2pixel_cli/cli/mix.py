"""``p2s2p mix``: one face with rows of other codes."""

from __future__ import annotations

from typing import Annotated

import typer

from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.mix import MixOptions

EXAMPLES = """Examples:

p2s2p mix a.jpg b.jpg --mix-layers fine -o mixed.png

p2s2p mix a.safetensors styles/ -o mixed/ --grid sheet

p2s2p mix a.jpg --mix-seed 0-7 --grid row
"""

ContentAndStyles = Annotated[
    list[str],
    typer.Argument(
        metavar="CONTENT STYLE",
        help="A photograph or latent, then styles: photographs, latents, folders, quoted globs, @list.txt.",
    ),
]

mix = task_command(MixOptions, own={}, inputs=ContentAndStyles)
