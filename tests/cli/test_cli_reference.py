"""The reference and the frozen list say what the commands take; every option explains itself."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from command_reference import DOCS, FROZEN, commands, render_frozen, render_reference

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


def test_python_function_has_the_same_names_and_defaults() -> None:
    api = pytest.importorskip("pixel2style2pixel_cli.api")
    invert = dict(commands())["invert"]
    wanted = {p.name: p.default for p in invert.params if p.name not in OWN_NAMES and p.name != "inputs"}
    parameters = inspect.signature(api.invert).parameters
    found = {name: p.default for name, p in parameters.items() if name not in ("inputs", "stdin", "stdout", "on_event")}
    assert found == wanted
