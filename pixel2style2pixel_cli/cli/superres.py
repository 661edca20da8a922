"""``p2s2p superres``: small or blurred faces in, large ones with plausible detail out."""

from __future__ import annotations

from typing import Annotated

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.superres import SuperresOptions

EXAMPLES = """Examples:

p2s2p superres tiny.png -o large.png

p2s2p superres photo.jpg --factor 8 --grid pair --mix-seed 0-3
"""
FACTOR_HELP = "First make the face so many times smaller, 1 to 32: for tests."

OWN = {
    "factor": Annotated[int, o.value("--factor", metavar="N", panel=o.TASK, help=FACTOR_HELP)],
}

superres = task_command(SuperresOptions, own=OWN)
