"""``p2s2p report``: what several runs said of their pictures, as one."""

from __future__ import annotations

from pixel2style2pixel_cli.cli.spec import QUIET_MESSAGES, CommandSpec, Given
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.reports import MergeOptions

EXAMPLES = ("p2s2p report merge lines-*.jsonl -o all.jsonl",)


def merge(given: Given) -> int:
    """Join the JSON lines of runs; exit 3 where a picture is missing or a run has not ended."""
    from pixel2style2pixel_cli import api

    told = given.options(MergeOptions)
    found = api.merge_reports(told.files, out=told.out, overwrite=told.overwrite)
    rows, code = found.pop("rows"), int(found["exit"])
    if given.output.report.mode == "json":
        for row in (*rows, found):
            given.output.json_line(row)
    elif given.output.report.mode == "human":
        given.output.record({key: value for key, value in found.items() if key not in ("event", "schema")})
    return code


COMMANDS = (
    CommandSpec(
        name="report.merge",
        help="Join the JSON lines of several runs over parts of one folder: one line a picture, and one summary.",
        act=merge,
        takes=declarations_of(MergeOptions),
        messages=QUIET_MESSAGES,
        examples=EXAMPLES,
    ),
)
