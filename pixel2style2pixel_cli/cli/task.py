"""The commands of the tasks: each is made of the declarations of its task's options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import SCHEMA, Event, ImageDone, Summary
from pixel2style2pixel_cli.options.declare import FACES, REQUIRED, RUN, declarations_of, declare
from pixel2style2pixel_cli.options.task import FaceOptions, TaskOptions, read_stdin
from pixel2style2pixel_cli.output import Output
from pixel2style2pixel_cli.tasks.table import TASKS, options_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Inputs:
    """The inputs of a task; what they are is the task's to say."""

    inputs: Sequence[str] = declare(REQUIRED, help="")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class RunFlags:
    """What only the command line is told about a run."""

    ignore_failures: bool = declare(
        False, "--ignore-failures", section=RUN, help="Exit with 0 even if inputs failed or had no face."
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class FaceFlags:
    """What the command line does with faces in the place of a run."""

    list_faces: bool = declare(False, "--list-faces", section=FACES, help="Print the faces found, then stop.")


def task_spec(name: str) -> CommandSpec:
    """The command of one task."""
    options = options_of(name)
    (inputs,) = declarations_of(Inputs)
    taken = (replace(inputs, metavar=options.inputs, help=options.inputs_help),) if options.takes_inputs else ()
    faces = declarations_of(FaceFlags) if issubclass(options, FaceOptions) else ()
    return CommandSpec(
        name=name,
        help=TASKS[name].does,
        act=partial(_run, options),
        takes=(*taken, *declarations_of(options), *declarations_of(RunFlags), *faces),
        examples=options.examples,
    )


def _run(options: type[TaskOptions], given: Given) -> int:
    from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER

    output, values = given.output, given.values
    output.report = replace(
        output.report,
        target=values["out"] or f"{DEFAULT_FOLDER}/{options.command}",
        ignore_failures=values["ignore_failures"],
        dry_run=values["dry_run"],
    )
    if values.get("list_faces"):
        return _list_faces(output, values)
    if values["out"] == "-":
        check_stdout(output)
    return output.finish(_call_api(output, options, values))


def _call_api(output: Output, options: type[TaskOptions], values: Mapping[str, Any]) -> Summary:
    """The options as the arguments of the Python function of the same name."""
    from pixel2style2pixel_cli import api

    told = {declared.name: values[declared.name] for declared in declarations_of(options)}
    plumbing = {"stdin": read_stdin, "stdout": output.write_bytes, "on_event": output.on_event}
    inputs = (values["inputs"],) if options.takes_inputs else ()
    summary: Summary = getattr(api, options.command)(*inputs, **told, **plumbing)
    return summary


def _list_faces(output: Output, values: Mapping[str, Any]) -> int:
    """Print index, score and box of every face; exit 3 when an input failed or had none."""
    from pixel2style2pixel_cli import api

    incomplete = False

    def watch(event: Event) -> None:
        nonlocal incomplete
        incomplete = incomplete or (isinstance(event, ImageDone) and event.status in ("failed", "no_face"))
        if not isinstance(event, Summary):  # its counts are about files written
            output.on_event(event)

    rows = api.list_faces(
        values["inputs"],
        recursive=values["recursive"],
        detector=values["detector"],
        detector_threshold=values["detector_threshold"],
        max_pixels=values["max_pixels"],
        shard=values["shard"],
        stdin=read_stdin,
        on_event=watch,
    )
    if output.report.mode == "json":
        for row in rows:
            output.json_line({"event": "face", "schema": SCHEMA, **row})
    else:
        cells = [(str(r["input"]), str(r["face"]), f"{r['score']:.2f}", *(f"{v:.0f}" for v in r["box"])) for r in rows]
        output.table(("input", "face", "score", "left", "top", "right", "bottom"), cells)
    output.list_without_face()
    return 3 if incomplete and not output.report.ignore_failures else 0


def check_stdout(output: Output) -> None:
    """Standard output can carry a picture to another program only."""
    if output.report.mode == "json":
        raise UsageError("--json and -o - both want standard output", "write the picture to a file: -o face.png")
    if output.stdout.isatty():
        raise UsageError("standard output is a terminal, which cannot show a PNG", "redirect it: -o - > face.png")
