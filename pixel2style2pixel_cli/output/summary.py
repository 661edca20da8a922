"""The last line of a run: what was written, and what was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from pixel2style2pixel_cli.events import Summary

Style = Literal["red", "yellow", "green", "dim"]


def summary_parts(
    summary: Summary, *, pictures: int, dry_run: bool, paint: Callable[[str, Style], str]
) -> Iterator[str]:
    """The counts of a run in words; ``pictures`` are different outputs, of which several faces may share one."""
    verb, count = "to write" if dry_run else "written", summary.ok + summary.no_face_written
    written = f"{count} {verb}"
    if 0 < pictures < count:
        written = f"{count} faces {verb} into {pictures} {'picture' if pictures == 1 else 'pictures'}"
    yield paint(written, "green") if count else written
    if summary.no_face_written:
        yield paint(f"{summary.no_face_written} of them without a face", "yellow")
    if summary.skipped:
        yield f"{summary.skipped} skipped"
    missing = summary.no_face - summary.no_face_written
    if missing:
        more = "more " if summary.no_face_written else ""
        yield paint(f"{missing} {more}without a face", "yellow")
    failed = f"{summary.failed} failed"
    yield paint(failed, "red") if summary.failed else failed
    if summary.not_tried:
        yield paint(f"{summary.not_tried} not tried", "yellow")
