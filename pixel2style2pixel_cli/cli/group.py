"""The classes of our commands: Typer's, without what makes its start slow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

Function = TypeVar("Function", bound=Callable[..., Any])


class App(typer.Typer):
    """A Typer program whose groups and commands are the ones below."""

    def __init__(self, *, help: str, add_completion: bool = False) -> None:
        super().__init__(
            cls=Group, help=help, no_args_is_help=True, add_completion=add_completion, rich_markup_mode="rich"
        )

    def command(  # type: ignore[override]
        self, name: str | None = None, *, help: str | None = None, epilog: str | None = None
    ) -> Callable[[Function], Function]:
        """Adds a function as a command, as Typer's does."""
        return super().command(name, help=help, epilog=epilog, cls=Command)


class Group(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, as Typer lists them."""
        return _plain(super().get_params(ctx))


class Command(TyperCommand):
    """One command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, as Typer lists them."""
        return _plain(super().get_params(ctx))


def _plain(parameters: Iterable[Any]) -> list[Any]:
    """Parameters of which the flags default to False and show no type.

    Typer gives ``--help`` and the completion flags the default None, and converting that imports pydantic, a tenth
    of a second in every command.
    """
    listed = list(parameters)
    for parameter in listed:
        if getattr(parameter, "is_flag", False) and parameter.default is None:
            parameter.default = False
            parameter.metavar = ""
    return listed


class Later(TyperCommand):
    """A command of which only name and help are known until it is used: building all of them is half of the start.

    ``inner`` are commands that may follow its name, where no file is called so.
    """

    def __init__(
        self, name: str, help: str, load: Callable[[str], Any], inner: Mapping[str, Later] | None = None
    ) -> None:
        super().__init__(name, help=help)
        self._load = load
        self.inner = inner or {}

    @cached_property
    def whole(self) -> Any:
        """The command with its options, or the group with its commands."""
        return self._load(str(self.name))

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the whole command: from here on the parser sees nothing of this one."""
        if args and args[0] in self.inner and not Path(args[0]).exists():
            return self.inner[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **extra)
        return self.whole.make_context(info_name, args, parent=parent, **extra)


def whole(command: Any) -> Any:
    """The command itself, where it may be one that is built later."""
    return command.whole if isinstance(command, Later) else command
