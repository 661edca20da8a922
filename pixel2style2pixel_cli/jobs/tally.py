"""What came of the inputs of a run: each outcome is reported once, and counted."""

from __future__ import annotations

from collections.abc import Iterable

from pixel2style2pixel_cli.errors import NoFaceError
from pixel2style2pixel_cli.events import ImageDone, OnEvent, Progress, Status
from pixel2style2pixel_cli.jobs.plan import Plan, PlanItem
from pixel2style2pixel_cli.tasks.base import Prepared
from pixel2style2pixel_cli.tasks.outcome import UnforeseenError, as_outcome
from pixel2style2pixel_cli.variants import SINGLE, Variant


class Tally:
    """Reports the outcomes of one plan; ``model`` and ``command`` are what events call the model and the work.

    ``counts`` are by status, and ``faceless`` are those pictures of ``no_face`` that were written all the same.
    """

    def __init__(self, plan: Plan, *, model: str, command: str, on_event: OnEvent) -> None:
        self.plan, self.model, self.command, self.on_event = plan, model, command, on_event
        self.counts: dict[Status, int] = {"ok": 0, "skipped": 0, "no_face": 0, "failed": 0, "not_tried": 0}
        self.faceless = 0
        self._done = 0

    @property
    def failures(self) -> int:
        """How many inputs failed, or had no face and gave no picture."""
        return self.counts["failed"] + self.counts["no_face"] - self.faceless

    def add(self, outcome: ImageDone) -> None:
        """Report one outcome."""
        self.counts[outcome.status] += 1
        self.faceless += outcome.status == "no_face" and outcome.output is not None
        self.on_event(outcome)
        count = len(self.plan.variants)
        whole = outcome.status in ("failed", "no_face", "not_tried") and not outcome.variant.key
        self._done += count if whole else 1
        total = max(self._done, len(self.plan.items) * count)
        self.on_event(Progress(done=self._done, total=total, label=self.command))

    def error(self, label: str, error: Exception, *, face: int | None = None, variant: Variant = SINGLE) -> None:
        """Report what went wrong with one input or one output."""
        outcome = as_outcome(error, label)
        status: Status = "no_face" if isinstance(outcome, NoFaceError) else "failed"
        details = outcome.details if isinstance(outcome, UnforeseenError) else None
        self.add(
            ImageDone(
                input=label, status=status, model=self.model, face=face, variant=variant,
                message=outcome.message, hint=outcome.hint, details=details,
            )
        )  # fmt: skip

    def skipped(self, item: PlanItem, prepared: Prepared, variant: Variant, message: str | None = None) -> None:
        """Report a picture that is there already."""
        output = str(item.face_output(prepared.face or 0, variant=variant))
        self.add(
            ImageDone(
                input=item.label, status="skipped", model=self.model, face=prepared.face, variant=variant,
                output=output, message=message,
            )
        )  # fmt: skip

    def not_tried(self, items: Iterable[PlanItem], stopped_at: str) -> None:
        """Report the inputs that a run did not come to."""
        for item in items:
            message = f"not tried, because the run stopped at {stopped_at}"
            self.add(ImageDone(input=item.label, status="not_tried", model=self.model, message=message))
