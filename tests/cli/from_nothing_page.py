"""The page from nothing to a picture: its commands, and how they are made small enough for a test.

Run this file in a folder with ``photos``, ``maps``, ``cartoons``, ``new`` and ``new-maps`` to write what the commands
print there into the page anew.
"""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

import numpy as np
import training_page
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "from-nothing.md"
SIDE, PICTURES, NEW = 64, 12, 2
HOME = "home"  # below the working folder, so that the page names no other
STEPS = re.compile(r"--steps \d+")
# What every training of the page is told on top, so that it takes a second or two.
SMALL = "--steps 2 --set run.batch=2 --set run.validate_pictures=2"
SMALL_GENERATOR = "--set generator.style_dim=32 --set generator.channel_max=16 --set encoder.head_width=8"
SMALL_ENCODER = "--set encoder.head_width=8"


def small(command: str) -> str:
    """The command at tiny size; other commands are as they are."""
    if not command.startswith("p2s2p train"):
        return command
    sizes = SMALL_GENERATOR if command.startswith("p2s2p train generator") else SMALL_ENCODER
    return f"{STEPS.sub(SMALL, command)} {sizes}"


def write_inputs(folder: Path) -> None:
    """Pictures of discs, maps of them, the same in three colours; and a few more that are not among them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    for number in range(PICTURES + NEW):
        y, x, radius = rng.integers(-8, 9), rng.integers(-8, 9), rng.integers(12, 24)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        picture = np.where(inside[..., None], rng.integers(60, 220, 3), rng.integers(0, 255, 3)).astype(np.uint8)
        fresh = number >= PICTURES
        kinds = {"new": picture, "new-maps": inside} if fresh else {
            "photos": picture, "maps": inside, "cartoons": picture // 128 * 127,
        }  # fmt: skip
        for kind, pixels in kinds.items():
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / kind / f"{number:02d}.png")


def main() -> None:
    """Write the page anew, and the processor time of each command to standard error."""
    os.environ["P2S2P_DEVICE"] = "cpu"
    os.environ["P2S2P_HOME"] = HOME
    page, shell = PAGE.read_text(encoding="utf-8"), training_page.Shell()

    def block(found: re.Match[str]) -> str:
        (commands,) = training_page.blocks(f"```console\n{found[0]}```")
        return "".join(shown(each.command) for each in commands)

    def shown(command: str) -> str:
        before = resource.getrusage(resource.RUSAGE_SELF)
        lines = shell(command)
        after = resource.getrusage(resource.RUSAGE_SELF)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        sys.stderr.write(f"{took:.0f} s, exit {shell.code}: {command}\n")
        return f"$ {command}\n" + "".join(f"{line}\n" for line in lines)

    PAGE.write_text(training_page.CONSOLE.sub(block, page), encoding="utf-8")


if __name__ == "__main__":
    main()
