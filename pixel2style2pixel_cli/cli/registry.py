"""All commands: what each is called and what it does. The rest of one is read when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.tasks.table import TASKS

if TYPE_CHECKING:
    from pixel2style2pixel_cli.cli.spec import CommandSpec

# The help of every command that is no task; the module of each has its name, and lists its commands.
OTHERS = {
    "paste": "Put results back into the photographs that they were made from.",
    "tune": "Tune the generator on pictures of one person, so that it draws them from their codes.",
    "evaluate": "Measure how near results are to their targets: error, likeness, identity, detail.",
    "show": "Show the recipe of a picture, or the contents of a latent or a weight file.",
    "train": "Train a generator, an encoder for one, or a face recogniser.",
    "report": "Join what several runs said of their pictures.",
    "data": "Pack pictures for training.",
    "models": "List, show, pull, import, export, blend, verify and remove models.",
}
# Commands that follow the name of a task: the module and the help of each. Without them a task takes its inputs.
INNER = {
    "edit": {
        "learn": "Learn directions from labelled pictures: a table with numbers or words for each.",
        "import": "Make directions that others have published usable with a model.",
    }
}
_MODULES = {"import": "published"}  # where the name of a command cannot be that of a module
COMMANDS = {**{name: task.does for name, task in TASKS.items()}, **OTHERS}


def specs_of(name: str) -> tuple[CommandSpec, ...]:
    """A command, or the commands of a group."""
    if name in TASKS:
        from pixel2style2pixel_cli.cli.task import task_spec

        return (task_spec(name), *(spec for inner in INNER.get(name, ()) for spec in inner_specs(inner)))
    found: tuple[CommandSpec, ...] = import_module(f"{__package__}.{name}").COMMANDS
    return found


def inner_specs(name: str) -> tuple[CommandSpec, ...]:
    """A command that follows the name of a task."""
    found: tuple[CommandSpec, ...] = import_module(f"{__package__}.{_MODULES.get(name, name)}").COMMANDS
    return found


def all_specs() -> Iterator[CommandSpec]:
    """Every command there is."""
    for name in COMMANDS:
        yield from specs_of(name)
