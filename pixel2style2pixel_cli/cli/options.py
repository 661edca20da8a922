"""Every option, defined once; a command takes the types it needs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from pixel2style2pixel_cli.cli.defaults import apply_config
from pixel2style2pixel_cli.options.task import Align, Existing, Grid, ImageFormat, Noise, OnNoFace
from pixel2style2pixel_cli.output import Colour

OUTPUT = "Output"
FACES = "Faces"
MODEL = "Model and device"
STYLES = "Styles mixed in"
TASK = "This task"
RUN = "Run"
DATA = "Data and run folder"
MESSAGES = "Messages and configuration"

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
FACE_CHOICES = ("best", "largest", "all", "left-to-right")


def flag(*names: str, panel: str, help: str) -> Any:
    """An option that is there or not; the empty metavar keeps a type name out of the help."""
    return typer.Option(*names, metavar="", help=help, rich_help_panel=panel)


def value(*names: str, metavar: str, panel: str, help: str, **more: Any) -> Any:
    """An option with a value; a short metavar leaves the room in the help to the text, which names the choices."""
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, **more)


def check_batch_size(value: str) -> str:
    """``auto`` or a whole number above zero."""
    if value != "auto" and not (value.isdecimal() and int(value) > 0):
        raise typer.BadParameter(f"{value!r} is neither auto nor a whole number above 0")
    return value


def check_face(value: str) -> str:
    """One of the named choices or an index from 0."""
    if value not in FACE_CHOICES and not value.isdecimal():
        raise typer.BadParameter(f"{value!r} is neither {', '.join(FACE_CHOICES)} nor an index from 0")
    return value


INPUTS_HELP = ": files, folders, quoted globs, - for standard input, @list.txt for a list of paths."

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Photographs" + INPUTS_HELP,
    ),
]

# Output

OUT_HELP = "A folder; for one input also a file, or - for PNG bytes on standard output."
EXISTING_HELP = "Where an output exists: error, skip, overwrite or rename."
NAME_HELP = "Names of the outputs: {stem} {command} {model} {seed} {mix_seed} {index} {face}."

OutOption = Annotated[
    str | None, value("-o", "--out", metavar="OUT", panel=OUTPUT, help=OUT_HELP, show_default="p2s2p-out/COMMAND")
]
RecursiveOption = Annotated[bool, flag("-r", "--recursive", panel=OUTPUT, help="Folders with all their levels.")]
ExistingOption = Annotated[Existing, value("--existing", metavar="POLICY", panel=OUTPUT, help=EXISTING_HELP)]
SkipExistingOption = Annotated[bool, flag("--skip-existing", panel=OUTPUT, help="Short for --existing skip: resume.")]
OverwriteOption = Annotated[bool, flag("--overwrite", panel=OUTPUT, help="Short for --existing overwrite.")]
NameOption = Annotated[str, value("--name", metavar="TEMPLATE", panel=OUTPUT, help=NAME_HELP)]
FormatOption = Annotated[
    ImageFormat, value("--format", metavar="TYPE", panel=OUTPUT, help="png, jpg or webp, for outputs in a folder.")
]
SaveLatentsOption = Annotated[
    bool, flag("--save-latents", panel=OUTPUT, help="Write the code of each face beside it, as .safetensors.")
]
GridOption = Annotated[
    Grid,
    value(
        "--grid",
        metavar="KIND",
        panel=OUTPUT,
        help="none, pair (input beside output), row (all styles of an input) or sheet (all in one).",
    ),
]
PreviewInputOption = Annotated[
    bool, flag("--preview-input", panel=OUTPUT, help="Also save what the encoder is fed, as {stem}_input.")
]
KeepExifOption = Annotated[
    bool, flag("--keep-exif/--no-keep-exif", panel=OUTPUT, help="Copy the photograph's EXIF data, place included.")
]
MetadataOption = Annotated[
    bool,
    flag("--metadata/--no-metadata", panel=OUTPUT, help="Store the recipe; the mark as synthetic is always stored."),
]

# Faces

ALIGN_HELP = "auto (leaves an aligned picture alone), always or never."
FACE_HELP = "best (by score and size), largest, all, left-to-right, or an index."
ON_NO_FACE_HELP = "skip, fail, or crop (takes the centred square)."
THRESHOLD_HELP = "Least score; a lower one finds more faces, and more that are none."

AlignOption = Annotated[Align, value("--align", metavar="WHEN", panel=FACES, help=ALIGN_HELP)]
FaceOption = Annotated[str, value("--face", metavar="WHICH", panel=FACES, help=FACE_HELP, callback=check_face)]
ListFacesOption = Annotated[bool, flag("--list-faces", panel=FACES, help="Print the faces found, then stop.")]
OnNoFaceOption = Annotated[OnNoFace, value("--on-no-face", metavar="WHAT", panel=FACES, help=ON_NO_FACE_HELP)]
DetectorOption = Annotated[str, value("--detector", metavar="NAME", panel=FACES, help="Face detector.")]
DetectorThresholdOption = Annotated[float, value("--detector-threshold", metavar="X", panel=FACES, help=THRESHOLD_HELP)]
PasteOption = Annotated[bool, flag("--paste", panel=FACES, help="Put the result back into the photograph.")]
DebugAlignOption = Annotated[bool, flag("--debug-align", panel=FACES, help="Also save the crop and the landmarks.")]

# Model and device

MODEL_HELP = "auto (the best installed), a name from models list, or a model.toml."

ModelOption = Annotated[str, value("--model", metavar="NAME", panel=MODEL, help=MODEL_HELP)]
DeviceOption = Annotated[str, value("--device", metavar="DEVICE", panel=MODEL, help="auto, cpu, cuda, cuda:N or mps.")]
DtypeOption = Annotated[
    Dtype, value("--dtype", metavar="TYPE", panel=MODEL, help="auto, float32, bfloat16 or float16.")
]
SeedOption = Annotated[int, value("--seed", metavar="N", min=0, panel=MODEL, help="Seed of everything random.")]
NoiseOption = Annotated[
    Noise, value("--noise", metavar="KIND", panel=MODEL, help="fixed (stored maps), random (from the seed) or off.")
]

# Styles mixed in

MIX_SEED_HELP = "A random style for each seed: 3, or 10-13,20; repeatable. One output for each."
MIX_LAYERS_HELP = "Rows taken from the style: 8-11, 8-, 0,3,7-9, coarse, middle or fine."
MIX_ALPHA_HELP = "How far those rows go to the style; 1 replaces them."
MIX_TRUNCATION_HELP = "Pull random styles towards the average; 1 does not."

MixSeedOption = Annotated[list[str] | None, value("--mix-seed", metavar="SEEDS", panel=STYLES, help=MIX_SEED_HELP)]
MixLayersOption = Annotated[
    str | None, value("--mix-layers", metavar="ROWS", panel=STYLES, help=MIX_LAYERS_HELP, show_default="the model's")
]
MixAlphaOption = Annotated[
    float, value("--mix-alpha", metavar="A", min=0.0, max=1.0, panel=STYLES, help=MIX_ALPHA_HELP)
]
MixTruncationOption = Annotated[
    float, value("--mix-truncation", metavar="P", min=0.0, max=1.0, panel=STYLES, help=MIX_TRUNCATION_HELP)
]

# Run

BATCH_HELP = "auto, or how many faces at a time; results do not depend on it."
SHARD_HELP = "Part I of N of the inputs; tasks of a SLURM job take theirs."
IGNORE_HELP = "Exit 0 even where inputs failed or had no face."

BatchSizeOption = Annotated[
    str, value("--batch-size", metavar="N", panel=RUN, help=BATCH_HELP, callback=check_batch_size)
]
DryRunOption = Annotated[bool, flag("-n", "--dry-run", panel=RUN, help="Print what would be written, then stop.")]
ShardOption = Annotated[str | None, value("--shard", metavar="I/N", panel=RUN, help=SHARD_HELP)]
FailFastOption = Annotated[bool, flag("--fail-fast", panel=RUN, help="Stop at the first input that fails.")]
IgnoreFailuresOption = Annotated[bool, flag("--ignore-failures", panel=RUN, help=IGNORE_HELP)]
MaxPixelsOption = Annotated[
    int, value("--max-pixels", metavar="N", min=1, panel=RUN, help="Refuse larger photographs.")
]
OfflineOption = Annotated[bool, flag("--offline", panel=RUN, help="Never open a connection.")]

AcceptLicenceOption = Annotated[
    bool,
    flag("--accept-licence", "--accept-license", panel=RUN, help="Accept the terms shown before weights are fetched."),
]

# Training

RUN_HELP = "Run folder: checkpoints, logs, sample sheets."
START_HELP = "Begin with the networks of another run."
STEPS_HELP = "Steps in all, in place of the preset's."

DataOption = Annotated[list[str], value("--data", metavar="DIR", panel=DATA, help="Folder of pictures; repeatable.")]
RunFolderOption = Annotated[str, value("-o", "--out", metavar="RUNDIR", panel=DATA, help=RUN_HELP)]
PresetOption = Annotated[str | None, value("--preset", metavar="NAME", panel=DATA, help="Named set of values.")]
StartOption = Annotated[str | None, value("--start", metavar="RUNDIR", panel=DATA, help=START_HELP)]
SetOption = Annotated[
    list[str] | None,
    value("--set", metavar="KEY=VALUE", panel=DATA, help="Change one value of the preset; repeatable."),
]
StepsOption = Annotated[int | None, value("--steps", metavar="N", min=1, panel=DATA, help=STEPS_HELP)]
ResumeOption = Annotated[
    bool, flag("--resume/--no-resume", panel=DATA, help="Go on where a matching run folder stopped.")
]
CheckOption = Annotated[bool, flag("--check", panel=DATA, help="Check the data, estimate memory and time, then stop.")]

# Messages and configuration

JSON_HELP = "JSON Lines on standard output, all else on standard error."
VERBOSE_HELP = "One line per file; -vv adds timings."
COLOR_HELP = "auto (terminal, NO_COLOR, FORCE_COLOR), always or never."
CONFIG_HELP = "TOML file of defaults, in place of ./p2s2p.toml and the user file."

JsonOption = Annotated[bool, flag("--json", panel=MESSAGES, help=JSON_HELP)]
QuietOption = Annotated[bool, flag("-q", "--quiet", panel=MESSAGES, help="Errors only.")]
VerboseOption = Annotated[
    int, value("-v", "--verbose", metavar="", count=True, show_default=False, panel=MESSAGES, help=VERBOSE_HELP)
]
ColorOption = Annotated[Colour, value("--color", metavar="WHEN", panel=MESSAGES, help=COLOR_HELP)]
ConfigOption = Annotated[
    str | None,
    value("--config", metavar="FILE", is_eager=True, callback=apply_config, panel=MESSAGES, help=CONFIG_HELP),
]


# What a task may be told, in the order of its help: the fields of its options, and what is only for typing.
TASK_OPTIONS: dict[str, Any] = {
    "out": OutOption,
    "recursive": RecursiveOption,
    "existing": ExistingOption,
    "skip_existing": SkipExistingOption,
    "overwrite": OverwriteOption,
    "name": NameOption,
    "format": FormatOption,
    "save_latents": SaveLatentsOption,
    "grid": GridOption,
    "preview_input": PreviewInputOption,
    "keep_exif": KeepExifOption,
    "metadata": MetadataOption,
    "align": AlignOption,
    "face": FaceOption,
    "list_faces": ListFacesOption,
    "on_no_face": OnNoFaceOption,
    "detector": DetectorOption,
    "detector_threshold": DetectorThresholdOption,
    "paste": PasteOption,
    "debug_align": DebugAlignOption,
    "model": ModelOption,
    "device": DeviceOption,
    "dtype": DtypeOption,
    "seed": SeedOption,
    "noise": NoiseOption,
    "mix_seed": MixSeedOption,
    "mix_layers": MixLayersOption,
    "mix_alpha": MixAlphaOption,
    "mix_truncation": MixTruncationOption,
    "batch_size": BatchSizeOption,
    "dry_run": DryRunOption,
    "shard": ShardOption,
    "fail_fast": FailFastOption,
    "ignore_failures": IgnoreFailuresOption,
    "max_pixels": MaxPixelsOption,
    "offline": OfflineOption,
    "json": JsonOption,
    "quiet": QuietOption,
    "verbose": VerboseOption,
    "color": ColorOption,
    "config": ConfigOption,
}
# Of these, what no field of a task's options stands for, with its default.
ONLY_TYPED: dict[str, Any] = {
    "skip_existing": False,
    "overwrite": False,
    "list_faces": False,
    "ignore_failures": False,
    "json": False,
    "quiet": False,
    "verbose": 0,
    "color": "auto",
    "config": None,
}
