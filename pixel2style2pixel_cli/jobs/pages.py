"""Pages of ``--grid sheet``: filled as pictures are drawn, written and forgotten as soon as they are full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pixel2style2pixel_cli.files.sheet import groups_of_page, lines_image, sheet_image
from pixel2style2pixel_cli.tasks.base import Pixels

TILE = 192
LONGEST = 40  # pictures side by side


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its number from 1, and its groups of pictures with their captions, or with a label and none."""

    number: int
    groups: Sequence[tuple[str, Sequence[str], Sequence[Pixels]]]
    captions: Sequence[str]

    def draw(self) -> Pixels:
        """The page as one picture, uint8 (H, W, 3)."""
        if self.captions:
            return sheet_image([(label, images) for label, _, images in self.groups], captions=self.captions)
        return lines_image([(captions, images) for _, captions, images in self.groups])


@dataclass(slots=True)
class SheetPages:
    """Collects groups until they make a page; ``before`` and ``drawn`` are the captions of the pictures of a face.

    What is kept is one page, whatever the number of inputs and styles. A face with more pictures than fit side by side
    takes several lines, which all begin with the pictures that come before the drawn ones.
    """

    before: Sequence[str]
    drawn: Sequence[str]
    _groups: list[tuple[str, Sequence[str], Sequence[Pixels]]] = field(default_factory=list)
    _pages: int = 0

    @property
    def line(self) -> int:
        """How many drawn pictures stand in one line."""
        return min(len(self.drawn), LONGEST - len(self.before))

    def add(self, label: str, before: Sequence[Pixels], drawn: Sequence[Pixels], start: int) -> Page | None:
        """Take one line: tiles of the pictures before, and of drawn ones from number ``start`` on.

        Returns a page when it is full.
        """
        names = self.drawn[start : start + len(drawn)]
        self._groups.append(
            (label, ((label, *self.before[1:], *names) if self.before else names), [*map(tile, before), *drawn])
        )
        full = groups_of_page(len(self.before) + self.line, TILE, columns=1 if self._is_long else None)
        return self.rest() if len(self._groups) >= full else None

    def rest(self) -> Page | None:
        """The page that is not full, if anything is on it."""
        if not self._groups:
            return None
        self._pages += 1
        page = Page(self._pages, self._groups, () if self._is_long else (*self.before, *self.drawn))
        self._groups = []
        return page

    @property
    def _is_long(self) -> bool:
        return self.line < len(self.drawn)


def page_path(first: Path, number: int) -> Path:
    """Where a page goes: ``sheet.png``, ``sheet_2.png`` and so on."""
    return first if number == 1 else first.with_name(f"{first.stem}_{number}{first.suffix}")


def tile(pixels: Pixels) -> Pixels:
    """A copy small enough to keep until the page is drawn."""
    if pixels.shape[0] <= TILE:
        return pixels
    return np.array(Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS))
