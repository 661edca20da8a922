"""``p2s2p train generator``, ``encoder`` and ``recogniser``: the project's own trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.cli.spec import CommandSpec, Given
from pixel2style2pixel_cli.events import SCHEMA
from pixel2style2pixel_cli.options.declare import Declaration, declarations_of
from pixel2style2pixel_cli.options.training import (
    EncoderTrainingOptions,
    GeneratorTrainingOptions,
    RecogniserTrainingOptions,
    TrainingOptions,
)
from pixel2style2pixel_cli.output import Output
from pixel2style2pixel_cli.tasks.table import TRAINED
from pixel2style2pixel_cli.training.share import is_main_process


def generator(given: Given) -> int:
    """Train a generator."""
    from pixel2style2pixel_cli import api

    return _train(given, GeneratorTrainingOptions, api.train_generator)


def encoder(given: Given) -> int:
    """Train an encoder."""
    from pixel2style2pixel_cli import api

    return _train(given, EncoderTrainingOptions, api.train_encoder)


def recogniser(given: Given) -> int:
    """Train a face recogniser."""
    from pixel2style2pixel_cli import api

    return _train(given, RecogniserTrainingOptions, api.train_recogniser)


def _train(given: Given, kind: type[TrainingOptions], train: Callable[..., Mapping[str, Any]]) -> int:
    values = {declared.name: given.values[declared.name] for declared in declarations_of(kind)}
    data, out, start = values.pop("data"), values.pop("out"), values.pop("start")
    given.output.report = replace(given.output.report, target=out)
    result = train(
        data, Path(out), start=None if start is None else Path(start), **values, on_event=given.output.on_event
    )  # fmt: skip
    if not is_main_process():
        given.output.close()
        return 0
    code = 3 if given.values["check"] and (result.get("left_out") or result.get("unpaired")) else 0
    _report(given.output, result, code)
    return code


def _report(output: Output, result: Mapping[str, Any], code: int) -> None:
    """The result of a training or of its check, which finds pictures that cannot be used."""
    output.close()
    if output.report.mode == "json":
        output.json_line({"event": "train", "schema": SCHEMA, **result, "exit": code})
    elif output.report.mode == "human":
        output.record(result)


def _of_the_table(declared: Declaration) -> Declaration:
    """The declaration of ``--task`` with the tasks there are, which the room of options does not know."""
    if declared.name != "task":
        return declared
    kind = replace(declared.kind, base="choice", choices=TRAINED)
    return replace(declared, kind=kind, help=f"What it is trained for: {', '.join(TRAINED)}.")


COMMANDS = (
    CommandSpec(
        name="train.generator",
        help="Train a StyleGAN2 generator on a folder of aligned pictures.",
        act=generator,
        takes=declarations_of(GeneratorTrainingOptions),
    ),
    CommandSpec(
        name="train.encoder",
        help="Train an encoder into the W+ space of a generator.",
        act=encoder,
        takes=tuple(_of_the_table(declared) for declared in declarations_of(EncoderTrainingOptions)),
    ),
    CommandSpec(
        name="train.recogniser",
        help="Train a face recogniser on pictures of many persons: a folder with one sub-folder a person.",
        act=recogniser,
        takes=declarations_of(RecogniserTrainingOptions),
    ),
)
