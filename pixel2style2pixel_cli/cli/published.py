"""``p2s2p edit import``: directions that others have published."""

from __future__ import annotations

from pixel2style2pixel_cli.cli.registry import INNER
from pixel2style2pixel_cli.cli.spec import QUIET_MESSAGES, CommandSpec, Given
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.directions import DirectionOptions

EXAMPLES = (
    "p2s2p edit import smile --model psp-ffhq-encode",
    "p2s2p edit import smile.pt --model psp-ffhq-encode -o smile.safetensors",
    "p2s2p edit photo.jpg --model psp-ffhq-encode --direction smile.safetensors",
)


def import_published(given: Given) -> int:
    """Convert a published file of directions."""
    from pixel2style2pixel_cli import api

    output = given.output
    told = {declared.name: given.values[declared.name] for declared in declarations_of(DirectionOptions)}
    rows = api.import_directions(**told, on_event=output.on_event)
    output.close()
    if output.report.mode == "json":
        for row in rows:
            output.json_line({"event": "direction", "schema": SCHEMA, **row})
    elif output.report.mode == "human":
        output.table(("direction", "space", "output"), [tuple(map(str, row.values())) for row in rows])
    return 0


COMMANDS = (
    CommandSpec(
        name="edit.import",
        help=INNER["edit"]["import"],
        act=import_published,
        takes=declarations_of(DirectionOptions),
        messages=QUIET_MESSAGES,
        examples=EXAMPLES,
    ),
)
