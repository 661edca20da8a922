"""From a command's inputs and options to a finished run: model, plan, engine, task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import ImageDone, Notice, OnEvent, Status, Summary
from pixel2style2pixel_cli.files.image import IMAGE_SUFFIXES
from pixel2style2pixel_cli.jobs.plan import Plan, make_plan, parse_shard
from pixel2style2pixel_cli.networks.specs import n_styles_of
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.tasks.base import RunOptions, make_task
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.find import choose_model, owner_of

if TYPE_CHECKING:
    # imports torch, which a refused plan should not wait for
    from pixel2style2pixel_cli.engine.engine import Engine


def run_task(inputs: Sequence[str | Path], options: TaskOptions) -> Summary:
    """Run a task over its inputs; what concerns one input is an event, anything else raises a P2S2PError."""
    named = [str(i) for i in inputs]
    options.check(named)
    card = choose_model(options.command, options.model)
    options = options.with_model_defaults(card)
    _check_kind(card, options)
    _check_rows(card, options)
    plan = _plan(options.subjects(named), options, card, kept=options.also_read(named))
    options.on_event(Notice(message=f"model: {card.name} ({_origin(card)})"))
    if options.dry_run:
        return _report_plan(plan, card, options.on_event)
    engine = _load_engine(card, options)

    from pixel2style2pixel_cli.jobs.run import TaskRun
    from pixel2style2pixel_cli.tasks.styles import make_styles

    styles = make_styles(options, engine.model)
    task = make_task(options, engine.model, named)
    run = TaskRun(
        task,
        engine,
        plan,
        RunOptions.of(options),
        styles=styles,
        stdin=options.stdin,
        stdout=options.stdout,
        on_event=options.on_event,
    )
    return run.run()


def _check_kind(card: Card, options: TaskOptions) -> None:
    if card.input.kind != options.kind:
        raise UsageError(
            f"the encoder of {card.name} reads {card.input.kind} by its card, {options.command} gives {options.kind}",
            "correct input.kind in the card, or its tasks",
        )


def _check_rows(card: Card, options: TaskOptions) -> None:
    """Refuse rows that the generator does not have before its weights are read."""
    resolution = owner_of(card, "generator").generator.get("resolution")
    for rows in options.rows:
        if isinstance(resolution, int):
            parse_layers(rows, n_styles_of(resolution))


def _plan(inputs: Sequence[str], options: TaskOptions, card: Card, *, kept: Sequence[str]) -> Plan:
    run = RunOptions.of(options)
    face = getattr(options, "face", "")
    return make_plan(
        inputs,
        out=None if options.out is None else str(options.out),
        command=options.command,
        recursive=options.recursive,
        name=options.name,
        format=options.format,
        existing=options.existing,
        many_faces=options.many_faces,
        latents=options.save_latents,
        shard=parse_shard(options.shard) if options.shard else None,
        stdin=options.stdin,
        model=card.name,
        seed=options.seed,
        face=int(face) if face.isdigit() else 0,
        mix_seeds=options.samples,
        companions=run.companions,
        input_companions=run.input_companions,
        shared=("sheet",) if options.grid == "sheet" else (),
        suffixes=IMAGE_SUFFIXES | {LATENT_SUFFIX} if options.takes_latents else None,
        kept=kept,
    )


def _load_engine(card: Card, options: TaskOptions) -> Engine:
    from pixel2style2pixel_cli.device import keep_freed_memory, resolve_device, resolve_dtype
    from pixel2style2pixel_cli.engine.batching import BatchSize, first_batch_size
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import load_model

    chosen = resolve_device(options.device)
    if options.device == "auto":
        options.on_event(Notice(message=f"device: {chosen}"))
    if chosen.type == "cpu":
        keep_freed_memory()
    precision = resolve_dtype(options.dtype, chosen, low_precision_ok=bool(card.measured.get("bfloat16_ok", False)))
    per_image = card.measured.get("bytes_per_image")
    size = first_batch_size(
        None if options.batch_size == "auto" else options.batch_size,
        chosen,
        per_image if isinstance(per_image, int) else None,
    )
    return Engine(load_model(card, chosen, precision), chosen, precision, BatchSize(size, options.on_event))


def _report_plan(plan: Plan, card: Card, on_event: OnEvent) -> Summary:
    seeds = plan.mix_seeds or (None,)
    for item in plan.items:
        if item.problem is not None:
            on_event(
                ImageDone(
                    input=item.label, status="failed", model=card.name, message=item.problem, hint=item.hint or None
                )
            )
            continue
        status: Status = "skipped" if item.status == "skip" else "ok"
        for seed in seeds:
            done = ImageDone(
                input=item.label, status=status, model=card.name, mix_seed=seed,
                output=str(item.face_output(mix_seed=seed)),
                latent=None if item.latent is None else str(item.face_latent(mix_seed=seed)),
            )  # fmt: skip
            on_event(done)
    return Summary(
        ok=len(plan.todo) * len(seeds), skipped=len(plan.skipped) * len(seeds), no_face=0, failed=len(plan.problems),
        ignored=plan.ignored, seconds=0.0, device="none", dtype="none", model=card.name,
    )  # fmt: skip


def _origin(card: Card) -> str:
    resolution = owner_of(card, "generator").generator.get("resolution")
    return f"{'bundled' if card.bundled else 'installed'}, {resolution} px"
