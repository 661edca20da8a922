"""The progress bar of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

NARROW = 60  # columns below which only the numbers are shown


def new_bar(console: Console) -> Bar:
    """A bar that vanishes when it is stopped."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    label, share = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[share]}")
    if console.width < NARROW:
        return Progress(label, share, console=console, transient=True)
    bar = BarColumn(bar_width=None)
    return Progress(label, bar, share, TimeRemainingColumn(), console=console, transient=True, expand=True)
