"""The page on the architecture names rooms and files that exist, and every room."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pixel2style2pixel_cli"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`([a-z0-9_]+(?:/[a-z0-9_]+)*\.py)`", PAGE))
    rooms = set(re.findall(r"`([a-z0-9_]+(?:/[a-z0-9_]+)*)/`", PAGE))
    assert len(named) > 30
    beside = {room for path in named if (room := path.rpartition("/")[0])}
    absent = [
        path
        for path in sorted(named)
        if not any((folder / path).is_file() for folder in (PACKAGE, *(PACKAGE / room for room in beside)))
    ]
    assert absent == []
    places = (PACKAGE, ROOT, ROOT / "tests")
    assert [room for room in sorted(rooms) if not any((place / room).is_dir() for place in places)] == []


def test_every_room_is_on_the_plan() -> None:
    plan = PAGE.split("```")[1]
    rooms = [path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in ("__pycache__", "_models")]
    modules = [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert [name for name in (*rooms, *modules) if not re.search(rf"\b{name}\b", plan)] == []
