"""Random faces: what the generator draws of z from the normal distribution, one for each seed (methods.md 1.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import MODEL, OUTPUT, declare
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.seeds import parse_seeds

if TYPE_CHECKING:
    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.zoo.cards import Card
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p generate --seed 0-15 --grid sheet",
    "p2s2p generate --seed 3 -o face.png --save-latents",
    "p2s2p generate --seed 0-99 --truncation 0.7 -o faces/",
)
BEGIN = "seed"  # of the name of each picture, before its number


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class GenerateOptions(TaskOptions):
    """Options of ``generate``: one face for each ``seed``, the same on every device and beside any others."""

    command: ClassVar[str] = "generate"
    works_with: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    inputs: ClassVar[str] = ""
    inputs_help: ClassVar[str] = ""
    takes_inputs: ClassVar[bool] = False

    # Other tasks have one seed, by which everything random of all inputs is drawn.
    seed: Sequence[int | str] = declare(  # type: ignore[assignment]
        (0,), "--seed", metavar="SEEDS", section=MODEL, default_means="0",
        help="One face for each seed: 3, or 0-15,20; repeatable.",
    )  # fmt: skip
    truncation: float = declare(
        1.0, "--truncation", metavar="P", minimum=0, maximum=1,
        help="Pull the faces towards the average: 0 is the average, 1 leaves them.",
    )  # fmt: skip
    name: str = declare(
        "{stem}", "--name", metavar="TEMPLATE", section=OUTPUT,
        help="Names of the outputs, from {stem} {command} {model} {mix_seed} {index}; {stem} is seed3.",
    )  # fmt: skip

    @property
    def chance(self) -> int:
        """The noise of a face is drawn by its name, which holds its seed."""
        return 0

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, each once."""
        return parse_seeds(self.seed, flag="--seed", what="faces")

    @property
    def made_up(self) -> tuple[str, ...]:
        """One name for each seed."""
        return tuple(f"{BEGIN}{seed}" for seed in self.seeds)

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for inputs, seeds that cannot be read, and comparisons with an input."""
        TaskOptions.check(self, inputs)
        if not self.seeds:
            raise UsageError("no seed was given, so there is no face to draw", "write --seed 0-15")
        if self.grid == "pair" or self.preview_input:
            raise UsageError("random faces have no input to be compared with", "use --grid sheet, or leave it out")

    def with_model_defaults(self, card: Card) -> GenerateOptions:
        """Nothing is read from standard input."""
        return replace(self, stdin=bytes)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """No pictures in, faces out."""
        from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
        from pixel2style2pixel_cli.tasks.base import Task

        return Task(
            preparer=SeedPreparer(), encoder_batch=INPUT_KINDS[self.kind].batch, change=self._draw_codes, encodes=False
        )  # fmt: skip

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """How far faces are pulled towards the average; the seed of each is its own."""
        return {"truncation": self.truncation}

    def recipe_of_input(self, relative: str) -> dict[str, RecipeValue]:
        """The seed of one face."""
        return {"face_seed": _seed_of(relative)}

    def _draw_codes(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        from pixel2style2pixel_cli.engine.mixing import sample_styles

        seeds = [int(str(each.recipe["face_seed"])) for each in prepared]
        return codes.with_w_plus(sample_styles(engine.model.generator, seeds, self.truncation))


@dataclass(frozen=True, slots=True)
class SeedPreparer:
    """Stands where other tasks read and align photographs: the name of an input holds its seed."""

    @property
    def holds_interpreter(self) -> bool:
        """There is nothing to do."""
        return False

    def read(self, source: Path | bytes, *, name: str, max_pixels: int) -> Photo:
        """A photograph without pixels; its hash is that of the seed's name."""
        import numpy as np

        from pixel2style2pixel_cli.files.image import Photo

        digest = hashlib.sha256(name.encode()).hexdigest()
        return Photo(pixels=np.zeros((0, 0, 3), np.uint8), sha256=digest, name=name)

    def prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        """The seed, in the recipe of its face."""
        import numpy as np

        from pixel2style2pixel_cli.tasks.base import Prepared

        crop = np.zeros((1, 1, 3), np.uint8)
        recipe = {"face_seed": _seed_of(relative)}
        return [Prepared(face=None, crop=crop, target=None, matrix=None, aligned=False, recipe=recipe)]


def _seed_of(relative: str) -> int:
    return int(relative.removeprefix(BEGIN))
