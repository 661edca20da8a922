"""The job done in this process: one model, inputs read ahead, files written in threads."""

from __future__ import annotations

from pixel2style2pixel_cli.events import Summary
from pixel2style2pixel_cli.jobs.job import Job
from pixel2style2pixel_cli.jobs.run import TaskRun


def run_here(job: Job) -> Summary:
    """Load the model, then draw and write everything there is to do."""
    options = job.chosen.options
    translator = job.session.translator(job.chosen, job.inputs)
    engine = translator.engine
    run = TaskRun(
        translator,
        job.plan,
        options,
        job.recipes.with_engine(dtype=engine.dtype_name, backend=engine.backend.name),
        stdin=options.stdin,
        stdout=options.stdout,
        on_event=options.on_event,
    )
    return run.run(job.started)
