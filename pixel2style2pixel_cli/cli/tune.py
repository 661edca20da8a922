"""``p2s2p tune``: pivotal tuning of a generator on pictures of one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pixel2style2pixel_cli.cli.registry import OTHERS
from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.options.declare import REQUIRED, declarations_of, declare
from pixel2style2pixel_cli.options.task import read_stdin
from pixel2style2pixel_cli.options.tuning import TuneOptions
from pixel2style2pixel_cli.wording import duration, file_size

EXAMPLES = (
    "p2s2p tune anna1.jpg anna2.jpg -o anna.safetensors",
    "p2s2p edit anna1.jpg --model anna.safetensors --direction smile",
    "p2s2p tune photo.jpg --pivot w --steps 200",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TuneInputs:
    """The pictures."""

    inputs: Sequence[str] = declare(REQUIRED, metavar="INPUT", help=TuneOptions.inputs_help)


def tune(given: Given) -> int:
    """Tune a generator."""
    from pixel2style2pixel_cli import api

    output, values = given.output, given.values
    told = {declared.name: values[declared.name] for declared in declarations_of(TuneOptions)}
    output.report = replace(output.report, target=values["out"] or "")
    done = api.tune(values["inputs"], **told, stdin=read_stdin, on_event=output.on_event)
    output.close()
    if output.report.mode == "json":
        output.json_line({"event": "tune", "schema": SCHEMA, **done, "exit": 0})
    elif output.report.mode == "human":
        output.record(_shown(done))
    return 0


def _shown(done: Mapping[str, Any]) -> dict[str, Any]:
    """The result for people."""
    shown = dict(done)
    if "size" in shown:
        shown["size"], shown["seconds"] = file_size(shown["size"]), duration(shown["seconds"])
        shown["use"] = f"p2s2p invert PHOTO --model {shown['output']}"
    return {name.replace("seconds", "time"): value for name, value in shown.items() if value is not None}


COMMANDS = (
    CommandSpec(
        name="tune",
        help=OTHERS["tune"],
        act=tune,
        takes=(*declarations_of(TuneInputs), *declarations_of(TuneOptions)),
        examples=EXAMPLES,
    ),
)
