"""What the tasks are told: one dataclass per task, with the names and defaults of its command.

Light to import: the command line reads the fields before anything heavy is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.seeds import parse_seeds

if TYPE_CHECKING:
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import Task
    from pixel2style2pixel_cli.zoo.cards import Card

Align = Literal["auto", "always", "never"]
OnNoFace = Literal["skip", "fail", "crop"]
Grid = Literal["none", "pair", "row", "sheet"]
Noise = Literal["fixed", "random", "off"]
Existing = Literal["error", "skip", "overwrite", "rename"]
ImageFormat = Literal["png", "jpg", "webp"]

MAX_PIXELS = 200_000_000


def read_stdin() -> bytes:
    """Everything on standard input."""
    return sys.stdin.buffer.read()


def write_stdout(data: bytes) -> object:
    """A picture to standard output."""
    return sys.stdout.buffer.write(data)


# Nobody compares or prints options, and every start of the command line pays for what is generated.
@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TaskOptions:
    """What every task is told.

    ``command`` names the task, ``kind`` what its encoder is fed,
    ``takes_latents`` whether codes may stand for pictures. ``stdin``, ``stdout`` and ``on_event`` connect a
    run to its caller; the other fields are the options of the command.
    """

    command: ClassVar[str]
    takes_latents: ClassVar[bool] = False
    kind: ClassVar[InputKind] = "photo"

    out: str | Path | None = None
    recursive: bool = False
    existing: Existing = "error"
    name: str = "{stem}"
    format: ImageFormat = "png"
    save_latents: bool = False
    grid: Grid = "none"
    preview_input: bool = False
    keep_exif: bool = False
    metadata: bool = True
    model: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    noise: Noise = "fixed"
    mix_seed: Sequence[int | str] | None = None
    mix_layers: str | None = None
    mix_alpha: float = 1.0
    mix_truncation: float = 1.0
    batch_size: int | Literal["auto"] = "auto"
    dry_run: bool = False
    shard: str | None = None
    fail_fast: bool = False
    max_pixels: int = MAX_PIXELS
    offline: bool = False
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
    def rows(self) -> tuple[str, ...]:
        """The rows of a code that options name, as they were written."""
        return () if self.mix_layers is None else (self.mix_layers,)

    def settled(self, card: Card) -> TaskOptions:
        """The options once the model is chosen, with what its card says in the place of None."""
        return self

    def subjects(self, inputs: Sequence[str]) -> Sequence[str]:
        """The inputs that give outputs."""
        return inputs

    def also_read(self, inputs: Sequence[str]) -> Sequence[str]:
        """Files, and folders of files, that the run reads beside its subjects; no output may replace them."""
        return ()

    def check_shares(self) -> None:
        """Raise UsageError for a mixing option out of range."""
        for name, share in (("alpha", self.mix_alpha), ("truncation", self.mix_truncation)):
            if not 0 <= share <= 1:
                raise UsageError(f"--mix-{name} is {share}, expected 0 to 1", f"write --mix-{name} 0.5")

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for what can be refused before a model is looked for."""
        self.check_shares()
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

    def make_task(self, model: Model, inputs: Sequence[str]) -> Task:
        """The task, made for a loaded model."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class FaceOptions(TaskOptions):
    """What tasks are told that look for faces in photographs."""

    align: Align = "auto"
    face: str = "best"
    on_no_face: OnNoFace = "skip"
    detector: str = "dlib"
    detector_threshold: float = 0.0
    paste: bool = False
    debug_align: bool = False

    @property
    def many_faces(self) -> bool:
        """Whether one input may give several outputs, numbered by face."""
        return self.face in ("all", "left-to-right")
