"""``p2s2p models``: which models there are, what is known of them, and getting, checking and removing their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.cli.question import terminal_question
from pixel2style2pixel_cli.cli.spec import PLAIN_MESSAGES, QUIET_MESSAGES, CommandSpec, Given
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.models import (
    BlendOptions,
    ExportOptions,
    ImportOptions,
    OneModel,
    PullOptions,
    SomeModels,
    VerifyOptions,
)
from pixel2style2pixel_cli.wording import file_size

COLUMNS = ("name", "tasks", "state", "size", "licence", "commercial use", "title")


def list_models(given: Given) -> int:
    """Print one row for each model."""
    from pixel2style2pixel_cli import api

    rows = [dict(row) for row in api.list_models()]
    if given.output.report.mode == "json":
        for row in rows:
            _json(given, "model", row)
    else:
        given.output.table(COLUMNS, [_cells(row) for row in rows])
    return 0


def show(given: Given) -> int:
    """Print the card of a model."""
    from pixel2style2pixel_cli import api

    card = dict(api.show_model(given.options(OneModel).name))
    if given.output.report.mode == "json":
        _json(given, "model", card)
    else:
        given.output.record(card)
    return 0


def verify(given: Given) -> int:
    """Print whether the files of models are right; exit 4 when one is not."""
    from pixel2style2pixel_cli import api

    results = list(api.verify_models(given.options(VerifyOptions).names or []))
    quiet = given.output.report.mode == "quiet"
    if given.output.report.mode == "json":
        for name, ok, message in results:
            _json(given, "verify", {"name": name, "ok": ok, "message": message})
    elif shown := [r for r in results if not quiet or not r[1]]:
        given.output.table(("name", "state", "message"), [(n, "ok" if ok else "failed", m) for n, ok, m in shown])
    return 0 if all(ok for _, ok, _ in results) else 4


def pull(given: Given) -> int:
    """Fetch and install models."""
    from pixel2style2pixel_cli import api

    options = given.options(PullOptions)
    rows = api.pull_models(
        options.names,
        accept_licence=options.accept_licence,
        offline=options.offline,
        ask=terminal_question(given.output),
        on_event=given.output.on_event,
    )
    for row in rows:
        _record(given, "pull", row)
    return 0


def remove(given: Given) -> int:
    """Remove models."""
    from pixel2style2pixel_cli import api

    for row in api.remove_models(given.options(SomeModels).names):
        if given.output.report.mode == "json":
            _json(given, "remove", row)
        elif given.output.report.mode == "human":
            given.output.text(f"removed {row['name']}: {file_size(row['freed'])} freed")
    return 0


def import_model(given: Given) -> int:
    """Install a model out of a weight file."""
    from pixel2style2pixel_cli import api

    options = given.options(ImportOptions)
    _record(given, "import", api.import_model(options.name, Path(options.file), on_event=given.output.on_event))
    return 0


def blend(given: Given) -> int:
    """Install a generator made of two."""
    from pixel2style2pixel_cli import api

    told = given.options(BlendOptions)
    _record(given, "blend", api.blend_models(told.structure, told.look, told.name, at=told.at, width=told.width))
    return 0


def export(given: Given) -> int:
    """Write a model as a file for other programs."""
    from pixel2style2pixel_cli import api

    told = given.options(ExportOptions)
    row = api.export_model(
        told.name, told.out, format=told.format, part=told.part, overwrite=told.overwrite,
        on_event=given.output.on_event,
    )  # fmt: skip
    _record(given, "export", row)
    return 0


def _record(given: Given, event: str, fields: Mapping[str, Any]) -> None:
    """The result of a command, for people or as JSON."""
    given.output.close()
    if given.output.report.mode == "json":
        _json(given, event, fields)
    elif given.output.report.mode == "human":
        given.output.record(fields)


def _json(given: Given, event: str, fields: Mapping[str, Any]) -> None:
    given.output.json_line({"event": event, "schema": SCHEMA, **fields})


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    state = "bundled" if row["bundled"] else "installed" if row["installed"] else "not installed"
    if error := row.get("error"):  # the card is at fault: it is named here, and takes no part in anything else
        return (row["name"], "", "broken", "", row["licence"], "", error)
    size = "" if row["size"] is None else file_size(row["size"])
    commercial = "yes" if row["commercial_ok"] else "no"
    return (row["name"], " ".join(row["tasks"]), state, size, row["licence"], commercial, row["title"])


def _spec(
    name: str, act: Callable[[Given], int], options: type | None, messages: tuple[str, ...], help: str, *examples: str
) -> CommandSpec:
    takes = () if options is None else declarations_of(options)
    return CommandSpec(
        name=f"models.{name}", help=help, act=act, takes=takes, messages=messages, examples=examples
    )  # fmt: skip


COMMANDS = (
    _spec(
        "list", list_models, None, PLAIN_MESSAGES,
        "List the models: bundled, installed, and those whose weights can be added.",
    ),
    _spec(
        "show", show, OneModel, PLAIN_MESSAGES,
        "Show the card of one model: sizes, files and hashes, licence, measurements.",
    ),
    _spec(
        "verify", verify, VerifyOptions, QUIET_MESSAGES,
        "Compare the files of installed models with their hashes; exit 4 when one differs or a card cannot be read.",
    ),
    _spec(
        "pull", pull, PullOptions, QUIET_MESSAGES,
        "Fetch published weights, check, convert and install them; the terms of their licence come first.",
    ),
    _spec(
        "remove", remove, SomeModels, QUIET_MESSAGES, "Remove models that were pulled or imported; bundled ones stay."
    ),
    _spec(
        "import", import_model, ImportOptions, QUIET_MESSAGES,
        "Check and install a weight file: a published one, which is converted, or what our own training wrote.",
        "p2s2p models import psp-ffhq-encode psp_ffhq_encode.pt",
        "p2s2p models import my-encoder runs/encoder",
    ),
    _spec(
        "export", export, ExportOptions, QUIET_MESSAGES,
        "Write a model for other programs, and compare it with what it was made of: ONNX, OpenVINO, safetensors, .pt.",
        "p2s2p models export mini-invert -o mini-invert.onnx",
        "p2s2p models export mini-generator -o generator.pt",
    ),
    _spec(
        "blend", blend, BlendOptions, QUIET_MESSAGES,
        "Make a generator of two: coarse layers of one, fine layers of the other (Pinkney and Adler 2020).",
        "p2s2p models blend mini-generator runs/toon my-toon --at 32",
    ),
)  # fmt: skip
