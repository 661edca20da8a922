"""``p2s2p paste``: results put back into the photographs that they were made from."""

from __future__ import annotations

from dataclasses import replace

from pixel2style2pixel_cli.cli.registry import OTHERS
from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.cli.task import RunFlags, check_stdout
from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.paste import PasteOptions

EXAMPLES = (
    "p2s2p paste p2s2p-out/toonify/photo.png photo.jpg -o photo-toon.png",
    "p2s2p paste faces/ photos/ -r -o pasted/ --skip-existing",
)


def paste(given: Given) -> int:
    """Put results into their photographs."""
    from pixel2style2pixel_cli import api

    output, values = given.output, given.values
    output.report = replace(
        output.report,
        target=values["out"] or f"{DEFAULT_FOLDER}/paste",
        ignore_failures=values["ignore_failures"],
        dry_run=values["dry_run"],
    )
    if values["out"] == "-":
        check_stdout(output)
    told = {declared.name: values[declared.name] for declared in declarations_of(PasteOptions)}
    return output.finish(api.paste(**told, stdout=output.write_bytes, on_event=output.on_event))


COMMANDS = (
    CommandSpec(
        name="paste",
        help=OTHERS["paste"],
        act=paste,
        takes=(*declarations_of(PasteOptions), *declarations_of(RunFlags)),
        examples=EXAMPLES,
    ),
)
