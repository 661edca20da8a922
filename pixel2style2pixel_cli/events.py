"""What the lower rooms report while they work, and its form in JSON; the command line prints it or drops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pixel2style2pixel_cli.variants import SINGLE, Variant

SCHEMA = 1

Status = Literal["ok", "skipped", "no_face", "failed", "not_tried"]
PhaseName = Literal["loading", "reading", "drawing", "refining", "optimising", "writing"]


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
class Phase:
    """What a run is busy with from now on.

    Refinement of an encoder and optimisation have steps: ``done`` of ``total`` are made on as many outputs as
    ``pictures`` says, whose mean ``loss`` is now this.
    """

    name: PhaseName
    done: int = 0
    total: int = 0
    pictures: int = 0
    loss: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageDone:
    """Outcome of one face of one input, or of an input that gave none; ``details`` is the traceback of a bug.

    A picture made of an input without a face has the status ``no_face`` and an output.
    """

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
    """Counts of a whole run; ``ignored`` are files in folders that are not images.

    Of ``no_face``, ``no_face_written`` gave a picture all the same. ``not_tried`` are inputs that a run which stopped
    early did not come to. ``backend`` is who drew.
    """

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
    no_face_written: int = 0
    not_tried: int = 0
    backend: str = "none"

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for exists now."""
        return self.no_face == 0 and self.failed == 0 and self.not_tried == 0


Event = Notice | Progress | Phase | ImageDone | Summary
OnEvent = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Drop the event: the default of every function that reports."""


def image_object(image: ImageDone) -> dict[str, object]:
    """The outcome of an input as a JSON object."""
    keys: dict[str, object] = {
        "event": "image",
        "schema": SCHEMA,
        "input": image.input,
        "face": image.face,
        "mix_seed": image.variant.mix_seed,
        "output": image.output,
        "latent": image.latent,
        "status": image.status,
    }
    if image.message is not None:
        keys["message"] = image.message
    if image.hint is not None:
        keys["hint"] = image.hint
    if image.variant.key and image.variant.mix_seed is None:
        keys["variant"] = dict(image.variant.values)
    seconds = None if image.seconds is None else round(image.seconds, 4)
    return keys | {
        "seconds": seconds, "model": image.model, "aligned": image.aligned, "metrics": image.metrics
    }  # fmt: skip


def plan_object(image: ImageDone) -> dict[str, object]:
    """What a dry run would do with an input, as a JSON object."""
    status = "todo" if image.status == "ok" else image.status
    plan = {"event": "plan", "status": status}
    return {key: plan.get(key, value) for key, value in image_object(image).items()}


def summary_object(summary: Summary, code: int, *, dry_run: bool) -> dict[str, object]:
    """The counts of a run as a JSON object; ``code`` is its exit code."""
    keys: dict[str, object] = {
        "event": "summary",
        "schema": SCHEMA,
        "ok": summary.ok,
        "skipped": summary.skipped,
        "no_face": summary.no_face,
        "no_face_written": summary.no_face_written,
        "not_tried": summary.not_tried,
        "failed": summary.failed,
        "seconds": round(summary.seconds, 4),
        "device": summary.device,
        "dtype": summary.dtype,
        "backend": summary.backend,
        "model": summary.model,
        "exit": code,
        "ignored": summary.ignored,
        "peak_bytes": summary.peak_bytes,
        "busy_share": summary.busy_share,
    }
    return keys | {"dry_run": True} if dry_run else keys
