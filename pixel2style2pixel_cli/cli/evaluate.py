"""``p2s2p evaluate``: how near results are to their targets, with intervals, in a table and a report."""

from __future__ import annotations

from dataclasses import replace

from pixel2style2pixel_cli.cli.registry import OTHERS
from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.events import Event, ImageDone
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.evaluation import EvaluationOptions

EXAMPLES = (
    "p2s2p evaluate p2s2p-out/invert photos/",
    "p2s2p evaluate results/ targets/ -r --size 128 -o report.json",
    "p2s2p evaluate mini-invert photos/ --edit age=2 --plot report.png",
    "p2s2p evaluate runs/maps photos/ --task seg2face --inputs maps/ --parser parser.safetensors",
    "p2s2p evaluate parsed/ maps/ --labels celebamask-19",
)
COLUMNS = ("measure", "mean", "95 % interval")


def evaluate(given: Given) -> int:
    """Compare; exit 3 where pairs were left out because they could not be compared."""
    from pixel2style2pixel_cli import api
    from pixel2style2pixel_cli.jobs.report import report_rows

    output, values = given.output, given.values
    told = {declared.name: values[declared.name] for declared in declarations_of(EvaluationOptions)}
    output.report = replace(output.report, target=values["out"] or "")
    failed = False

    def watch(event: Event) -> None:
        nonlocal failed
        wrong = isinstance(event, ImageDone) and event.status == "failed"
        failed = failed or wrong
        if wrong or not isinstance(event, ImageDone) or output.report.mode == "json":
            output.on_event(event)

    report = api.evaluate(**told, on_event=watch)
    output.close()
    if report and output.report.mode == "json":
        output.json_line(report)
    elif report and output.report.mode == "human":
        output.table(COLUMNS, list(report_rows(report)))
    return 3 if failed else 0


COMMANDS = (
    CommandSpec(
        name="evaluate",
        help=OTHERS["evaluate"],
        act=evaluate,
        takes=declarations_of(EvaluationOptions),
        examples=EXAMPLES,
    ),
)
