"""The commands of the tasks: each is made of the fields of its task's options."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import typer

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.defaults import given_by, start_output
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import SCHEMA, Event, ImageDone, Summary
from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER
from pixel2style2pixel_cli.options.task import Existing, FaceOptions, TaskOptions, read_stdin
from pixel2style2pixel_cli.output import Look, Output

# Fields that connect a run to its caller, and no option of a command.
PLUMBING = ("stdin", "stdout", "on_event")


def task_command(options: type[TaskOptions], *, own: Mapping[str, Any], inputs: Any = o.Inputs) -> Callable[..., int]:
    """A Typer command that runs one task.

    Its parameters are the fields of ``options``, in the order of ``cli/options.py``; ``own`` are the task's own. The
    signature is made here because Typer reads signatures, and one written out for each of eight tasks would be the
    same forty lines eight times.
    """
    fields = {field.name: field for field in dataclasses.fields(options) if field.name not in PLUMBING}
    shown = {**o.TASK_OPTIONS, **own}
    faces = issubclass(options, FaceOptions)
    unseen = fields.keys() - shown.keys()
    if unseen:
        raise TypeError(f"no option for {', '.join(sorted(unseen))} of {options.command}")

    def command(**given: Any) -> int:
        return _run(options, given)

    names = [name for name in shown if name in fields or (name in o.ONLY_TYPED and (faces or name != "list_faces"))]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        inspect.Parameter("inputs", keyword, annotation=inputs),
    ]
    for name in names:
        default = fields[name].default if name in fields else o.ONLY_TYPED[name]
        parameters.append(inspect.Parameter(name, keyword, annotation=shown[name], default=default))
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__name__ = options.command
    return command


def _run(options: type[TaskOptions], given: dict[str, Any]) -> int:
    context = given["context"]
    target = given["out"] or f"{DEFAULT_FOLDER}/{options.command}"
    look = Look(target=target, ignore_failures=given["ignore_failures"], dry_run=given["dry_run"])
    talk = {name: given[name] for name in ("json", "quiet", "verbose", "color")}
    output = start_output(context, **talk, look=look)
    if given.get("list_faces"):
        return _list_faces(output, given)
    if given["out"] == "-":
        _check_stdout(output, json=given["json"])
    given["existing"] = _existing_policy(
        context, given["existing"], skip=given["skip_existing"], overwrite=given["overwrite"]
    )
    if given["batch_size"] != "auto":
        given["batch_size"] = int(given["batch_size"])
    return output.finish(_call_api(output, options, given))


def _call_api(output: Output, options: type[TaskOptions], given: Mapping[str, Any]) -> Summary:
    """The options as the arguments of the Python function of the same name."""
    from pixel2style2pixel_cli import api

    told = {field.name: given[field.name] for field in dataclasses.fields(options) if field.name not in PLUMBING}
    plumbing = {"stdin": read_stdin, "stdout": output.write_bytes, "on_event": output.on_event}
    summary: Summary = getattr(api, options.command)(list(given["inputs"]), **told, **plumbing)
    return summary


def _list_faces(output: Output, given: Mapping[str, Any]) -> int:
    """Print index, score and box of every face; exit 3 when an input failed or had none."""
    from pixel2style2pixel_cli import api

    incomplete = False

    def watch(event: Event) -> None:
        nonlocal incomplete
        incomplete = incomplete or (isinstance(event, ImageDone) and event.status in ("failed", "no_face"))
        if not isinstance(event, Summary):  # its counts are about files written
            output.on_event(event)

    rows = api.list_faces(
        list(given["inputs"]),
        recursive=given["recursive"],
        detector=given["detector"],
        detector_threshold=given["detector_threshold"],
        max_pixels=given["max_pixels"],
        shard=given["shard"],
        offline=given["offline"],
        stdin=read_stdin,
        on_event=watch,
    )
    if output.look.mode == "json":
        for row in rows:
            output.json_line({"event": "face", "schema": SCHEMA, **row})
    else:
        cells = [(str(r["input"]), str(r["face"]), f"{r['score']:.2f}", *(f"{v:.0f}" for v in r["box"])) for r in rows]
        output.table(("input", "face", "score", "left", "top", "right", "bottom"), cells)
    output.list_without_face()
    return 3 if incomplete and not output.look.ignore_failures else 0


def _existing_policy(context: typer.Context, existing: Existing, *, skip: bool, overwrite: bool) -> Existing:
    """One policy out of ``--existing`` and its short forms; two different ones typed together are refused."""
    asked: list[Existing] = []
    if skip:
        asked.append("skip")
    if overwrite:
        asked.append("overwrite")
    if given_by(context, "existing") == "COMMANDLINE":
        asked.append(existing)
    if len(set(asked)) > 1:
        raise UsageError(
            f"two policies for existing outputs: {' and '.join(dict.fromkeys(asked))}",
            "give one of --existing, --skip-existing and --overwrite",
        )
    return asked[0] if asked else existing


def _check_stdout(output: Output, *, json: bool) -> None:
    """Standard output can carry a picture to another program only."""
    if json:
        raise UsageError("--json and -o - both want standard output", "write the picture to a file: -o face.png")
    if output.stdout.isatty():
        raise UsageError("standard output is a terminal, and a PNG is no text", "redirect it: -o - > face.png")
