"""How configured defaults reach a command, and how a command sets up the output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from pixel2style2pixel_cli.cli.registry import all_specs, specs_of
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.messages import MessageOptions
from pixel2style2pixel_cli.output import Output, ReportOptions


def apply_config(context: typer.Context, value: str | None) -> str | None:
    """Fills the defaults of this command; ``value`` is what ``--config`` names, which is read before all else."""
    if context.resilient_parsing:
        return value
    from pixel2style2pixel_cli.options.configured import config_files, load_defaults

    files = config_files(value, Path())  # not Path.cwd(): the working folder may be gone
    name = command_name(context)
    # only a file can name options of other commands
    specs = all_specs() if files else specs_of(name.partition(".")[0])
    commands = {spec.name: spec.configurable for spec in specs}
    found = load_defaults(name, commands, files=files, environment=os.environ)
    names = {declared.key: declared.name for declared in commands[name]}
    context.default_map = {names[key]: _as_typed(default) for key, default in found.items()}
    return value


def _as_typed(value: object) -> Any:
    """A mapping as the list of pairs that the parser knows."""
    return [f"{name}={text}" for name, text in value.items()] if isinstance(value, dict) else value


def command_name(context: typer.Context) -> str:
    """The dotted name of the running command: ``invert``, ``train.generator``."""
    return ".".join(context.command_path.split()[1:])


def help_line(context: typer.Context) -> str:
    """What to type where nothing better is known."""
    return f"{context.command_path} --help lists what it takes"


def given_by(context: typer.Context, name: str) -> str:
    """COMMANDLINE, DEFAULT_MAP (environment or file) or DEFAULT."""
    source = context.get_parameter_source(name)
    return source.name if source is not None else "DEFAULT"


def start_output(context: typer.Context, talk: MessageOptions) -> Output:
    """The output that ``main`` made, set to what this command was asked for."""
    quiet = talk.quiet
    if quiet and talk.verbose:
        if given_by(context, "quiet") == given_by(context, "verbose"):
            raise UsageError("--quiet and --verbose were both given", "use one of them")
        quiet = given_by(context, "quiet") == "COMMANDLINE"
    output: Output = context.obj
    output.report = ReportOptions(
        mode="json" if talk.json else "quiet" if quiet else "human",
        verbosity=-1 if quiet else talk.verbose,
        colour=talk.color,
    )
    return output
