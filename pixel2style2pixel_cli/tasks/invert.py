"""Inversion: the code of each face, and the picture that the generator makes of it (pSp, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import RecipeValue, Source, Task
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p invert photo.jpg -o me.png",
    "p2s2p invert photos/ -r -o faces/ --save-latents --skip-existing",
    "p2s2p invert group.jpg --face all --paste",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class InvertOptions(OptimisedOptions):
    """Options of ``invert``; ``optimize`` counts the steps that improve each code, None as the card says.

    ``passes`` are those of a ReStyle model, each of which corrects the code; None as the card says.
    """

    command: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    passes: int | None = declare(
        None, "--passes", metavar="N", minimum=1, maximum=100, default_means="the model's",
        help="Passes of a ReStyle model: in each it corrects the code by what its picture still lacks.",
    )  # fmt: skip

    def check_model(self, installed: InstalledModel) -> None:
        """Raise UsageError where passes are asked for of a model that knows none."""
        if self.passes is not None and not (installed.encoder is not None and installed.encoder.residual):
            raise UsageError(
                f"--passes {self.passes} is for ReStyle models, and {installed.name} is none: it reads a picture once",
                "leave --passes out, or name a ReStyle model with --model; p2s2p models list shows them",
            )

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs as they are, optimised where asked."""
        from pixel2style2pixel_cli.tasks.photo import photo_task

        task = photo_task(self, model, change_codes=self.found if self.optimize or model.pivots else None)
        return replace(task, passes=self.passes)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """What the optimisation decides, and the passes where they were asked for."""
        found = OptimisedOptions.recipe(self, installed, inputs)  # super() would look in the class of before slots=True
        return found if self.passes is None else {**found, "passes": self.passes}
