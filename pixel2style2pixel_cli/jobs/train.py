"""The trainings, and the packing of their data, as their options ask for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import ignore_event
from pixel2style2pixel_cli.options.training import (
    EncoderTrainingOptions,
    GeneratorTrainingOptions,
    PackOptions,
    RecogniserTrainingOptions,
    TrainingOptions,
)
from pixel2style2pixel_cli.tasks.table import TRAINED, options_of
from pixel2style2pixel_cli.training.share import is_main_process


def train_generator(options: GeneratorTrainingOptions) -> dict[str, Any]:
    """Train a generator."""
    from pixel2style2pixel_cli.training.start import start_generator

    return start_generator(preset=options.preset or "stylegan2-128", **_training(options))


def train_encoder(options: EncoderTrainingOptions) -> dict[str, Any]:
    """Train an encoder; UsageError for a task that is not trained."""
    from pixel2style2pixel_cli.training.fit import Asked
    from pixel2style2pixel_cli.training.start import start_encoder

    if options.task not in TRAINED:
        raise UsageError(f"no training task {options.task!r}", f"tasks: {', '.join(TRAINED)}")
    told = _training(options)
    if options.recogniser is not None:
        told["overrides"]["losses.recogniser"] = json.dumps(str(options.recogniser))  # a text, whatever it looks like
    asked = Asked(
        task=options.task,
        kind=options_of(options.task).kind,
        preset=options.preset or _encoder_preset(options),
        overrides=told.pop("overrides"),
        method=options.method,
        partners=[Path(folder) for folder in options.partners or ()],
        labels=options.labels,
    )
    return start_encoder(generator=options.generator, asked=asked, teacher=options.teacher, **told)


def train_recogniser(options: RecogniserTrainingOptions) -> dict[str, Any]:
    """Train a face recogniser."""
    from pixel2style2pixel_cli.training.start_recogniser import start_recogniser

    return start_recogniser(preset=options.preset or "lite-faces", **_training(options))


def _encoder_preset(options: EncoderTrainingOptions) -> str:
    """The published settings of a task, or of a method of inversion."""
    if options.method in (None, "psp"):
        return f"psp-{options.task}"
    if options.task != "invert":
        raise UsageError(
            f"there is no preset of {options.method} for {options.task}", "name settings of your own with --preset"
        )
    return f"{options.method}-ffhq"


def _training(options: TrainingOptions) -> dict[str, Any]:
    """What all trainings are told."""
    steps = {} if options.steps is None else {"run.steps": str(options.steps)}
    return {
        "data": options.data,
        "out": Path(options.out),
        "overrides": {**(options.overrides or {}), **steps},
        "start": None if options.start is None else Path(options.start),
        "device": options.device,
        "seed": options.seed,
        "minutes": options.minutes,
        "resume": options.resume,
        "check": options.check,
        "compiled": options.compile,
        # Of several processes that train together one speaks for all.
        "on_event": options.on_event if is_main_process() else ignore_event,
    }


def pack_data(options: PackOptions) -> dict[str, Any]:
    """Pack pictures, and what belongs to them, into shards."""
    from pixel2style2pixel_cli.training.pack import Packing, pack, partner_folders

    return pack(
        [Path(folder) for folder in options.data],
        Path(options.out),
        partners=partner_folders(
            options.labels, labels=options.label_maps, sketch=options.sketches, frontal=options.frontal,
            mask=options.masks, small=options.small,
        ),
        packing=Packing(size=options.size, crop=options.crop, shard=options.shard),
        overwrite=options.overwrite,
        on_event=options.on_event,
    )  # fmt: skip
