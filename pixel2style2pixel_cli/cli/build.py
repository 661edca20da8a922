"""Typer commands made from declarations; nothing else in the project writes a Typer option for a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import typer

from pixel2style2pixel_cli.cli.defaults import apply_config, given_by, help_line, start_output
from pixel2style2pixel_cli.cli.group import App
from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import SECTIONS, Declaration, Shortcut
from pixel2style2pixel_cli.options.kinds import Unexpected, read_pairs
from pixel2style2pixel_cli.options.messages import MessageOptions
from pixel2style2pixel_cli.options.refusal import refusal


def add_command(app: App, spec: CommandSpec) -> None:
    """Add a command to a Typer program."""
    examples = "\n\n".join(("Examples:", *spec.examples)) if spec.examples else None
    app.command(spec.name.rpartition(".")[2], help=spec.help, epilog=examples)(typer_function(spec))


def typer_function(spec: CommandSpec) -> Callable[..., int]:
    """The function that Typer makes a command of.

    Its signature is made here because Typer reads signatures: arguments first, then the options by section.
    """

    def command(context: typer.Context, **typed: Any) -> int:
        for declared in spec.declarations:
            if declared.shortcuts:
                typed[declared.name] = _with_shortcuts(context, declared, typed)
            if declared.kind.pairs:
                typed[declared.name] = read_pairs(typed[declared.name] or ())
        talk = {name: typed[name] for name in spec.messages}
        output = start_output(context, MessageOptions(**talk))
        return spec.act(Given(context=context, output=output, values=typed))

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("context", keyword, annotation=typer.Context)]
    for declared in _in_order(spec.declarations):
        parameters += _parameters(declared)
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__name__ = spec.name.rpartition(".")[2]
    return command


def _in_order(declarations: Iterable[Declaration]) -> list[Declaration]:
    """Arguments, then a command's own options, then the others section by section."""
    return sorted(declarations, key=lambda declared: SECTIONS.index(declared.section) if declared.flags else -1)


def _parameters(declared: Declaration) -> Iterator[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    default = inspect.Parameter.empty if declared.required else declared.default
    yield inspect.Parameter(declared.name, keyword, annotation=_annotation(declared), default=default)
    for shortcut in declared.shortcuts:
        annotation = Annotated[bool, _flag((shortcut.flag,), declared.section, shortcut.help)]
        yield inspect.Parameter(_name_of(shortcut), keyword, annotation=annotation, default=False)


def _annotation(declared: Declaration) -> Any:
    kind = declared.kind
    if not declared.flags:
        words = list[str] if kind.many else str
        return Annotated[words, typer.Argument(metavar=declared.metavar, help=declared.help)]
    if kind.base == "flag":
        return Annotated[bool, _flag(declared.flags, declared.section, declared.help)]
    if declared.counted:
        counted = typer.Option(
            *declared.flags, metavar="", count=True, show_default=False, help=declared.help,
            rich_help_panel=declared.section,
        )  # fmt: skip
        return Annotated[int, counted]
    option = typer.Option(
        *declared.flags, metavar=declared.metavar, help=declared.help, rich_help_panel=declared.section,
        show_default=declared.default_means or True, is_eager=declared.name == "config",
        callback=_configurer(declared) if declared.name == "config" else _reader(declared),
        autocompletion=_completion(kind.choices) if kind.choices else None,
    )  # fmt: skip
    return Annotated[list[Any] if kind.many or kind.pairs else Any, option]


def _flag(flags: Iterable[str], section: str, help: str) -> Any:
    """An option that is there or not; the empty metavar keeps a type name out of the help."""
    return typer.Option(*flags, metavar="", help=help, rich_help_panel=section)


def _completion(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _reader(declared: Declaration) -> Callable[[typer.Context, Any], Any]:
    """Reads what was typed; what comes from files and variables was read there."""

    def read(context: typer.Context, value: Any) -> Any:
        kind = declared.kind
        if value is None:
            return None
        try:
            if kind.pairs:  # typed ones win name by name over those of a configuration file, which come first
                read_pairs(value)
                return [*(context.lookup_default(declared.name) or ()), *value]
            if given_by(context, declared.name) != "COMMANDLINE":
                return value
            return [kind.read(item) for item in value] if kind.many else kind.read(value)
        except Unexpected as error:
            raise refusal(declared.spelling, error, kind, help_line(context)) from None

    return read


def _configurer(declared: Declaration) -> Callable[[typer.Context, Any], Any]:
    """Reads ``--config``, then the defaults from the file that it names."""
    read = _reader(declared)

    def configure(context: typer.Context, value: Any) -> Any:
        return apply_config(context, read(context, value))

    return configure


def _with_shortcuts(context: typer.Context, declared: Declaration, typed: dict[str, Any]) -> Any:
    """One value out of an option and its short forms; two different ones typed together are refused."""
    asked = [shortcut.value for shortcut in declared.shortcuts if typed.pop(_name_of(shortcut))]
    if given_by(context, declared.name) == "COMMANDLINE":
        asked.append(typed[declared.name])
    if len(set(asked)) > 1:
        spellings = [declared.spelling, *(shortcut.flag for shortcut in declared.shortcuts)]
        raise UsageError(
            f"two values for {declared.spelling}: {' and '.join(dict.fromkeys(asked))}",
            f"give one of {', '.join(spellings[:-1])} and {spellings[-1]}",
        )
    return asked[0] if asked else typed[declared.name]


def _name_of(shortcut: Shortcut) -> str:
    return shortcut.flag.lstrip("-").replace("-", "_")
