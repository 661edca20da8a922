"""The configuration of a preset, brought to the task, the generator and the data of a run.

What does not fit is refused. What ``--set`` names stays as it was set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19, find_schema
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.config import EncoderTraining, GeneratorTraining, load_training, preset_names
from pixel2style2pixel_cli.training.data import PictureSource, require_enough
from pixel2style2pixel_cli.training.encoder import check_size
from pixel2style2pixel_cli.training.gather import PartnerFolders
from pixel2style2pixel_cli.training.joint_config import JointTraining
from pixel2style2pixel_cli.training.offsets import Method
from pixel2style2pixel_cli.training.partners import GIVEN, partner_of

C = TypeVar("C", EncoderTraining, GeneratorTraining, JointTraining)

HELD_OUT_SHARE = 10  # one of so many is held out where the preset's number would take most of the data


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What an encoder's run was asked for: its task with the kind of input, its preset, what lies beside the pictures.

    ``method`` None is that of the preset. ``labels`` is the schema of label maps, None where it was not named.
    """

    task: str
    kind: InputKind
    preset: str
    overrides: Mapping[str, str]
    method: Method | None = None
    partners: Sequence[Path] = ()
    labels: str | None = None


def fit_to_task(asked: Asked, on_event: OnEvent) -> EncoderTraining:
    """The configuration of the preset, which must be one for the task; frontal pictures, where given, are targets."""
    config = load_training(EncoderTraining, "encoder", asked.preset, dict(asked.overrides))
    if asked.partners and config.task.target == "flips" and "task.target" not in asked.overrides:
        overrides = {**asked.overrides, "task.target": "frontal"}
        config = load_training(EncoderTraining, "encoder", asked.preset, overrides)
        on_event(Notice(message="the frontal pictures are the targets, as --partners names some"))
    able = [name for name in preset_names("encoder") if name.endswith(f"-{asked.task}")]
    hint = f"presets for {asked.task}: {', '.join(able)}; in a file of your own, set task.kind and task.target"
    if config.task.kind != asked.kind:
        raise UsageError(
            f"{asked.preset} is for inputs of kind {config.task.kind}, the task has {asked.kind}: {asked.task}", hint
        )
    _check_method(config, asked)
    turns = config.task.target != "photo"
    if asked.kind == "photo" and turns != (asked.task == "frontalize"):
        does = "turns faces to the front" if turns else "draws faces as they are"
        raise UsageError(f"{asked.preset} {does}, which is not what {asked.task} does", hint)
    return config


def _check_method(config: EncoderTraining, asked: Asked) -> None:
    """Raise UsageError where the preset is for another method than was asked for."""
    if asked.method not in (None, config.task.method):
        raise UsageError(
            f"{asked.preset} is for the method {config.task.method}, --method says {asked.method}",
            f"leave out --method, or choose another --preset: {', '.join(_presets_of(asked.method))}",
        )


def _presets_of(method: Method | None) -> list[str]:
    """The presets of a method."""
    names = preset_names("encoder")
    return [name for name in names if load_training(EncoderTraining, "encoder", name, {}).task.method == method]


def partner_folders(asked: Asked, config: EncoderTraining) -> PartnerFolders | None:
    """The folders of what the pictures are paired with; UsageError for a task that pairs them with nothing."""
    kind = partner_of(config.task.kind, config.task.target)
    if asked.labels is not None and kind != "labels":
        raise UsageError(f"--labels is for label maps, and {asked.task} reads none", "leave out --labels")
    if not asked.partners:
        if asked.labels is not None:
            raise UsageError(
                "--labels names the schema of label maps, and --partners, their folder, is not given",
                "add --partners DIR; the maps in packed shards are in the order of celebamask-19",
            )
        return None
    if kind is None:
        raise UsageError(
            f"{asked.task} trains on pictures alone, and --partners names what they would be paired with",
            "leave out --partners",
        )
    schema = CELEBAMASK_19 if asked.labels is None else find_schema(asked.labels)
    return PartnerFolders(kind=kind, folders=tuple(asked.partners), schema=schema)


def open_pictures(
    data: Sequence[str | Path], asked: Asked, config: EncoderTraining, size: int, out: Path
) -> PictureSource:
    """The pictures of an encoder's run at the size that the generator draws, with what the task needs beside them."""
    kind = GIVEN.get(config.task.kind)
    return PictureSource(
        data,
        size,
        labels="required" if config.losses.detail or config.task.kind == "labels" else "unused",
        frontal=config.task.target == "frontal",
        given=None if kind is None else (kind, config.encoder.input_size),
        partners=partner_folders(asked, config),
        out=out,
    )


def fit_to_generator(config: EncoderTraining, asked: Asked, generator: Generator, on_event: OnEvent) -> EncoderTraining:
    """The configuration with an encoder of no larger pictures than are drawn, unless its size was asked for."""
    size, drawn = config.encoder.input_size, generator.spec.resolution
    if size > drawn and "encoder.input_size" not in asked.overrides:
        config = replace(config, encoder=replace(config.encoder, input_size=drawn))
        on_event(
            Notice(message=f"the encoder takes {drawn} px as the generator draws, not the {size} px of {asked.preset}")
        )
    check_size(config, generator)
    return config


def fit_to_data(config: C, overrides: Mapping[str, str], source: PictureSource, on_event: OnEvent) -> C:
    """The configuration with no more pictures held out than the data can spare; UsageError for less than a batch."""
    run, count = config.run, len(source)
    if run.held_out > count // 2 and "run.held_out" not in overrides:
        fewer = count // HELD_OUT_SHARE
        on_event(Notice(message=f"{fewer} of {count} pictures are held out, not the {run.held_out} of the preset"))
        run = replace(run, held_out=fewer)
        config = replace(config, run=run)
    require_enough(source, run.batch, run.held_out)
    return config
