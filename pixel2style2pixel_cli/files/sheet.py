"""Comparison pictures: input beside output, samples in a row, everything on one labelled sheet."""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixel2style2pixel_cli.errors import UsageError, check_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHITE, _INK, _GREY = (255, 255, 255), (32, 32, 32), (110, 110, 110)
_SMALLEST, _COMFORTABLE, _LARGEST = 64, 192, 512  # heights of one picture
_MOST_PIXELS, _LONGEST_SIDE = 80_000_000, 16_000  # WebP ends at 16 383
_PAGE_PIXELS = 24_000_000  # of one page of many: 6000 x 4000
_SHAPE = 1.4  # width to height of a sheet, between a screen and a page


def row_image(images: Sequence[NDArray[np.uint8]], *, labels: Sequence[str] = ()) -> NDArray[np.uint8]:
    """Pictures (H, W, 3) of any sizes side by side at one height, with labels below where given."""
    height = _row_height(images)
    return _compose(
        [_Cell(label="", images=images, captions=tuple(labels) if any(labels) else ())], columns=1, height=height
    )


def sheet_image(
    tiles: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]],
    *,
    columns: int | None = None,
    tile: int | None = None,
    title: str = "",
    captions: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """One sheet of labelled groups of pictures: ``(label, [input, output, ...])`` for each.

    Without ``columns`` the sheet becomes a little wider than high. Without ``tile`` the height of a picture is that of
    the largest, at least 192 so that labels can be read, at most 512, and less when the sheet would not fit one file.
    ``captions`` name the pictures of a group above each column. Raises UsageError when even small pictures do not fit.
    """
    if not tiles:
        raise UsageError("a sheet needs at least one picture", "check that some inputs succeeded")
    cells = [_Cell(label=label, images=images, captions=()) for label, images in tiles]
    height = tile or _row_height([image for cell in cells for image in cell.images])
    while height > _SMALLEST and not _fits(cells, columns, height):
        height = max(_SMALLEST, height * 3 // 4)
    if not _fits(cells, columns, height):
        raise UsageError(f"{len(tiles)} groups of pictures do not fit on one sheet", "use --grid pair")
    across = columns or _best_columns(cells, height)
    return _compose(cells, columns=across, height=height, title=title, headings=tuple(captions))


def lines_image(lines: Sequence[tuple[Sequence[str], Sequence[NDArray[np.uint8]]]]) -> NDArray[np.uint8]:
    """Lines of pictures (H, W, 3) below each other, a caption under each: ``(captions, pictures)`` of each line."""
    cells = [_Cell(label="", images=images, captions=tuple(captions)) for captions, images in lines]
    return _compose(cells, columns=1, height=_row_height([image for cell in cells for image in cell.images]))


def groups_of_page(pictures: int, height: int, *, columns: int | None = None) -> int:
    """How many groups of so many square pictures make a sheet that is handy to look at; ``columns`` as there."""
    gap = _gap(height)
    wide, pitch = pictures * (height + gap) + 4 * gap, height + _line(height) + 4 * gap
    tallest = _LONGEST_SIDE // pitch if columns else _PAGE_PIXELS
    return max(1, min(_PAGE_PIXELS // (wide * pitch), tallest))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cell:
    """Pictures that belong together; ``captions`` one below each, ``label`` one below all."""

    label: str
    images: Sequence[NDArray[np.uint8]]
    captions: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.images:
            raise UsageError("a row needs at least one picture", "check that some inputs succeeded")
        for image in self.images:
            check_shape(image, (None, None, 3), "a picture of the sheet")

    def widths(self, height: int) -> list[int]:
        return [max(1, round(image.shape[1] * height / image.shape[0])) for image in self.images]

    def width(self, height: int) -> int:
        return sum(self.widths(height)) + _gap(height) * (len(self.images) - 1)


def _gap(height: int) -> int:
    """Between pictures of one group; groups stand four times as far apart."""
    return max(2, height // 48)


def _text_size(height: int) -> int:
    return max(12, round(height * 0.085))


def _line(height: int) -> int:
    """Room for one line of text."""
    return round(_text_size(height) * 1.6)


def _row_height(images: Sequence[NDArray[np.uint8]]) -> int:
    largest = max((image.shape[0] for image in images), default=0)
    return min(max(largest, _COMFORTABLE), _LARGEST)


def _widest(cells: Sequence[_Cell], height: int) -> int:
    return max(cell.width(height) for cell in cells)


def _pitch(cells: Sequence[_Cell], height: int) -> int:
    """From the top of one row to the top of the next."""
    labelled = any(cell.label or cell.captions for cell in cells)
    return height + labelled * _line(height) + 4 * _gap(height)


def _grid_size(count: int, columns: int, wide: int, pitch: int, gap: int) -> tuple[int, int]:
    """Width and height without title and headings."""
    return columns * (wide + 4 * gap) + 4 * gap, math.ceil(count / columns) * pitch + 4 * gap


def _best_columns(cells: Sequence[_Cell], height: int) -> int:
    wide, pitch, gap = _widest(cells, height), _pitch(cells, height), _gap(height)

    def misfit(columns: int) -> tuple[float, int]:
        width, tall = _grid_size(len(cells), columns, wide, pitch, gap)
        empty = -len(cells) % columns / columns  # a last row with holes is worth a less handsome shape
        return abs(math.log(width / tall / _SHAPE)) + empty, columns

    return min(range(1, len(cells) + 1), key=misfit)


def _fits(cells: Sequence[_Cell], columns: int | None, height: int) -> bool:
    across = columns or _best_columns(cells, height)
    width, tall = _grid_size(len(cells), across, _widest(cells, height), _pitch(cells, height), _gap(height))
    return width * tall <= _MOST_PIXELS and max(width, tall) <= _LONGEST_SIDE


def _compose(
    cells: Sequence[_Cell], *, columns: int, height: int, title: str = "", headings: tuple[str, ...] = ()
) -> NDArray[np.uint8]:
    gap, line = _gap(height), _line(height)
    wide, pitch = _widest(cells, height), _pitch(cells, height)
    width, tall = _grid_size(len(cells), columns, wide, pitch, gap)
    above = (line + gap) * bool(title) + line * bool(headings)
    canvas = Image.new("RGB", (width, tall + above), _WHITE)
    draw = ImageDraw.Draw(canvas)
    if title:
        _write(draw, title, 4 * gap, 2 * gap, width - 8 * gap, _text_size(height) * 5 // 4, _INK, centred=False)
    for number, cell in enumerate(cells):
        left = 4 * gap + number % columns * (wide + 4 * gap)
        top = above + 4 * gap + number // columns * pitch
        x = left + (wide - cell.width(height)) // 2
        for k, (image, w) in enumerate(zip(cell.images, cell.widths(height), strict=True)):
            canvas.paste(_scaled(image, w, height), (x, top))
            if number < columns and k < len(headings):
                _write(draw, headings[k], x, top - line - gap // 2, w, _text_size(height), _GREY)
            if k < len(cell.captions):
                _write(draw, cell.captions[k], x, top + height + gap, w, _text_size(height), _INK)
            x += w + gap
        if cell.label:
            _write(draw, cell.label, left, top + height + gap, wide, _text_size(height), _INK)
    return np.asarray(canvas).copy()


def _scaled(image: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image))
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.LANCZOS)


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    x: int,
    y: int,
    width: int,
    size: int,
    ink: tuple[int, int, int],
    *,
    centred: bool = True,
) -> None:
    font = _font(size)
    shown = _shortened(_drawable(text), font, width)
    start = x + max(0, round(width - font.getlength(shown)) // 2) * centred
    draw.text((start, y), shown, fill=ink, font=font)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, or its start and end around dots: names of files mostly differ at the end."""
    if font.getlength(text) <= width:
        return text
    for kept in range(min(len(text), 100) - 1, 0, -1):
        shown = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
        if font.getlength(shown) <= width:
            return shown
    return ""


def _drawable(text: str) -> str:
    """The text in ASCII, which is all that Pillow's own font has: accents dropped, other letters as ``?``."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    kept = "".join(c for c in plain if not unicodedata.combining(c)).encode("ascii", "replace").decode("ascii")
    return "".join(c if c.isprintable() else " " for c in kept)
