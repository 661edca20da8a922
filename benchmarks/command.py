"""Runs a translation as a user would, in a process of its own, and reads what it wrote; the head of every record."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heldout import Unavailable
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.files.image import read_image

Pixels = NDArray[np.uint8]
PHOTO_TASKS = ("invert", "frontalize", "superres", "inpaint", "toonify", "mix")  # the others never look for faces
_ABSENT = 4  # the exit code of a model that is not installed
_UNKNOWN = "no such command"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How a command ended: its exit code, the lines of ``--json`` and the errors."""

    code: int
    events: list[dict[str, Any]]
    errors: str

    @property
    def images(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("event") == "image"]

    @property
    def summary(self) -> dict[str, Any]:
        found = [event for event in self.events if event.get("event") == "summary"]
        return found[-1] if found else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Translated:
    """Outputs of one run: by the number of the input, and by input and style sample."""

    summary: dict[str, Any]
    plain: dict[int, Pixels]
    mixed: dict[tuple[int, int], Pixels]


def command_line(task: str, arguments: Sequence[str]) -> list[str]:
    """``p2s2p TASK ARGUMENTS`` of the package that this script has imported."""
    # -P: not the package of the folder it was started in
    return [sys.executable, "-P", "-m", "pixel2style2pixel_cli", task, *arguments]


def run_command(task: str, arguments: Sequence[str]) -> Finished:
    """``p2s2p TASK ARGUMENTS --json``."""
    done = subprocess.run([*command_line(task, arguments), "--json"], capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Finished(code=done.returncode, events=events, errors=done.stderr)


def translate(
    task: str,
    inputs: Sequence[Pixels],
    options: Sequence[str] = (),
    *,
    masks: Sequence[NDArray[np.bool_]] = (),
    content: Pixels | None = None,
) -> Translated:
    """Write the inputs into a temporary folder, run the command on it, read its pictures back.

    ``masks`` are written white where they hold and given as ``--mask FOLDER``; ``content`` comes first.
    Raises Unavailable when there is no such command or no model for it, RuntimeError when it fails otherwise.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_pictures(folder / "in", inputs)
        arguments = [*([str(folder / "in")] if inputs else []), "-o", str(folder / "out"), *options]
        if content is not None:
            _write_pictures(folder / "content", [content])
            arguments = [str(folder / "content" / "00000.png"), *arguments]
        if masks:
            _write_pictures(folder / "masks", [mask.astype(np.uint8) * 255 for mask in masks])
            arguments += ["--mask", str(folder / "masks")]
        if task in PHOTO_TASKS:
            arguments += ["--align", "never"]
        done = run_command(task, arguments)
        check_available(done)
        if done.code not in (0, 3) or not done.summary.get("ok"):
            raise RuntimeError(f"p2s2p {task} ended with {done.code}: {done.errors.strip()[-600:]}")
        return _read_outputs(done)


def _write_pictures(folder: Path, pictures: Sequence[Pixels]) -> None:
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / f"{number:05d}.png")


def check_available(done: Finished) -> None:
    """Raise Unavailable for a command that does not exist or has no model."""
    if done.code == _ABSENT or (done.code == 2 and _UNKNOWN in done.errors):
        first = done.errors.strip().splitlines()[:1]
        raise Unavailable(first[0].removeprefix("error: ") if first else f"exit code {done.code}")


def _read_outputs(done: Finished) -> Translated:
    plain: dict[int, Pixels] = {}
    mixed: dict[tuple[int, int], Pixels] = {}
    for event in done.images:
        if event["status"] != "ok" or event["output"] is None:
            continue
        number = int(Path(event["input"]).stem)
        picture = read_image(Path(event["output"]), name=Path(event["output"]).name).pixels
        if event.get("mix_seed") is None:
            plain[number] = picture
        else:
            mixed[number, int(event["mix_seed"])] = picture
    return Translated(summary=done.summary, plain=plain, mixed=mixed)


def record_head(command: str) -> dict[str, Any]:
    """Command, commit, device and torch."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": command,
        "commit": commit.stdout.strip(),
        "device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }


def write_record(path: Path, record: dict[str, Any]) -> None:
    """As JSON, into a folder that is made when missing; printed as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1)
    path.write_text(text + "\n")
    print(text)
