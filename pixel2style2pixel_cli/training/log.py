"""What a run leaves on disk to look at: one JSON line per logged step, the curves of them, and sample sheets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import OutputError
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.training.plot import draw_curves

LOG_FILE = "log.jsonl"
CURVES_FILE = "losses.png"
CURVES_EVERY = 15.0  # seconds, at least, between two drawings of the curves

Row = Sequence[NDArray[np.uint8]]


class RunLog:
    """``log.jsonl`` of one run folder; after a resume, lines past the checkpoint are dropped and time goes on."""

    def __init__(self, folder: Path, *, step: int) -> None:
        self.path = folder / LOG_FILE
        self._rows: list[dict[str, float]] = []
        self._drawn, self._rows_drawn = 0.0, 0
        spent = 0.0
        if self.path.exists():
            kept = [line for line in self.path.read_text("utf-8").splitlines() if _number(line, "step") <= step]
            self._rows = [json.loads(line) for line in kept]
            write_atomic(self.path, "".join(line + "\n" for line in kept).encode())
            spent = _number(kept[-1], "seconds") if kept else 0.0
        self._started = time.perf_counter() - spent

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line; ``seconds`` counts those of earlier parts of the run."""
        line = {"step": step, "seconds": round(time.perf_counter() - self._started, 2), **values}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(f"{self.path} could not be written: {error.strerror}", "free some space") from error
        self._rows.append({"step": step, **values})

    def draw(self, *, last: bool) -> None:
        """The curves of all losses so far as ``losses.png``, where there are new ones and the last drawing is old."""
        now = time.monotonic()
        if len(self._rows) == self._rows_drawn or (not last and now - self._drawn < CURVES_EVERY):
            return
        self._drawn, self._rows_drawn = now, len(self._rows)
        curves: dict[str, list[tuple[float, float]]] = {}
        for row in self._rows:
            for name, value in row.items():
                if name not in ("step", "seconds"):
                    curves.setdefault(name, []).append((row["step"], value))
        write_atomic(self.path.with_name(CURVES_FILE), encode_image(draw_curves(curves, across="step"), "png"))


def sheet_of(rows: Sequence[Row]) -> NDArray[np.uint8]:
    """Rows of pictures of one size as one picture (H, W, 3), without labels."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def write_sheet(folder: Path, name: str, sheet: NDArray[np.uint8]) -> Path:
    """A sheet as PNG in ``samples/`` of a run folder."""
    path = folder / "samples" / f"{name}.png"
    write_atomic(path, encode_image(sheet, "png"))
    return path


def _number(line: str, key: str) -> float:
    try:
        return float(json.loads(line)[key])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut off by a kill
