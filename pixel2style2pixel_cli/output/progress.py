"""How far a command is, and how long it will take: from its events to the words of a line or of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pixel2style2pixel_cli.errors import clean
from pixel2style2pixel_cli.events import Phase, PhaseName, Progress
from pixel2style2pixel_cli.wording import duration, share

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

NARROW = 60  # columns below which only the numbers are shown

_WORDS: dict[PhaseName, str] = {
    "loading": "loading the model",
    "reading": "reading",
    "drawing": "drawing",
    "refining": "refining the encoder",
    "optimising": "optimising",
    "writing": "writing",
}
WITH_STEPS: tuple[PhaseName, ...] = ("refining", "optimising")


@dataclass(slots=True)
class Tracker:
    """Counts what is done, with the parts of pictures that are in work, and measures from where the work began.

    Loading, and pictures that were there before, are no measure of what is still to come.
    """

    label: str = ""
    unit: Literal["items", "bytes"] = "items"
    done: int = 0
    total: int | None = None
    phase: Phase | None = None
    reached: float = 0.0
    _optimised: float = 0.0  # pictures that have had all their steps
    _others: float = 0.0  # pictures done that needed none: skipped ones, failures
    _began: float | None = None
    _base: float = 0.0

    def take(self, event: Progress | Phase, now: float) -> None:
        """Count one event that came at ``now``."""
        if isinstance(event, Progress):
            self._take_progress(event, now)
        else:
            self._take_phase(event, now)

    def left(self, now: float) -> float | None:
        """Seconds that remain at the rate of the work so far; None while nothing can be said."""
        moved = self.reached - self._base
        if self._began is None or self.total is None or moved <= 0:
            return None
        return max(0.0, (now - self._began) / moved * (self.total - self.reached))

    @property
    def share(self) -> str:
        """How many of how many."""
        return share(self.done, self.total, self.unit)

    def note(self, now: float) -> str:
        """What is being done, and how long it will take."""
        parts = []
        if self.phase is not None:
            steps = f" step {self.phase.done} of {self.phase.total}" if self.phase.total else ""
            loss = "" if self.phase.loss is None else f", loss {self.phase.loss:.3g}"
            parts.append(_WORDS[self.phase.name] + steps + loss)
        left = self.left(now)
        if left:
            parts.append(f"about {duration(left) if left >= 60 else f'{left:.0f} s'} left")
        return ", ".join(parts)

    def line(self, now: float, waited: float) -> str:
        """All of it, for a log."""
        note = self.note(now)
        if not self.label:
            return f"{note} for {duration(waited)}"
        return f"{clean(self.label)}: {self.share} after {duration(waited)}" + (f", {note}" if note else "")

    def _take_progress(self, event: Progress, now: float) -> None:
        if event.done < self.done:  # another work, such as the next file
            self.reached, self._began, self._optimised, self._others = 0.0, None, 0.0, 0.0
        self.label, self.unit, self.done, self.total = event.label, event.unit, event.done, event.total
        self._others = max(self._others, self.done - self._optimised)
        self._advance()
        if self._began is None:
            self._begin(now)

    def _take_phase(self, event: Phase, now: float) -> None:
        works = event.name != "loading" and (self.phase is None or self.phase.name == "loading")
        self.phase = event
        if event.name in WITH_STEPS and event.done == event.total:
            self._optimised += event.pictures
        if works:
            self._begin(now)
        self._advance()

    def _begin(self, now: float) -> None:
        self._began, self._base = now, self.reached

    def _advance(self) -> None:
        current = 0.0
        if self.phase is not None and self.phase.name in WITH_STEPS and self.phase.done < self.phase.total:
            current = self.phase.pictures * self.phase.done / self.phase.total
        worked = self._others + self._optimised + current if self._optimised + current else 0.0
        most = max(self.reached, self.done, worked)
        self.reached = most if self.total is None else min(most, self.total)


def new_bar(console: Console) -> Bar:
    """A bar that vanishes when it is stopped; its one task has the fields ``share`` and ``note``."""
    from rich.progress import BarColumn, Progress, TextColumn

    label, share = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[share]}")
    # what others print is none of the bar's business, and would reach the terminal raw
    if console.width < NARROW:
        return Progress(
            label, share, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )  # fmt: skip
    note = TextColumn("{task.fields[note]}", markup=False)
    return Progress(
        label, BarColumn(bar_width=None), share, note,
        console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
