"""``p2s2p edit learn``: directions for edits, learned from labelled pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pixel2style2pixel_cli.cli.registry import INNER
from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.events import SCHEMA, Event, ImageDone
from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER
from pixel2style2pixel_cli.options.declare import REQUIRED, declarations_of, declare
from pixel2style2pixel_cli.options.learning import LearnOptions
from pixel2style2pixel_cli.options.task import read_stdin

EXAMPLES = (
    "p2s2p edit learn faces/ --labels labels.csv -o directions/",
    "p2s2p edit learn faces/ --labels labels.csv --label smile --orthogonal-to all -o smile.safetensors",
    "p2s2p edit photo.jpg --direction smile.safetensors",
)
COLUMNS = ("label", "pictures", "correlation", "leaks most to", "leakage", "output")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class LearnInputs:
    """The pictures."""

    inputs: Sequence[str] = declare(REQUIRED, metavar="INPUT", help=LearnOptions.inputs_help)


def learn(given: Given) -> int:
    """Learn directions; exit 3 where pictures were left out because they could not be used."""
    from pixel2style2pixel_cli import api

    output, values = given.output, given.values
    told = {declared.name: values[declared.name] for declared in declarations_of(LearnOptions)}
    output.report = replace(output.report, target=values["out"] or f"{DEFAULT_FOLDER}/directions")
    failed = False

    def watch(event: Event) -> None:
        nonlocal failed
        failed = failed or isinstance(event, ImageDone)
        output.on_event(event)

    rows = api.learn(values["inputs"], **told, stdin=read_stdin, on_event=watch)
    output.close()
    if output.report.mode == "json":
        for row in rows:
            output.json_line({"event": "direction", "schema": SCHEMA, **row})
    elif output.report.mode == "human" and rows:
        output.table(COLUMNS, [_cells(row) for row in rows])
    return 3 if failed else 0


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("label", "pictures", "correlation", "leaks_most_to", "leakage", "output")
    return tuple("" if row[name] is None else str(row[name]) for name in names)


COMMANDS = (
    CommandSpec(
        name="edit.learn",
        help=INNER["edit"]["learn"],
        act=learn,
        takes=(*declarations_of(LearnInputs), *declarations_of(LearnOptions)),
        examples=EXAMPLES,
    ),
)
