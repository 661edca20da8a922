"""Who does a job: one row each, imported when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pixel2style2pixel_cli.events import Summary
from pixel2style2pixel_cli.jobs.job import Job

# Does the whole plan of a job, reports every outcome as an event in the order of the plan, and returns the counts.
Executor = Callable[[Job], Summary]

# Module and function of each.
EXECUTORS = {"local": ("local", "run_here")}


def find_executor(name: str) -> Executor:
    """The executor of that name."""
    module, function = EXECUTORS[name]
    executor: Executor = getattr(import_module(f"{__package__}.{module}"), function)
    return executor
