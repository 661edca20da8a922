"""What the pages and the comments point to exists: sections, pages, headings, source files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pixel2style2pixel_cli"
METHODS = ROOT / "docs" / "methods.md"
CITING = (".py", ".toml", ".md")
FOLDERS = ("benchmarks", "docs", "models", "pixel2style2pixel_cli", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])

CITATION = re.compile(r"methods\.md\s+(\d+(?:\.\d+)*)")
CITATION_WITHOUT_PAGE = re.compile(r"\bmethods \d")
HEADING = re.compile(r"^#{2,3} (\d+(?:\.\d+)*)\.? ", re.MULTILINE)
PAGE_NAME = re.compile(r"[\w./-]*\w\.md\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SOURCE_NAME = re.compile(r"`([\w/.-]+/[\w.-]+\.(?:py|toml))`")


def texts() -> Iterator[tuple[str, str]]:
    """Source and documentation files: name and content."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in CITING]
    for path in sorted([*files, *ROOT.glob("*.md"), ROOT / "pyproject.toml"]):
        if path != Path(__file__):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def headings(page: Path) -> set[str]:
    """The names by which links reach the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_sections_of_the_methods_are_numbered_once_and_in_order() -> None:
    numbers = [tuple(map(int, found.split("."))) for found in HEADING.findall(METHODS.read_text(encoding="utf-8"))]
    assert numbers == sorted(set(numbers)) and numbers[0] == (1,)
    assert all(number[:1] in numbers for number in numbers)


def test_every_citation_of_the_methods_has_its_section() -> None:
    sections = set(HEADING.findall(METHODS.read_text(encoding="utf-8")))
    cited = [(name, section) for name, text in texts() for section in CITATION.findall(text)]
    assert len(cited) > 20
    assert [where for where in cited if where[1] not in sections] == []
    assert [name for name, text in texts() if CITATION_WITHOUT_PAGE.search(text)] == []


def test_pages_named_in_the_source_exist() -> None:
    known = {path.relative_to(ROOT).as_posix() for path in PAGES} | {path.name for path in PAGES}
    named = [
        (name, page.strip("/"))
        for name, text in texts()
        if name.endswith((".py", ".toml"))
        for page in PAGE_NAME.findall(text)
    ]
    assert [where for where in named if where[1] not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (heading and heading not in headings(target)):
            broken.append(link)
    assert broken == []


def test_source_files_named_in_the_pages_exist() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = [(page.name, file) for page in pages for file in SOURCE_NAME.findall(page.read_text(encoding="utf-8"))]
    assert len(named) > 10
    assert [where for where in named if not (PACKAGE / where[1]).exists() and not (ROOT / where[1]).exists()] == []
