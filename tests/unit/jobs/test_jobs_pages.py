"""Pages of a sheet of any size: what is on which, and that no more than one of them is in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from planning import plan, refused, touch

from pixel2style2pixel_cli.files import sheet
from pixel2style2pixel_cli.jobs.pages import LONGEST, TILE, SheetPages, page_path, tile


def picture(level: int, side: int = TILE) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def fill(inputs: int, styles: int, side: int = TILE) -> tuple[list[tuple[int, int]], int]:
    """Draw a whole run: number and lines of each page, and how many pictures were kept at most."""
    pages = SheetPages(before=("input",), drawn=[f"style {n}" for n in range(styles)])
    found, most, kept = list[tuple[int, int]](), 0, 0
    for number in range(inputs):
        drawn: list[np.ndarray] = []
        for style in range(styles):
            drawn.append(tile(picture(style % 256, side)))
            if style + 1 == styles or len(drawn) == pages.line:
                full = pages.add(f"{number}.jpg", [picture(number % 256, side)], drawn, style + 1 - len(drawn))
                kept, drawn = kept + 1 + len(drawn), []
                most = max(most, kept)
                if full is not None:
                    found, kept = [*found, (full.number, len(full.groups))], 0
    if (last := pages.rest()) is not None:
        found.append((last.number, len(last.groups)))
    assert pages.rest() is None
    return found, most


def test_a_small_run_is_one_page() -> None:
    assert fill(30, 1) == ([(1, 30)], 60)
    pages = SheetPages(before=("input",), drawn=("output",))
    assert pages.add("a.jpg", [picture(9)], [picture(5)], 0) is None
    page = pages.rest()
    assert page is not None
    same = sheet.sheet_image([("a.jpg", [picture(9), picture(5)])], captions=("input", "output"))
    assert np.array_equal(page.draw(), same)


@pytest.mark.parametrize(("inputs", "styles"), [(2000, 1), (200, 8), (3, 1000), (1, 10_000)])
def test_what_is_kept_does_not_grow(inputs: int, styles: int) -> None:
    pages, most = fill(inputs, styles)
    assert [number for number, _ in pages] == list(range(1, len(pages) + 1)) and len(pages) > 1
    lines = -(-styles // (LONGEST - 1)) if styles >= LONGEST else 1
    assert sum(count for _, count in pages) == inputs * lines
    assert most < 700  # of 192 x 192 pixels: 75 MB


def test_memory_stays_that_of_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "_PAGE_PIXELS", 2_000_000)
    peaks = []
    for inputs, styles in ((60, 1), (600, 1), (2, 400)):
        tracemalloc.start()
        fill(inputs, styles)
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    assert max(peaks) < 12, peaks


def test_pages_have_the_size_that_was_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "_PAGE_PIXELS", 1_500_000)
    for styles in (1, 5, LONGEST - 1, LONGEST, 100):
        pages = SheetPages(before=("input",), drawn=[f"style {n}" for n in range(styles)])
        page, number = None, 0
        while page is None:
            for start in range(0, styles, pages.line):
                drawn = [picture(100, 64)] * min(pages.line, styles - start)
                page = page or pages.add(f"{number}.jpg", [picture(200, 64)], drawn, start)
            number += 1
        height, width, _ = page.draw().shape
        assert height * width < 1.4 * max(1_500_000, 250 * width) and max(height, width) < 16_383


def test_long_lines_begin_with_the_input_and_name_each_style() -> None:
    pages = SheetPages(before=("input",), drawn=[f"style {n}" for n in range(50)])
    assert pages.line == LONGEST - 1
    assert pages.add("a.jpg", [picture(1)], [picture(2)] * 39, 0) is None
    assert pages.add("a.jpg", [picture(1)], [picture(3)] * 11, 39) is None
    page = pages.rest()
    assert page is not None and not page.captions
    assert [captions for _, captions, _ in page.groups] == [
        ("a.jpg", *(f"style {n}" for n in range(39))),
        ("a.jpg", *(f"style {n}" for n in range(39, 50))),
    ]
    drawn = page.draw()
    assert (drawn == 1).all(axis=2).sum() == 2 * TILE**2 and (drawn == 3).all(axis=2).sum() == 11 * TILE**2


def test_names() -> None:
    names = [page_path(Path("out/sheet_0of2.webp"), number).as_posix() for number in (1, 2, 11)]
    assert names == ["out/sheet_0of2.webp", "out/sheet_0of2_2.webp", "out/sheet_0of2_11.webp"]


def test_existing_pages_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch("in/a.jpg", "out/sheet_2.png", "out/sheet_3.png", "out/sheet_9.png")
    error = refused("in", out="out", shared=("sheet",))
    assert error.message == "2 outputs exist already: out/sheet_2.png, out/sheet_3.png"
    touch("out/sheet.png", "out/sheet-1_2.png")
    assert plan("in", out="out", shared=("sheet",), existing="rename").shared == (Path("out/sheet-2.png"),)
    kept = plan("in", out="out", shared=("sheet",), existing="skip")
    assert kept.replaced == {Path(f"out/{name}.png") for name in ("sheet", "sheet_2", "sheet_3")}
    touch("more/sheet_2.jpg")
    assert "the sheet of this run" in refused("more", out="new", shared=("sheet",)).message
    assert len(plan("more", out="new").items) == 1
