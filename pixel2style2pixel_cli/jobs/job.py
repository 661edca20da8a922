"""A job: everything a run of a task needs, decided before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pixel2style2pixel_cli.jobs.plan import Plan
from pixel2style2pixel_cli.session import Session
from pixel2style2pixel_cli.tasks.choose import Chosen
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What an executor is given.

    ``inputs`` are those that were typed, ``plan`` is what becomes of each. ``started`` is the reading of
    ``time.perf_counter`` when the user began to wait.
    """

    session: Session
    chosen: Chosen
    inputs: Sequence[str]
    plan: Plan
    recipes: RecipeMaker
    started: float
