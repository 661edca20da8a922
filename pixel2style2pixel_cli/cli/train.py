"""``p2s2p train generator`` and ``p2s2p train encoder``: the project's own trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.defaults import given_by, start_output
from pixel2style2pixel_cli.cli.group import App
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.output import Look, Output
from pixel2style2pixel_cli.tasks.table import TRAINED

app = App()

TASK_HELP = f"What it is trained for: {', '.join(TRAINED)}."
TEACHER_HELP = "An inversion model whose codes of the targets it learns; for losses.code."

TaskOption = Annotated[str, o.value("--task", metavar="TASK", panel=o.DATA, help=TASK_HELP)]
TeacherOption = Annotated[str | None, o.value("--teacher", metavar="MODEL", panel=o.DATA, help=TEACHER_HELP)]
GeneratorOption = Annotated[
    str,
    o.value("--generator", metavar="MODEL", panel=o.DATA, help="A name from models list, or the file of a generator."),
]


@app.command()
def generator(
    context: typer.Context,
    data: o.DataOption,
    out: o.RunFolderOption,
    start: o.StartOption = None,
    preset: o.PresetOption = None,
    set_: o.SetOption = None,
    steps: o.StepsOption = None,
    minutes: o.MinutesOption = None,
    resume: o.ResumeOption = True,
    check: o.CheckOption = False,
    device: o.DeviceOption = "auto",
    seed: o.SeedOption = 0,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = 0,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Train a StyleGAN2 generator on a folder of aligned pictures."""
    output = start_output(context, json=json, quiet=quiet, verbose=verbose, color=color, look=Look(target=out))
    from pixel2style2pixel_cli import api

    result = api.train_generator(
        data,
        Path(out),
        preset=preset,
        overrides=_overrides(context, set_),
        steps=steps,
        minutes=minutes,
        start=None if start is None else Path(start),
        device=device,
        seed=seed,
        resume=resume,
        check=check,
        on_event=output.on_event,
    )
    return _report(output, result)


@app.command()
def encoder(
    context: typer.Context,
    data: o.DataOption,
    generator: GeneratorOption,
    out: o.RunFolderOption,
    task: TaskOption = "invert",
    teacher: TeacherOption = None,
    start: o.StartOption = None,
    preset: o.PresetOption = None,
    set_: o.SetOption = None,
    steps: o.StepsOption = None,
    minutes: o.MinutesOption = None,
    resume: o.ResumeOption = True,
    check: o.CheckOption = False,
    device: o.DeviceOption = "auto",
    seed: o.SeedOption = 0,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = 0,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Train an encoder into the W+ space of a generator."""
    output = start_output(context, json=json, quiet=quiet, verbose=verbose, color=color, look=Look(target=out))
    from pixel2style2pixel_cli import api

    result = api.train_encoder(
        data,
        Path(out),
        task=task,
        teacher=teacher,
        generator=generator,
        preset=preset,
        overrides=_overrides(context, set_),
        steps=steps,
        minutes=minutes,
        start=None if start is None else Path(start),
        device=device,
        seed=seed,
        resume=resume,
        check=check,
        on_event=output.on_event,
    )
    return _report(output, result)


def _overrides(context: typer.Context, typed: Sequence[str] | None) -> dict[str, str]:
    """Values of ``--set``; typed ones win key by key over those of a configuration file."""
    configured = context.lookup_default("set_") if given_by(context, "set_") == "COMMANDLINE" else None
    pairs: dict[str, str] = {}
    for text in [*(configured or ()), *(typed or ())]:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {text!r} has no key and value", "write --set run.batch=16")
        pairs[key.strip()] = value.strip()
    return pairs


def _report(output: Output, result: Mapping[str, Any]) -> int:
    """The result of a training or of its check."""
    output.close()
    if output.look.mode == "json":
        output.json_line({"event": "train", "schema": SCHEMA, **result, "exit": 0})
    elif output.look.mode == "human":
        output.record(result)
    return 0
