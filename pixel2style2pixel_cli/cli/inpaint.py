"""``p2s2p inpaint``: photographs with a hole in, whole faces out."""

from __future__ import annotations

from typing import Annotated

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.inpaint import InpaintOptions

EXAMPLES = """Examples:

p2s2p inpaint photo.jpg --mask mask.png -o whole.png

p2s2p inpaint photos/ --mask masks/ --mix-seed 0-3 --grid row

p2s2p inpaint painted.png --mask-colour '#ff00ff'
"""
MASK_HELP = "A picture, white where the photograph is to be made up, or a folder with one for each input."
COLOUR_HELP = "Make up what is painted in this colour."
TOLERANCE_HELP = "How far a pixel may be from that colour, in grey levels."
KEEP_HELP = "Leave what is outside the mask as it was."

OWN = {
    "mask": Annotated[str | None, o.value("--mask", metavar="FILE", panel=o.TASK, help=MASK_HELP)],
    "mask_colour": Annotated[
        str | None, o.value("--mask-colour", "--mask-color", metavar="COLOUR", panel=o.TASK, help=COLOUR_HELP)
    ],
    "mask_tolerance": Annotated[
        int, o.value("--mask-tolerance", metavar="N", min=0, max=255, panel=o.TASK, help=TOLERANCE_HELP)
    ],
    "keep": Annotated[bool, o.flag("--keep/--no-keep", panel=o.TASK, help=KEEP_HELP)],
}

inpaint = task_command(InpaintOptions, own=OWN)
