"""The options that the tasks share; a task declares its own in its own file.

Light to import: the command line reads the declarations before anything heavy is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.options.declare import FACES, MODEL, OUTPUT, RUN, STYLES, declare
from pixel2style2pixel_cli.options.shared import MAX_PIXELS as MAX_PIXELS
from pixel2style2pixel_cli.options.shared import (
    Backend,
    Dtype,
    declare_backend,
    declare_device,
    declare_dry_run,
    declare_existing,
    declare_format,
    declare_keep_exif,
    declare_recursive,
    declare_seed,
    declare_threads,
)
from pixel2style2pixel_cli.options.shared import Existing as Existing
from pixel2style2pixel_cli.options.shared import ImageFormat as ImageFormat
from pixel2style2pixel_cli.seeds import parse_seeds
from pixel2style2pixel_cli.variants import Variant, style_variants

if TYPE_CHECKING:
    from pixel2style2pixel_cli.zoo.cards import Card
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

Align = Literal["auto", "always", "never"]
OnNoFace = Literal["skip", "fail", "crop"]
Grid = Literal["none", "pair", "row", "sheet"]
Noise = Literal["fixed", "random", "off"]

SEVERAL = ("all", "left-to-right")  # choices of --face that may give several faces

INPUTS_HELP = ": files, folders, quoted patterns, - for standard input, @list.txt for a list of paths."


def read_stdin() -> bytes:
    """Everything on standard input; InputError where it is closed, cannot be read or does not end."""
    from pixel2style2pixel_cli.files.source import most_bytes, read_stream

    try:
        if sys.stdin is None:
            raise OSError("it is closed")
        return read_stream(sys.stdin.buffer, "standard input", most=most_bytes(MAX_PIXELS))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"standard input cannot be read: {reason.lower()}", "send a file into it: p2s2p COMMAND - < photo.jpg"
        ) from error


def write_stdout(data: bytes) -> object:
    """A picture to standard output."""
    return sys.stdout.buffer.write(data)


# Nobody compares or prints options, and every start of the command line pays for what is generated.
@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TaskOptions:
    """What every task is told.

    ``command`` names the task, ``inputs`` and ``inputs_help`` say what it takes, ``examples`` are command lines for its
    help. ``takes_inputs``: it needs some; ``kind`` is what its encoder reads, ``takes_latents`` whether codes may stand
    for pictures. ``works_with`` is the task that models must do for this one where no card names it, ``together``
    whether all inputs make one output.
    ``stdin``, ``stdout`` and ``on_event`` connect a run to its caller; the other fields are the options of the command.
    """

    command: ClassVar[str]
    examples: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[str] = "INPUT"
    inputs_help: ClassVar[str] = "Photographs" + INPUTS_HELP
    takes_inputs: ClassVar[bool] = True
    takes_latents: ClassVar[bool] = False
    works_with: ClassVar[str] = ""
    together: ClassVar[bool] = False
    kind: ClassVar[InputKind] = "photo"

    out: str | Path | None = declare(
        None, "-o", "--out", metavar="OUT", section=OUTPUT, default_means="p2s2p-out/COMMAND",
        help="Output folder; for one input also a file name, or - to write a PNG to standard output.",
    )  # fmt: skip
    recursive: bool = declare_recursive()
    existing: Existing = declare_existing()
    name: str = declare(
        "{stem}", "--name", metavar="TEMPLATE", section=OUTPUT,
        help="Names of the outputs, from {stem} {command} {model} {seed} {mix_seed} {index} {face}.",
    )  # fmt: skip
    format: ImageFormat = declare_format()
    save_latents: bool = declare(
        False, "--save-latents", section=OUTPUT, help="Also save the code of each face, as .safetensors."
    )
    grid: Grid = declare(
        "none", "--grid", metavar="KIND", section=OUTPUT,
        help="Comparisons to save: none, pair (input and output), row (all styles of an input) or sheet (all).",
    )  # fmt: skip
    preview_input: bool = declare(
        False, "--preview-input", section=OUTPUT, help="Also save the picture that the encoder gets, as {stem}_input."
    )
    keep_exif: bool = declare_keep_exif()
    metadata: bool = declare(
        True, "--metadata/--no-metadata", section=OUTPUT,
        help="Store how the picture was made; the mark as synthetic is always stored.",
    )  # fmt: skip
    model: str = declare(
        "auto", "--model", metavar="NAME", section=MODEL, path=True,
        help="auto (the best installed one), a name from p2s2p models list, the folder of a training run, or a file of "
        "p2s2p tune.",
    )  # fmt: skip
    device: str = declare_device()
    dtype: Dtype = declare(
        "auto", "--dtype", metavar="TYPE", section=MODEL, help="Number format: auto, float32, bfloat16 or float16."
    )
    backend: Backend = declare_backend()
    seed: int = declare_seed()
    noise: Noise = declare(
        "fixed",
        "--noise",
        metavar="KIND",
        section=MODEL,
        help="Fine random detail: fixed (stored maps), random (from the seed) or off.",
    )
    mix_seed: Sequence[int | str] | None = declare(
        None, "--mix-seed", metavar="SEEDS", section=STYLES,
        help="One random style, and one output, for each seed: 3, or 10-13,20; repeatable.",
    )  # fmt: skip
    mix_layers: str | None = declare(
        None, "--mix-layers", metavar="ROWS", section=STYLES, default_means="the model's",
        help="Rows taken from the style: 8-11, 8-, 0,3,7-9, coarse, middle or fine.",
    )  # fmt: skip
    mix_alpha: float = declare(
        1.0, "--mix-alpha", metavar="A", section=STYLES, minimum=0, maximum=1,
        help="How far these rows move to the style; 1 replaces them.",
    )  # fmt: skip
    mix_truncation: float = declare(
        1.0, "--mix-truncation", metavar="P", section=STYLES, minimum=0, maximum=1,
        help="Pull random styles towards the average: 0 is the average, 1 leaves them.",
    )  # fmt: skip
    batch_size: int | Literal["auto"] = declare(
        "auto", "--batch-size", metavar="N", section=RUN, minimum=1,
        help="How many faces at a time, or auto; results do not depend on it.",
    )  # fmt: skip
    threads: int | None = declare_threads()
    dry_run: bool = declare_dry_run()
    shard: str | None = declare(
        None, "--shard", metavar="I/N", section=RUN,
        help="Process part I of N of the inputs, from 0/N; in a SLURM or SkyPilot job each process takes its own part.",
    )  # fmt: skip
    fail_fast: bool = declare(False, "--fail-fast", section=RUN, help="Stop at the first input that fails.")
    max_pixels: int = declare(
        MAX_PIXELS, "--max-pixels", metavar="N", section=RUN, minimum=1, help="Refuse pictures with more pixels."
    )
    stdin: Callable[[], bytes] = read_stdin
    stdout: Callable[[bytes], object] = write_stdout
    on_event: OnEvent = ignore_event

    @property
    def many_faces(self) -> bool:
        """Whether one input may give several outputs, numbered by face."""
        return False

    @property
    def samples(self) -> tuple[int, ...]:
        """The seeds of ``mix_seed``, without repetitions; empty where no style is mixed in."""
        return parse_seeds(self.mix_seed or ())

    @property
    def chance(self) -> int:
        """The seed of everything random but the style samples."""
        return self.seed

    @property
    def made_up(self) -> tuple[str, ...]:
        """Names of the inputs of a task that takes none: what it makes pictures of."""
        return ()

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The pictures made of each input; by default one for each random style."""
        return style_variants(self.samples)

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of a code that options name, as they were written."""
        return () if self.mix_layers is None else (self.mix_layers,)

    @property
    def compares(self) -> bool:
        """Whether pictures are shown beside what they were made of."""
        return self.grid != "none"

    @property
    def needs_target(self) -> bool:
        """Whether a crop is also wanted at the generator's size."""
        return self.compares

    @property
    def needs_photo(self) -> bool:
        """Whether the whole photograph is wanted once its crops are cut out."""
        return False

    @property
    def pastes(self) -> bool:
        """Whether results go back into their photographs."""
        return False

    @property
    def shows_alignment(self) -> bool:
        """Whether crop and landmarks are written as well."""
        return False

    @property
    def without_face(self) -> OnNoFace:
        """What becomes of a photograph without a face."""
        return "skip"

    @property
    def companions(self) -> tuple[str, ...]:
        """Endings of the pictures written beside each output."""
        return ("_pair",) if self.grid == "pair" else ()

    @property
    def input_companions(self) -> tuple[str, ...]:
        """Endings of the pictures written once for each input, however many styles are mixed into it."""
        row = ("_row",) if self.grid == "row" else ()
        preview = ("_input",) if self.preview_input else ()
        return (*row, *preview, "_crop", "_landmarks") if self.shows_alignment else (*row, *preview)

    @property
    def animates(self) -> bool:
        """Whether the pictures of an input may be the frames of an animation."""
        return False

    @property
    def frame_rate(self) -> float:
        """Frames of an animation a second."""
        return 24.0

    @property
    def animations(self) -> tuple[str, ...]:
        """Endings, with suffix, of the animations written once for each input."""
        return ()

    def on_model(self, installed: InstalledModel) -> InstalledModel:
        """The model as these options use it; UsageError for one that they cannot be used on."""
        return installed

    def with_model_defaults(self, card: Card) -> TaskOptions:
        """The options once the model is chosen, with what its card says in the place of None."""
        return self

    @property
    def template(self) -> str:
        """The template of the outputs' names."""
        return self.name

    def name_fields(self, inputs: Sequence[str]) -> dict[str, str]:
        """Fields of that template which only this task has, with their values."""
        return {}

    def subjects(self, inputs: Sequence[str]) -> Sequence[str]:
        """The inputs that give outputs."""
        return inputs

    def also_read(self, inputs: Sequence[str]) -> Sequence[str]:
        """Files, and folders of files, that the run reads beside its subjects; no output may replace them."""
        return ()

    def check_read(self, inputs: Sequence[str]) -> None:
        """Raise InputError for such a file, which every output needs, that is of no use; before a model is loaded."""
        paths = self.also_read(inputs)
        if not paths:  # most tasks; what follows imports what decodes pictures
            return
        from pixel2style2pixel_cli.files.image import check_picture
        from pixel2style2pixel_cli.files.paths import display
        from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX

        for path in paths:
            if not os.path.exists(path):  # noqa: PTH110 - raises nothing, whatever the name
                raise InputError(f"{display(path)} does not exist, and every output needs it", "check the spelling")
            if not path.lower().endswith(LATENT_SUFFIX):
                check_picture(Path(path), name=display(path))

    def check_input(self, relative: str, label: str) -> None:
        """Raise InputError where the input of this path lacks what belongs to it; before a model is loaded."""

    def recipe_of_input(self, relative: str) -> Mapping[str, bool | int | float | str | None]:
        """What decides the pixels of the input of this path below its root and can be told without reading it."""
        return {}

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for options that do not go together; before a model is looked for."""
        unused = [
            f"--mix-{name}"
            for name, given in (
                ("layers", self.mix_layers is not None),
                ("alpha", self.mix_alpha != 1.0),
                ("truncation", self.mix_truncation != 1.0),
            )
            if given
        ]
        if unused and not self.samples:
            raise UsageError(f"{' and '.join(unused)} without a style to mix in", "add --mix-seed 0, or --mix-seed 0-7")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class FaceOptions(TaskOptions):
    """What tasks are told that look for faces in photographs."""

    align: Align = declare(
        "auto", "--align", metavar="WHEN", section=FACES,
        help="Align faces: auto (unless they are aligned already), always or never.",
    )  # fmt: skip
    face: str = declare(
        "best", "--face", metavar="WHICH", section=FACES, choices=("best", "largest", *SEVERAL),
        pattern=r"\d{1,9}", pattern_means="an index from 0",
        help="Faces to use: best (by score and size), largest, all, left-to-right, or an index from 0.",
    )  # fmt: skip
    on_no_face: OnNoFace = declare(
        "skip",
        "--on-no-face",
        metavar="WHAT",
        section=FACES,
        help="Without a face: skip, fail, or crop (use the centred square).",
    )
    detector: str = declare("dlib", "--detector", metavar="NAME", section=FACES, help="Name of the face detector.")
    detector_threshold: float = declare(
        0.0, "--detector-threshold", metavar="X", section=FACES,
        help="Minimum score of a face; a lower one finds more faces, but also more false ones.",
    )  # fmt: skip
    paste: bool = declare(False, "--paste", section=FACES, help="Put the result back into the photograph.")
    debug_align: bool = declare(False, "--debug-align", section=FACES, help="Also save the crop and the landmarks.")

    @property
    def many_faces(self) -> bool:
        """Whether one input may give several outputs, numbered by face."""
        return self.face in SEVERAL

    @property
    def needs_target(self) -> bool:
        """Whether a crop is also wanted at the generator's size."""
        return self.compares or self.debug_align

    @property
    def needs_photo(self) -> bool:
        """Whether the whole photograph is wanted once its crops are cut out."""
        return self.paste or self.debug_align

    @property
    def pastes(self) -> bool:
        """Whether results go back into their photographs."""
        return self.paste

    @property
    def shows_alignment(self) -> bool:
        """Whether crop and landmarks are written as well."""
        return self.debug_align

    @property
    def without_face(self) -> OnNoFace:
        """What becomes of a photograph without a face."""
        return self.on_no_face

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for options that do not go together; before a model is looked for."""
        TaskOptions.check(self, inputs)  # super() would look in the class that slots=True replaced
        self.check_faces()

    def check_faces(self) -> None:
        """Raise UsageError where a face is chosen and none is looked for."""
        if self.align == "never" and self.face != "best":
            raise UsageError(
                f"--face {self.face} chooses among faces, and --align never looks for none",
                "leave out one of the two; --align always looks for faces in every picture",
            )

    def looks_for_faces(self, card: Card) -> bool:
        """Whether photographs for a model are searched for faces: not where its card says that they show none."""
        return self.align == "always" or (self.align == "auto" and card.input.has_faces)
