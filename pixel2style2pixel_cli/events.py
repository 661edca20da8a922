"""What the lower rooms report while they work; the command line turns it into lines, JSON or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pixel2style2pixel_cli.variants import SINGLE, Variant

SCHEMA = 1

Status = Literal["ok", "skipped", "no_face", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """Something worth one line: the device chosen, the model chosen, a warning."""

    message: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """``done`` of ``total`` units of work are finished; ``total`` is None while it is not known."""

    done: int
    total: int | None
    label: str
    unit: Literal["items", "bytes"] = "items"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageDone:
    """Outcome of one face of one input, or of an input that gave none; ``details`` is the traceback of a bug."""

    input: str
    status: Status
    model: str
    face: int | None = None
    variant: Variant = SINGLE
    output: str | None = None
    latent: str | None = None
    seconds: float | None = None
    aligned: bool | None = None
    message: str | None = None
    hint: str | None = None
    details: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Counts of a whole run; ``ignored`` are files in folders that are not images."""

    ok: int
    skipped: int
    no_face: int
    failed: int
    ignored: int
    seconds: float
    device: str
    dtype: str
    model: str
    peak_bytes: int | None = None
    busy_share: float | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for exists now."""
        return self.no_face == 0 and self.failed == 0


Event = Notice | Progress | ImageDone | Summary
OnEvent = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Drop the event: the default of every function that reports."""
