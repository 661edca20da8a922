"""The options of the trainings, and of packing their data."""

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
        help="Begin with the networks of another run, or of a model by its name.",
    )
    preset: str | None = declare(
        None,
        "--preset",
        metavar="NAME",
        section=DATA,
        help="Preset to begin with; the default is stylegan2-128, for an encoder psp-TASK, or METHOD-ffhq, for a "
        "recogniser lite-faces.",
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
    compile: bool = declare(
        False, "--compile", section=DATA,
        help="Compile the networks: worth it for long runs; needs a C++ compiler on a CPU. Not for generators.",
    )  # fmt: skip
    device: str = declare_device()
    seed: int = declare_seed()
    on_event: OnEvent = ignore_event


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class GeneratorTrainingOptions(TrainingOptions):
    """What the training of a generator is told."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class RecogniserTrainingOptions(TrainingOptions):
    """What the training of a face recogniser is told."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PackOptions:
    """What packing is told: folders of pictures, folders of what belongs to them, and how they are packed."""

    data: Sequence[str | Path] = declare(REQUIRED, metavar="DATA", help="Folders of pictures.")
    out: str | Path = declare(
        REQUIRED, "-o", "--out", metavar="FOLDER", section=DATA, path=True,
        help="Folder of the shards; those that are there already are not made again.",
    )  # fmt: skip
    label_maps: Sequence[str | Path] | None = declare(
        None, "--label-maps", metavar="DIR", section=DATA, path=True,
        help="Folder of label maps, with the paths of the pictures; as all of these, one for each DATA.",
    )  # fmt: skip
    labels: str | None = declare(
        None, "--labels", metavar="SCHEMA", section=DATA, default_means="celebamask-19",
        help="What the numbers in the label maps mean: celebamask-19 or bisenet-19.",
    )  # fmt: skip
    sketches: Sequence[str | Path] | None = declare(
        None, "--sketches", metavar="DIR", section=DATA, path=True, help="Folder of drawings of the pictures."
    )
    frontal: Sequence[str | Path] | None = declare(
        None, "--frontal", metavar="DIR", section=DATA, path=True, help="Folder of the same faces from the front."
    )
    masks: Sequence[str | Path] | None = declare(
        None, "--masks", metavar="DIR", section=DATA, path=True, help="Folder of masks, white where to fill in."
    )
    small: Sequence[str | Path] | None = declare(
        None, "--small", metavar="DIR", section=DATA, path=True, help="Folder of the same faces, small or blurred."
    )
    size: int | None = declare(
        None, "--size", metavar="N", section=DATA, minimum=8, maximum=4096, default_means="as they are",
        help="Side that pictures are brought to, in pixels.",
    )  # fmt: skip
    crop: bool = declare(
        False,
        "--crop",
        section=DATA,
        help="Cut pictures that are not square to the square in their middle.",
    )
    shard: int = declare(
        1000, "--shard", metavar="N", section=DATA, minimum=1, maximum=100_000, help="Pictures in a shard."
    )
    overwrite: bool = declare(
        False, "--overwrite", section=DATA, help="Replace shards in the folder that were packed from other data."
    )
    on_event: OnEvent = ignore_event


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
    partners: Sequence[str | Path] | None = declare(
        None, "--partners", metavar="DIR", section=DATA,
        help="Folder of what the pictures are paired with, by the path below it without the suffix: label maps "
        "(seg2face), drawings (sketch2face), frontal pictures (frontalize), masks (inpaint) or small pictures "
        "(superres); one for each --data.",
    )  # fmt: skip
    labels: str | None = declare(
        None, "--labels", metavar="SCHEMA", section=DATA, default_means="celebamask-19",
        help="What the numbers in label maps of --partners mean: celebamask-19 or bisenet-19.",
    )  # fmt: skip
    teacher: str | None = declare(
        None, "--teacher", metavar="MODEL", section=DATA, path=True,
        help="Inversion model whose codes of the targets are learned; used by losses.code.",
    )  # fmt: skip
    recogniser: str | None = declare(
        None, "--recogniser", metavar="MODEL", section=DATA, path=True, default_means="the published ArcFace",
        help="Face recogniser that losses.id looks through: the folder of p2s2p train recogniser, or its file.",
    )  # fmt: skip
