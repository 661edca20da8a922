"""The record of a comparison of inversions as a page for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from editability import CONSISTENCY, EFFECT, LABELS

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]

DISTORTION: tuple[Column, ...] = (
    ("Pictures", lambda row: str(row["pictures"])),
    ("Squared error", lambda row: _number(row["mse"])),
    ("on the same few", lambda row: _number(row["mse_few"])),
    ("MS-SSIM", lambda row: _number(row["ms_ssim"])),
    ("Right one", lambda row: _share(row["rank_1"])),
    ("Own pairs at 1 % false", lambda row: _share(row["true_at_1_percent_false"])),
    ("Seconds", lambda row: _number(row["seconds"])),
)
LPIPS: Column = ("LPIPS", lambda row: _number(row["lpips"]))
EDITING: tuple[Column, ...] = (
    ("LEC", lambda row: _number(row["lec"])),
    ("Distance after edits", lambda row: _number(row["kept"])),
    *((name, lambda row, name=name: _edit(row["edits"][name])) for name in LABELS),  # type: ignore[misc]
)


def page(record: Row) -> str:
    """The whole page."""
    settings, inputs = record["settings"], record["inputs"]
    columns = (*DISTORTION[:4], LPIPS, *DISTORTION[4:]) if record["lpips"] else DISTORTION
    photographs = record.get("photographs")
    parts = [
        "# Methods of inversion compared",
        f"Written by `{record['command']}` from `records/inversion.json`; run it again rather than edit it. "
        f"Models of {record['resolution']} px, figures at {record['side']} px, {record['device']}, commit "
        f"{record['commit']}.",
        "## Renders",
        f"Held-back renders of `{record['data']}`. Costly methods were run on {settings['few']} of them, the others on "
        f'{settings["pictures"]}; "on the same few" is every method\'s error on those {settings["few"]}, which the '
        f"statements below compare. W and W+ optimisation make {settings['steps']} steps from the average code, "
        f"refinement {settings['refine']}, PTI {settings['tune']}. Seconds are processor time for one picture.",
        "\n".join(table(columns, record["renders"])),
        f"Identity is dlib's: of {settings['gallery']} inputs the one nearest to an output is its own (right one), and "
        "how many own pairs are nearer than all but 1 % of the pairs of an output and another person. Of the inputs "
        f"themselves, mirrored, these are {_share(inputs['rank_1'])} and {_share(inputs['true_at_1_percent_false'])}.",
        "" if record["lpips"] else "LPIPS was left out: the package or its weights are not installed.",
        "## Edits",
        "\n".join(table(EDITING, record["renders"])),
        f"On the first {settings['few']} pictures. LEC (e4e): how far a code has moved after {CONSISTENCY[0]} "
        f"{CONSISTENCY[1]:+g}, drawing, inversion and the edit back; a tuned network is another map for every picture "
        "and has none. Every direction: dlib's distance from the picture before the edit, at the strength at which its "
        f'label has changed by {EFFECT:g} standard deviations. "Distance after edits" is the mean over the directions '
        f"that come to this with all methods: {', '.join(record['kept_over']) or 'none'}. Labels are read by a ridge "
        "regression whose correlation with them, on renders it was not fitted on, is "
        f"{', '.join(f'{name} {value:.2f}' for name, value in record['judge_correlation'].items())}.",
        "![Distortion and editability](../docs/pictures/inversion.webp)" if record["kept_over"] else "",
        "*Squared error on the same few against distance after edits; both are better when small.*"
        if record["kept_over"]
        else "",
        "## Published orderings",
        "\n".join(f"- {line}" for line in record["orderings"]),
    ]
    if photographs:
        names = photographs["names"]
        rows = {name: row for name, row in photographs.items() if name != "names"}
        parts += [
            "## Photographs",
            f"{', '.join(names)}, aligned; the right one is looked for among them and held-back renders.",
            "\n".join(table(columns, rows)),
        ]
    if record["left_out"]:
        parts += ["## Left out", "\n".join(f"- {line}" for line in record["left_out"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(columns: Sequence[Column], rows: Mapping[str, Row]) -> list[str]:
    """Lines of a Markdown table, one row a method."""
    head = ["Method", *(title for title, _ in columns)]
    lines = [head, ["---"] * len(head), *([name, *(show(row) for _, show in columns)] for name, row in rows.items())]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _edit(edit: Row) -> str:
    if edit["strength"] is None:
        return f"effect {max(edit['effects']):.2f} only"
    return f"{edit['distance']:.3f} at {edit['strength']:.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
