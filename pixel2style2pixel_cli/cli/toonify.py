"""``p2s2p toonify``: photographs in, cartoons out."""

from __future__ import annotations

from pixel2style2pixel_cli.cli.task import task_command
from pixel2style2pixel_cli.tasks.toonify import ToonifyOptions

EXAMPLES = """Examples:

p2s2p toonify photo.jpg -o toon.png --grid pair

p2s2p toonify group.jpg --face all --paste
"""

toonify = task_command(ToonifyOptions, own={})
