"""How configured defaults reach a command, where each of them came from, and how a command sets up the output."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from pixel2style2pixel_cli.cli.group import whole
from pixel2style2pixel_cli.config import Kind, Option, Value, config_files, load_defaults
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.output import Colour, Look, Output

CONFIGURED = "p2s2p.configured"

# --config names the files themselves; the short forms are for typing, files and variables set the option in full
NOT_CONFIGURED = frozenset({"config", "skip_existing", "overwrite"})


def apply_config(context: typer.Context, value: str | None) -> str | None:
    """Callback of ``--config``, read before all other options: fills the defaults of this command."""
    if context.resilient_parsing:
        return value
    files = config_files(value, Path.cwd())
    # only a file can name options of other commands, and all commands together are slow to build
    name = command_name(context)
    commands = known_options(context.find_root().command) if files else known_options(context.command, name)
    found = load_defaults(name, commands, files=files, environment=os.environ)
    names = _parameter_names(context.command)
    context.default_map = {names[key]: default.value for key, default in found.items()}
    context.meta[CONFIGURED] = {names[key]: default for key, default in found.items()}
    return value


def known_options(command: object, name: str = "") -> dict[str, tuple[Option, ...]]:
    """Every command below ``command`` by its dotted name, with the options that may be configured."""
    command = whole(command)
    inner: Mapping[str, object] | None = getattr(command, "commands", None)
    if inner is None:
        found = (Option(key=option_key(p.opts), kind=_kind(p)) for p in _options(command))
        return {name: tuple(option for option in found if option.key not in NOT_CONFIGURED)}
    found_inside: dict[str, tuple[Option, ...]] = {}
    for key, child in inner.items():
        found_inside |= known_options(child, f"{name}.{key}" if name else key)
    return found_inside


def option_key(spellings: Sequence[str]) -> str:
    """The long spelling as a key of a configuration file: ``--batch-size`` is ``batch_size``."""
    return max(spellings, key=len).lstrip("-").replace("-", "_")


def command_name(context: typer.Context) -> str:
    """The dotted name of the running command: ``invert``, ``train.generator``."""
    return ".".join(context.command_path.split()[1:])


def given_by(context: typer.Context, name: str) -> str:
    """COMMANDLINE, DEFAULT_MAP (environment or file) or DEFAULT."""
    source = context.get_parameter_source(name)
    return source.name if source is not None else "DEFAULT"


def configured(context: typer.Context, name: str) -> Value | None:
    """The value that a variable or a file gave; None when it was typed or is the built-in default."""
    values: Mapping[str, Value] = context.meta.get(CONFIGURED, {})
    return values.get(name) if given_by(context, name) == "DEFAULT_MAP" else None


def start_output(
    context: typer.Context, *, json: bool, quiet: bool, verbose: int, color: Colour, look: Look | None = None
) -> Output:
    """The output that ``main`` made, set to what this command was asked for."""
    if quiet and verbose:
        if given_by(context, "quiet") == given_by(context, "verbose"):
            raise UsageError("--quiet and --verbose were both given", "use one of them")
        quiet = given_by(context, "quiet") == "COMMANDLINE"
    output: Output = context.obj
    base = look or Look()
    output.look = Look(
        mode="json" if json else "quiet" if quiet else "human",
        verbosity=-1 if quiet else verbose,
        colour=color,
        target=base.target,
        ignore_failures=base.ignore_failures,
        dry_run=base.dry_run,
    )
    return output


def _options(command: object) -> list[typer.CallbackParam]:
    return [p for p in getattr(command, "params", ()) if p.param_type_name == "option"]


def _parameter_names(command: object) -> dict[str, str]:
    return {option_key(p.opts): str(p.name) for p in _options(command)}


def _kind(parameter: typer.CallbackParam) -> Kind:
    if getattr(parameter, "count", False):
        return "count"
    if getattr(parameter, "is_flag", False):
        return "flag"
    if getattr(parameter, "multiple", False):
        return "pairs" if "--set" in parameter.opts else "list"
    return "value"
