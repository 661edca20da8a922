"""What a command is: its options as they were declared, and what it does with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer

from pixel2style2pixel_cli.options.declare import Declaration, declarations_of
from pixel2style2pixel_cli.options.messages import MessageOptions
from pixel2style2pixel_cli.output import Output

Options = TypeVar("Options")

ALL_MESSAGES = ("json", "quiet", "verbose", "color", "config")
QUIET_MESSAGES = ("json", "quiet", "color", "config")
PLAIN_MESSAGES = ("json", "color", "config")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Given:
    """What a command was given: the values of its declarations by name, whoever gave them."""

    context: typer.Context
    output: Output
    values: Mapping[str, Any]

    def options(self, kind: type[Options]) -> Options:
        """The values as an instance of the dataclass that declares them."""
        return kind(**{declared.name: self.values[declared.name] for declared in declarations_of(kind)})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class CommandSpec:
    """One command: its dotted name, its help, what it takes, and the function that does it and returns the exit code.

    ``messages`` are the options of messages that it has.
    """

    name: str
    help: str
    act: Callable[[Given], int]
    takes: tuple[Declaration, ...] = ()
    messages: tuple[str, ...] = ALL_MESSAGES
    examples: tuple[str, ...] = ()

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """Everything it takes, the options of messages last."""
        talk = tuple(declared for declared in declarations_of(MessageOptions) if declared.name in self.messages)
        return (*self.takes, *talk)

    @property
    def configurable(self) -> tuple[Declaration, ...]:
        """The options that a file or a variable may set."""
        return tuple(declared for declared in self.declarations if declared.flags and declared.configured)
