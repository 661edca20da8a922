"""The reference and the frozen list say what the commands take; every option explains itself."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from command_reference import DOCS, FROZEN, commands, render_frozen, render_reference

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.tasks.table import TASKS, options_of

OWN_NAMES = {
    "config",
    "json",
    "quiet",
    "verbose",
    "color",
    "skip_existing",
    "overwrite",
    "list_faces",
    "ignore_failures",
}


def test_options_are_the_frozen_ones() -> None:
    assert render_frozen() == FROZEN.read_text(encoding="utf-8")


def test_reference_is_up_to_date() -> None:
    assert render_reference() == DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "command"), [pytest.param(*c, id=c[0] or "p2s2p") for c in commands()])
def test_every_command_and_option_has_help(name: str, command: Any) -> None:
    assert command.help, name
    for parameter in command.params:
        assert parameter.help and parameter.help.rstrip(")").endswith("."), f"{name} {parameter.name}"


@pytest.mark.parametrize("task", sorted(TASKS))
def test_python_function_has_the_same_names_and_defaults(task: str) -> None:
    command = dict(commands())[task]
    wanted = {p.name: p.default for p in command.params if p.name not in OWN_NAMES and p.name != "inputs"}
    declared = declarations_of(options_of(task))
    assert {option.name: option.default for option in declared} == wanted
    function = getattr(api, task)
    parameters = inspect.signature(function).parameters
    assert {option.name: parameters[option.name].default for option in declared} == wanted
    assert (next(iter(parameters)) == "inputs") == options_of(task).takes_inputs and task in dir(api)
    text = " ".join(function.__doc__.split())
    assert text.startswith(command.help)
    assert all(f"{option.name}: {option.help}" in text for option in declared)
