"""From a command to a running training of a face recogniser, and what the finished one is worth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pixel2style2pixel_cli.device import resolve_device
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteTrunk
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.training.auxiliary import find_lite_trunk
from pixel2style2pixel_cli.training.card import write_recogniser_card
from pixel2style2pixel_cli.training.config import load_training
from pixel2style2pixel_cli.training.data import require_enough
from pixel2style2pixel_cli.training.people import PeopleSource
from pixel2style2pixel_cli.training.plot import draw_curves
from pixel2style2pixel_cli.training.recogniser import RecogniserTrainer
from pixel2style2pixel_cli.training.recogniser_config import RecogniserTraining
from pixel2style2pixel_cli.training.start import Job, checkpoint_of, run_job
from pixel2style2pixel_cli.training.tables import to_json

VERIFICATION, CURVE = "verification.json", "verification.png"


def start_recogniser(
    data: Sequence[str | Path],
    out: Path,
    *,
    preset: str,
    overrides: Mapping[str, str],
    start: Path | None,
    device: str,
    seed: int,
    resume: bool,
    check: bool,
    on_event: OnEvent,
    minutes: float | None = None,
    compiled: bool = False,
) -> dict[str, Any]:
    """Train a face recogniser, or check that it can be trained; ``start`` is a run whose recogniser it begins with."""
    config = load_training(RecogniserTraining, "recogniser", preset, dict(overrides))
    if "run.held_out" in overrides:
        raise UsageError("run.held_out follows from the persons that are held out", "set people.held_out instead")
    chosen = resolve_device(device)
    source = PeopleSource(
        data, config.recogniser.picture_size, held_out=config.people.held_out,
        exactly="people.held_out" in overrides, out=out,
    )  # fmt: skip
    config = replace(
        config,
        people=replace(config.people, held_out=source.held_out_persons),
        run=replace(config.run, held_out=source.held_out_pictures),
    )
    require_enough(source, config.run.batch, config.run.held_out)
    with torch.device("meta"):  # sizes that no recogniser has are refused before anything else is missed
        FaceRecogniser(config.recogniser)
    pretrained = find_lite_trunk() if config.recogniser.kind == "lite" and start is None else None
    torch.manual_seed(seed)
    trainer = RecogniserTrainer(config, source.trained, chosen)
    if pretrained is not None:
        assert isinstance(trainer.recogniser.trunk, LiteTrunk)  # of kind lite
        trainer.recogniser.trunk.load_state_dict(pretrained.state_dict())
        trainer.copy_to_average()
    if start is not None:
        trainer.begin_with(checkpoint_of(start))
        on_event(Notice(message=f"recogniser starts from {start}"))
    job = Job(
        source=source,
        out=out,
        seed=seed,
        resume=resume,
        check=check,
        minutes=minutes,
        on_event=on_event,
        compiled=compiled,
    )
    result = run_job(trainer, config.run, to_json(config), job)
    people = {"persons": source.trained, "persons_held_out": source.held_out_persons}
    if check:
        return {**people, **result}
    if not trainer.runtime.main:
        return result
    write_recogniser_card(out, config.recogniser)
    found = trainer.verification(source.sound_batches(config.run.batch))
    record = json.dumps({"step": result["step"], **dataclasses.asdict(found)}, indent=1)
    write_atomic(out / VERIFICATION, record.encode() + b"\n")
    curve = draw_curves({"true matches": found.curve}, across="false matches", rates=True)
    write_atomic(out / CURVE, encode_image(curve, "png"))
    return {**result, **people, **found.figures}
