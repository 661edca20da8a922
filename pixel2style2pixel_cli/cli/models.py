"""``p2s2p models``: which models there are, what is known of them, and getting, checking and removing their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pixel2style2pixel_cli.cli import options as o
from pixel2style2pixel_cli.cli.defaults import start_output
from pixel2style2pixel_cli.cli.group import App
from pixel2style2pixel_cli.cli.question import terminal_question
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.wording import file_size

app = App()

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="A name from models list.")]
ModelNames = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Names from models list; all installed ones without any.")
]
SomeNames = Annotated[list[str], typer.Argument(metavar="NAME", help="Names from models list.")]
WeightFile = Annotated[str, typer.Argument(metavar="FILE", help="The weight file as it was published.")]
StructureName = Annotated[
    str, typer.Argument(metavar="STRUCTURE", help="Generator of shapes: a name from models list, or its file.")
]
LookName = Annotated[str, typer.Argument(metavar="LOOK", help="Generator of the manner, built like the first.")]
BlendName = Annotated[str, typer.Argument(metavar="NAME", help="What the new model is called.")]
AtOption = Annotated[
    int, o.value("--at", metavar="RES", panel=o.MODEL, help="First resolution that LOOK draws, such as 32.")
]
WidthOption = Annotated[
    float,
    o.value("--width", metavar="W", min=0, panel=o.MODEL, help="Doublings of resolution that mix both; 0 switches."),
]

COLUMNS = ("name", "tasks", "state", "size", "licence", "commercial use", "title")


@app.command("list")
def list_models(
    context: typer.Context,
    json: o.JsonOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """List the models: bundled, installed, and those whose weights can be added."""
    output = start_output(context, json=json, quiet=False, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    rows = [dict(row) for row in api.list_models()]
    if json:
        for row in rows:
            output.json_line({"event": "model", "schema": SCHEMA, **row})
    else:
        output.table(COLUMNS, [_cells(row) for row in rows])
    return 0


@app.command()
def show(
    context: typer.Context,
    name: ModelName,
    json: o.JsonOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Show the card of one model: sizes, files and hashes, licence, measurements."""
    output = start_output(context, json=json, quiet=False, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    card = dict(api.show_model(name))
    if json:
        output.json_line({"event": "model", "schema": SCHEMA, **card})
    else:
        output.record(card)
    return 0


@app.command()
def verify(
    context: typer.Context,
    names: ModelNames = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Compare the files of installed models with their hashes; exit 4 when one differs."""
    output = start_output(context, json=json, quiet=quiet, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    results = list(api.verify_models(names or []))
    if json:
        for name, ok, message in results:
            output.json_line({"event": "verify", "schema": SCHEMA, "name": name, "ok": ok, "message": message})
    elif shown := [r for r in results if not quiet or not r[1]]:
        output.table(("name", "state", "message"), [(n, "ok" if ok else "failed", m) for n, ok, m in shown])
    return 0 if all(ok for _, ok, _ in results) else 4


@app.command()
def pull(
    context: typer.Context,
    names: SomeNames,
    accept_licence: o.AcceptLicenceOption = False,
    offline: o.OfflineOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Fetch published weights, check, convert and install them; the terms of their licence come first."""
    output = start_output(context, json=json, quiet=quiet, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    ask = terminal_question(output)
    rows = api.pull_models(names, accept_licence=accept_licence, offline=offline, ask=ask, on_event=output.on_event)
    output.close()
    for row in rows:
        if json:
            output.json_line({"event": "pull", "schema": SCHEMA, **row})
        elif not quiet:
            output.record(row)
    return 0


@app.command()
def remove(
    context: typer.Context,
    names: SomeNames,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Remove models that were pulled or imported; bundled ones stay."""
    output = start_output(context, json=json, quiet=quiet, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    rows = api.remove_models(names)
    for row in rows:
        if json:
            output.json_line({"event": "remove", "schema": SCHEMA, **row})
        elif not quiet:
            output.text(f"removed {row['name']}: {file_size(row['freed'])} freed")
    return 0


@app.command("import")
def import_model(
    context: typer.Context,
    name: ModelName,
    file: WeightFile,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Check a published weight file, convert it to safetensors and install it."""
    output = start_output(context, json=json, quiet=quiet, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    result = dict(api.import_model(name, Path(file), on_event=output.on_event))
    output.close()
    if json:
        output.json_line({"event": "import", "schema": SCHEMA, **result})
    elif not quiet:
        output.record(result)
    return 0


@app.command(epilog="Examples:\n\np2s2p models blend mini-generator runs/toon my-toon --at 32")
def blend(
    context: typer.Context,
    structure: StructureName,
    look: LookName,
    name: BlendName,
    at: AtOption,
    width: WidthOption = 0.0,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    color: o.ColorOption = "auto",
    config: o.ConfigOption = None,
) -> int:
    """Make a generator of two: coarse layers of one, fine layers of the other (Pinkney and Adler 2020)."""
    output = start_output(context, json=json, quiet=quiet, verbose=0, color=color)
    from pixel2style2pixel_cli import api

    result = api.blend_models(structure, look, name, at=at, width=width)
    if json:
        output.json_line({"event": "blend", "schema": SCHEMA, **result})
    elif not quiet:
        output.record(result)
    return 0


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    state = "bundled" if row["bundled"] else "installed" if row["installed"] else "not installed"
    size = "" if row["size"] is None else file_size(row["size"])
    commercial = "yes" if row["commercial_ok"] else "no"
    return (row["name"], " ".join(row["tasks"]), state, size, row["licence"], commercial, row["title"])
