"""From a command's inputs and options to a finished run: model, plan, session, executor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.events import ImageDone, Notice, OnEvent, Phase, Progress, Status, Summary
from pixel2style2pixel_cli.files.atomic import remove_abandoned
from pixel2style2pixel_cli.files.suffixes import IMAGE_SUFFIXES
from pixel2style2pixel_cli.jobs.plan import Plan, PlanItem, make_plan, parse_shard
from pixel2style2pixel_cli.jobs.settled import no_sheet, report_settled
from pixel2style2pixel_cli.options.task import FaceOptions, TaskOptions
from pixel2style2pixel_cli.tasks.choose import Chosen, choose
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX
from pixel2style2pixel_cli.zoo.cards import Card


def run_task(inputs: Sequence[str | Path], options: TaskOptions) -> Summary:
    """Run a task over its inputs; what concerns one input is an event, anything else raises a P2S2PError."""
    started = time.perf_counter()
    named = [str(i) for i in inputs]
    options.check(named)
    on_event = options.on_event
    chosen = choose(options)
    options, card = chosen.options, chosen.card
    plan = _plan(named, options, chosen)
    options.check_read(named)
    on_event(Notice(message=chosen.announced))
    if options.shard:  # which a scheduler's variables may have said
        on_event(Notice(message=f"part {options.shard} of the inputs: {len(plan.items)} here, the others elsewhere"))
    if isinstance(options, FaceOptions) and options.align == "auto" and not options.looks_for_faces(card):
        on_event(Notice(message=f"no face is looked for, because {card.name} draws none; --align always looks for one"))
    for message in plan.damaged:
        on_event(Notice(message=message, level="warning"))
    if options.dry_run:
        return _report_plan(plan, card, on_event)
    if not plan.to_stdout:  # even where nothing is left to do: a kill can come between a file and its last step
        remove_abandoned({item.output.parent for item in plan.items if item.problem is None})
    recipes = chosen.recipes(named)
    if not plan.todo:
        return _nothing_to_do(plan, recipes, chosen.label, on_event, started)
    on_event(Progress(done=0, total=len(plan.items) * len(plan.variants), label=options.command))
    on_event(Phase(name="loading"))
    # Only now, because a run with nothing left to do needs no session, nor the libraries that one works with.
    from pixel2style2pixel_cli.jobs.executors.table import find_executor
    from pixel2style2pixel_cli.jobs.job import Job
    from pixel2style2pixel_cli.session import Session

    session = Session(
        chosen.options.model,
        device=options.device,
        dtype=options.dtype,
        backend=options.backend,
        batch_size=options.batch_size,
        threads=options.threads,
        on_event=on_event,
    )
    job = Job(session=session, chosen=chosen, inputs=named, plan=plan, recipes=recipes, started=started)
    return find_executor("local")(job)


def _plan(inputs: Sequence[str], options: TaskOptions, chosen: Chosen) -> Plan:
    face = getattr(options, "face", "")
    plan = make_plan(
        options.subjects(inputs),
        out=None if options.out is None else str(options.out),
        command=options.command,
        recursive=options.recursive,
        name=options.template,
        format=options.format,
        existing=options.existing,
        many_faces=options.many_faces,
        joined=options.many_faces and options.pastes,
        latents=options.save_latents,
        shard=parse_shard(options.shard) if options.shard else None,
        stdin=options.stdin,
        model=chosen.installed.name,
        seed=options.chance,
        face=int(face) if face.isdigit() else 0,
        variants=options.variants,
        companions=options.companions,
        input_companions=options.input_companions,
        shared=("sheet",) if options.grid == "sheet" else (),
        suffixes=IMAGE_SUFFIXES | {LATENT_SUFFIX} if options.takes_latents else None,
        kept=options.also_read(inputs),
        fields=options.name_fields(inputs),
        animates=options.animates,
        made_up=options.made_up,
        animations=options.animations,
    )
    return replace(plan, items=tuple(_checked(item, options) for item in plan.items))


def _checked(item: PlanItem, options: TaskOptions) -> PlanItem:
    """The item, as a problem where it lacks what belongs to it."""
    if item.status != "todo" or item.problem is not None:
        return item
    try:
        options.check_input(item.relative, item.label)
    except InputError as error:
        return replace(item, problem=error.message, hint=error.hint)
    return item


def _nothing_to_do(plan: Plan, recipes: RecipeMaker, model: str, on_event: OnEvent, started: float) -> Summary:
    """The outcomes of a plan that needs no model: everything exists, or cannot be read."""
    for outcome in report_settled(plan, recipes, model):
        on_event(outcome)
    count = len(plan.variants)
    if plan.shared and plan.skipped:
        on_event(no_sheet(len(plan.skipped) * count))
    return Summary(
        ok=0, skipped=len(plan.skipped) * count, no_face=0, failed=len(plan.problems), ignored=plan.ignored,
        seconds=time.perf_counter() - started, device="none", dtype="none", model=model,
    )  # fmt: skip


def _report_plan(plan: Plan, card: Card, on_event: OnEvent) -> Summary:
    for item in plan.items:
        if item.problem is not None:
            on_event(
                ImageDone(
                    input=item.label, status="failed", model=card.name, message=item.problem, hint=item.hint or None
                )
            )
            continue
        status: Status = "skipped" if item.status == "skip" else "ok"
        for variant in plan.variants:
            done = ImageDone(
                input=item.label, status=status, model=card.name, variant=variant,
                output=str(item.face_output(variant=variant)),
                latent=None if item.latent is None else str(item.face_latent(variant=variant)),
            )  # fmt: skip
            on_event(done)
    count = len(plan.variants)
    return Summary(
        ok=len(plan.todo) * count, skipped=len(plan.skipped) * count, no_face=0, failed=len(plan.problems),
        ignored=plan.ignored, seconds=0.0, device="none", dtype="none", model=card.name,
    )  # fmt: skip
