"""The options of the two trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.options.declare import DATA, REQUIRED, declare
from pixel2style2pixel_cli.options.shared import declare_device, declare_seed


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TrainingOptions:
    """What every training is told."""

    data: Sequence[str | Path] = declare(
        REQUIRED, "--data", metavar="DIR", section=DATA, help="Folder of training pictures; repeatable."
    )
    out: str | Path = declare(
        REQUIRED, "-o", "--out", metavar="RUNDIR", section=DATA, help="Run folder: checkpoints, logs, sample sheets."
    )
    start: str | Path | None = declare(
        None,
        "--start",
        metavar="RUNDIR",
        section=DATA,
        help="Begin with the networks of another run; an encoder also with that of a model.",
    )
    preset: str | None = declare(
        None,
        "--preset",
        metavar="NAME",
        section=DATA,
        help="Preset to begin with; the default is stylegan2-128, for an encoder psp-TASK, or METHOD-ffhq.",
    )
    overrides: Mapping[str, str] | None = declare(
        None,
        "--set",
        metavar="KEY=VALUE",
        section=DATA,
        help="Change one value of the preset, such as run.batch=16; repeatable.",
    )
    steps: int | None = declare(
        None, "--steps", metavar="N", section=DATA, minimum=1, help="Number of steps, instead of the preset's."
    )
    minutes: float | None = declare(
        None, "--minutes", metavar="N", section=DATA, minimum=0,
        help="Stop after this many minutes with everything saved; the same command continues.",
    )  # fmt: skip
    resume: bool = declare(
        True, "--resume/--no-resume", section=DATA, help="Continue where a matching run folder stopped."
    )
    check: bool = declare(False, "--check", section=DATA, help="Check the data, estimate memory and time, then stop.")
    device: str = declare_device()
    seed: int = declare_seed()
    on_event: OnEvent = ignore_event


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class GeneratorTrainingOptions(TrainingOptions):
    """What the training of a generator is told."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class EncoderTrainingOptions(TrainingOptions):
    """What the training of an encoder is told."""

    generator: str = declare(
        REQUIRED, "--generator", metavar="MODEL", section=DATA, path=True,
        help="Generator to train for: a name from p2s2p models list, or a file.",
    )  # fmt: skip
    task: str = declare("invert", "--task", metavar="TASK", section=DATA, help="What it is trained for.")
    method: Literal["psp", "e4e", "cycle", "restyle"] | None = declare(
        None, "--method", metavar="METHOD", section=DATA, default_means="the preset's",
        help="How codes are found: psp; near W by e4e or cycle (Cycle Encoding); in passes by restyle.",
    )  # fmt: skip
    teacher: str | None = declare(
        None, "--teacher", metavar="MODEL", section=DATA, path=True,
        help="Inversion model whose codes of the targets are learned; used by losses.code.",
    )  # fmt: skip
