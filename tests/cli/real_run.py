"""What a real run printed and left on the disk, and photographs to run on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DATA = Path(__file__).parents[1] / "data"
FACES = sorted(DATA.glob("face_*.webp"))


@dataclass(frozen=True)
class RealRun:
    """How a command ended and what it printed."""

    code: int
    out: bytes
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Pairs of error and hint; whatever else is on standard error, or an error without a hint, fails."""
        lines = self.err.splitlines()
        assert len(lines) % 2 == 0, self.err
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        for first, second in pairs:
            assert first.startswith("error: ") and second.startswith("hint: "), self.err
            assert len(first) > len("error: ") and len(second) > len("hint: "), self.err
        return [(first.removeprefix("error: "), second.removeprefix("hint: ")) for first, second in pairs]


Call = Callable[..., RealRun]


def write_photos(folder: Path, names: Sequence[str]) -> Path:
    """Rendered faces under these names, each a little brighter than the one before."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(FACES[number % len(FACES)]).convert("RGB")).astype(int) + 3 * number
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return folder


def two_faces() -> Image.Image:
    """A larger face on the right, a smaller one on the left."""
    canvas = Image.new("RGB", (360, 200), (96, 110, 124))
    for face, side, place in ((FACES[1], 96, (20, 60)), (FACES[0], 176, (170, 12))):
        canvas.paste(Image.open(face).convert("RGB").resize((side, side), Image.Resampling.LANCZOS), place)
    return canvas


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times(folder: Path) -> dict[str, int]:
    """When every file below a folder was last written."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def pixels(path: Path) -> np.ndarray:
    """A picture as int, so that differences do not wrap."""
    return np.asarray(Image.open(path)).astype(int)
