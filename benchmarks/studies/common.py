"""What the studies share: faces and other pictures, embeddings of them, tables, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from command import record_head, write_record
from heldout import read_faces
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sheets import write_sheet
from sides import SIDE, reduced

from pixel2style2pixel_cli import Result, load
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.photo import resize_photo

Pixels = NDArray[np.uint8]
ROOT = Path(__file__).parents[2]
THINGS = ("chelsea", "coffee", "rocket", "hubble_deep_field")  # a cat, a cup, a rocket, galaxies


@dataclass(frozen=True, kw_only=True, slots=True)
class Subjects:
    """Pictures that are embedded: renders that no training saw, one photograph of a face, and things."""

    renders: Sequence[Pixels]
    photo: Pixels
    things: Mapping[str, Pixels]

    @property
    def faces(self) -> list[tuple[str, Pixels]]:
        """The renders and the photograph, named."""
        return [*((f"render {i}", picture) for i, picture in enumerate(self.renders)), ("photograph", self.photo)]


def read_subjects(shard: Path | None, count: int, size: int = 256) -> Subjects:
    """All pictures aligned or centred, of one side."""
    from skimage import data

    if shard is not None:
        renders = read_faces(shard, count, size=size).pictures
    else:
        files = sorted((ROOT / "tests" / "data").glob("face_*.webp"))[:count]
        renders = [resize_photo(np.asarray(Image.open(file).convert("RGB")), size) for file in files]
    with load("mini", device="cpu") as session:
        photo = session.align(data.astronaut(), size=size)
    assert isinstance(photo, np.ndarray)
    things = {name: _square(np.asarray(getattr(data, name)())[..., :3], size) for name in THINGS}
    return Subjects(renders=renders, photo=photo, things=things)


def _square(picture: Pixels, size: int) -> Pixels:
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return resize_photo(np.ascontiguousarray(picture[top : top + side, left : left + side]), size)


@dataclass(slots=True)
class Study:
    """One study: its pictures and settings, what it embeds, and the rows of its sheet."""

    name: str
    subjects: Subjects
    model: str
    steps: int
    record: Path | None
    sheet: Path | None
    captions: Sequence[str] = ()
    columns: int = 1
    rows: list[list[Pixels]] = field(default_factory=list)
    curve: Pixels | None = None
    _session: Any = None

    @property
    def session(self) -> Any:
        """The session, made at its first use."""
        if self._session is None:
            self._session = load(self.model, device="cpu")
        return self._session

    def embed(self, pictures: Sequence[Pixels], **options: Any) -> list[Result]:
        """The embeddings of aligned pictures, all steps made; other options as of ``p2s2p embed``."""
        given = {"steps": self.steps, "early_stop": False, "align": "never", **options}
        found: list[Result] = self.session.embed(list(pictures), **given)
        return found

    @property
    def average(self) -> NDArray[np.float32]:
        """The average code (N, D) of the generator."""
        made: Result = self.session.generate(truncation=0.0)
        return made.codes

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record and sheet, where asked for."""
        if self.record is not None:
            head = record_head(f"study.py {self.name}")
            write_record(self.record, {**head, "model": self.model, "steps": self.steps, "rows": list(rows)})
        if self.sheet is not None and self.rows:
            write_sheet(self.sheet / f"{self.name}.webp", self.rows, self.captions, columns=self.columns)
        if self.sheet is not None and self.curve is not None:
            write_sheet(self.sheet / f"{self.name}-curve.webp", [[self.curve]], (), tile=len(self.curve))


def error(made: Pixels, wanted: Pixels, where: NDArray[np.bool_] | None = None) -> float:
    """Mean squared error on [-1, 1] at the common side, of the pixels of a mask (S, S) where one is given."""
    side = min(len(made), len(wanted), SIDE)
    wrong = (to_float([reduced(made, side)]) - to_float([reduced(wanted, side)])).square().mean(dim=1)[0].numpy()
    if where is None:
        return float(wrong.mean())
    mask = np.asarray(Image.fromarray(where).resize((side, side), Image.Resampling.NEAREST))
    return float(wrong[mask].mean())


def decibels(squared: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error on [-1, 1]."""
    return float(10 * np.log10(4 / max(squared, 1e-12)))


def distance(codes: NDArray[np.float32], average: NDArray[np.float32]) -> float:
    """Root mean square over the rows of the distance of a code (N, D) from the average one."""
    return float(np.sqrt(np.square(codes - average).sum(axis=1).mean()))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table of Markdown; numbers with three figures."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def draw_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, across: str, up: str, size: tuple[int, int] = (560, 360)
) -> Pixels:
    """Curves over one axis, each of points (x, y), drawn with their names: uint8 (H, W, 3)."""
    colours = ((204, 72, 40), (38, 104, 180), (60, 140, 70), (130, 80, 160))
    width, height = size
    left, right, top, bottom = 62, width - 16, 18, height - 44
    points = [point for curve in curves.values() for point in curve]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(xs), max(xs)
    most = max(ys) * 1.08 or 1.0
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - low) / ((high - low) or 1) * (right - left), bottom - y / most * (bottom - top)

    for share in (0, 0.25, 0.5, 0.75, 1):
        y = most * share
        draw.line([place(low, y), place(high, y)], fill=(228, 228, 228))
        draw.text((4, place(low, y)[1] - 7), f"{y:.3g}", fill=(60, 60, 60), font=font)
    for x in dict.fromkeys(xs):
        draw.text((place(x, 0)[0] - 8, bottom + 5), f"{x:g}", fill=(60, 60, 60), font=font)
    for (name, curve), colour in zip(curves.items(), colours, strict=False):
        draw.line([place(*point) for point in curve], fill=colour, width=2)
        for point in curve:
            x, y = place(*point)
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        row = list(curves).index(name)
        draw.text((left + 10, top + 15 * row), name, fill=colour, font=font)
    draw.text(((left + right) // 2 - 60, height - 20), across, fill=(20, 20, 20), font=font)
    draw.text((4, 2), up, fill=(20, 20, 20), font=font)
    return np.asarray(picture)
