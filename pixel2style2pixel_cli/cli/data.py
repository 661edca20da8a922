"""``p2s2p data``: pictures made ready for training."""

from __future__ import annotations

from dataclasses import replace

from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.training import PackOptions

EXAMPLES = (
    "p2s2p data pack photos/ -o packed/ --size 256 --crop",
    "p2s2p data pack photos/ -o packed/ --label-maps maps/ --labels celebamask-19",
    "p2s2p train encoder --task seg2face --data packed/ --generator mini-generator -o runs/faces",
)


def pack(given: Given) -> int:
    """Pack pictures; exit 3 where some could not be used or had no partner."""
    from pixel2style2pixel_cli import api

    output = given.output
    told = {declared.name: given.values[declared.name] for declared in declarations_of(PackOptions)}
    output.report = replace(output.report, target=told["out"])
    result = api.pack_data(told.pop("data"), told.pop("out"), **told, on_event=output.on_event)
    code = 3 if result["left_out"] or result["unpaired"] else 0
    output.close()
    if output.report.mode == "json":
        output.json_line({"event": "pack", "schema": SCHEMA, **result, "exit": code})
    elif output.report.mode == "human":
        output.record(result)
    return code


COMMANDS = (
    CommandSpec(
        name="data.pack",
        help="Pack folders of pictures, and of what belongs to them, into shards that training reads fast.",
        act=pack,
        takes=declarations_of(PackOptions),
        examples=EXAMPLES,
    ),
)
