"""The page on training as something that can be run: its files, its commands, and what they print.

Run this file to write what the commands print into the page anew.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pixel2style2pixel_cli.cli.app import run

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
PRESET = re.compile(r"`([\w-]+\.toml)`[^`]*```toml\n(.*?)```", re.DOTALL)
PROGRESS = re.compile(r".*: \d+/\d+ after ")  # a line every ten seconds, where a machine is slow
NUMBER = re.compile(r"\d[\d.]*(e[+-]?\d+)?")
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
SIDE, PICTURES, PERSONS = 64, 24, 6


@dataclass(frozen=True)
class Shown:
    """A command line of the page and the lines below it."""

    command: str
    lines: list[str]


def blocks(page: str) -> list[list[Shown]]:
    """The commands of each console block."""
    found = []
    for text in CONSOLE.findall(page):
        parts = [part.splitlines() for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
        found.append([Shown(command, lines) for command, *lines in parts])
    return found


def write_inputs(folder: Path, page: str) -> None:
    """The presets that the page shows, discs with their label maps, one broken and one without a map, and persons."""
    for name, text in PRESET.findall(page):
        (folder / name).write_text(text)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    for number in range(PICTURES):
        y, x, radius = rng.integers(-8, 9), rng.integers(-8, 9), rng.integers(12, 24)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        picture = np.where(inside[..., None], rng.integers(60, 220, 3), rng.integers(0, 255, 3))
        place = Path("ab"[number % 2]) / f"{number:02d}.png"
        for name, pixels in (("photos", picture), ("maps", inside)):
            (folder / name / place).parent.mkdir(parents=True, exist_ok=True)
            if name == "photos" or number < PICTURES - 1:
                Image.fromarray(pixels.astype(np.uint8)).save(folder / name / place)
    for person in range(PERSONS):
        colour = rng.integers(0, 255, 3)
        (folder / "people" / f"{person}").mkdir(parents=True)
        for view in range(4):
            grain = rng.integers(-20, 20, (SIDE, SIDE, 3))
            picture = (colour + grain).clip(0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / "people" / f"{person}" / f"{view}.png")
    (folder / "photos" / "a" / "24.png").write_bytes(b"no picture")


class Shell:
    """Runs the commands of the page in the working folder; ``echo $?`` is the one that is not ours."""

    def __init__(self) -> None:
        self.code = 0

    def __call__(self, command: str) -> list[str]:
        """What a command prints: notices and warnings, then the result."""
        if command == "echo $?":
            return [str(self.code)]
        name, *arguments = shlex.split(command)
        assert name == "p2s2p", command
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.code = run(arguments)
        lines = []
        for stream in (err, out):
            stream.flush()
            lines += stream.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
        return [line.rstrip().replace("\\", "/") for line in lines if line.strip() and not PROGRESS.match(line)]


def without_numbers(lines: list[str]) -> list[str]:
    """Lines as far as they are the same on every machine."""
    return [" ".join(NUMBER.sub("N", DIGEST.sub("N", line)).split()) for line in lines]


def filled(page: str) -> str:
    """The page with what its commands print here."""
    shell = Shell()

    def block(found: re.Match[str]) -> str:
        (commands,) = blocks(f"```console\n{found[0]}```")
        return "".join(
            f"$ {each.command}\n" + "".join(f"{line}\n" for line in shell(each.command)) for each in commands
        )

    return CONSOLE.sub(block, page)


def main() -> None:
    """Write the page anew."""
    os.environ["P2S2P_DEVICE"] = "cpu"
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["P2S2P_HOME"] = folder
        write_inputs(Path(folder), page)
        PAGE.write_text(filled(page), encoding="utf-8")


if __name__ == "__main__":
    main()
