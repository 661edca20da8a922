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
    from pixel2style2pixel_cli.zoo.cards import Card
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p invert photo.jpg -o me.png",
    "p2s2p invert photos/ -r -o faces/ --save-latents --skip-existing",
    "p2s2p invert group.jpg --face all --paste",
    "p2s2p invert photo.jpg --refine 15 --optimize 0",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class InvertOptions(OptimisedOptions):
    """Options of ``invert``; ``optimize`` counts the steps that improve each code, None as the card says.

    ``passes`` are those of a ReStyle model, each of which corrects the code; None as the card says.
    ``refine`` counts the steps in which the encoder itself is tuned for each picture, before that. ``stage`` is how
    many offsets of an e4e or cycle-trained encoder are open, None as it was trained.
    """

    command: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    passes: int | None = declare(
        None, "--passes", metavar="N", minimum=1, maximum=100, default_means="the model's",
        help="Passes of a ReStyle model: in each it corrects the code by what its picture still lacks.",
    )  # fmt: skip
    refine: int = declare(
        0, "--refine", metavar="N", minimum=0, maximum=100_000,
        help="Steps that tune the encoder for each picture (Cycle Encoding; published: 15).",
    )  # fmt: skip
    stage: str | None = declare(
        None, "--stage", metavar="STAGE", choices=("w", "all"), pattern=r"\d{1,2}",
        pattern_means="a number of open rows", default_means="as it was trained",
        help="Open offsets of an e4e or cycle model: w (none: codes in W), all, or how many rows.",
    )  # fmt: skip

    @property
    def needs_target(self) -> bool:
        """Whether a crop is also wanted at the generator's size: refinement and optimisation compare with it."""
        return bool(self.refine or self.optimize) or self.compares or self.debug_align

    def on_model(self, installed: InstalledModel) -> InstalledModel:
        """The model with its encoder at the stage that was asked for; UsageError for what it does not know."""
        spec = installed.encoder
        if self.passes is not None and not (spec is not None and spec.residual):
            raise UsageError(
                f"--passes {self.passes} is for ReStyle models, and {installed.name} is none: it reads a picture once",
                "leave --passes out, or name a ReStyle model with --model; p2s2p models list shows them",
            )
        if self.refine and spec is not None and spec.residual:
            raise UsageError(
                f"--refine {self.refine} is for encoders that read a picture once, not for a ReStyle model such as "
                f"{installed.name}",
                "leave out --refine, or choose a pSp, e4e or cycle model",
            )
        if self.stage is None or spec is None:
            return installed
        if not spec.has_offsets:
            raise UsageError(
                f"the encoder of {installed.name} has no offsets that --stage {self.stage} could open or close",
                "leave out --stage, or choose an e4e or cycle model: p2s2p models list",
            )
        last = installed.generator.n_styles - 1
        stage = last if self.stage == "all" else 0 if self.stage == "w" else int(self.stage)
        if stage > last:
            raise UsageError(
                f"--stage {stage} opens more offsets than the {last} of {installed.name}", f"use 0 to {last}, w or all"
            )
        if stage > spec.open_rows(last + 1) and "heads" in installed.card.borrowed:
            raise UsageError(
                f"{installed.name} comes without the offsets that it has closed: --stage {self.stage} cannot open them",
                "leave out --stage; a training run of --method cycle keeps them",
            )
        return replace(installed, stage=stage)

    def with_model_defaults(self, card: Card) -> InvertOptions:
        """As of any optimisation; refinement has many small steps as well."""
        steps = card.optimize if self.optimize is None else self.optimize
        dtype = "float32" if (steps or self.refine) and self.dtype == "auto" else self.dtype
        return replace(self, optimize=steps, dtype=dtype)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs as they are, with the encoder refined and the code optimised where asked."""
        from pixel2style2pixel_cli.tasks.photo import photo_task
        from pixel2style2pixel_cli.tasks.refined import Refiner

        plain = not (self.optimize or self.refine or model.pivots or model.encoder_spec.has_offsets)
        return replace(photo_task(self, model, change_codes=None if plain else Refiner(self)), passes=self.passes)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """What decides the code: stage, passes and refinement of the encoder, and the steps of the code."""
        found = OptimisedOptions.recipe(self, installed, inputs)  # super() would look in the class that slots replaced
        spec = installed.encoder
        if spec is not None and spec.has_offsets:
            found["stage"] = spec.open_rows(installed.generator.n_styles)
        if self.refine:
            found["refine"] = self.refine
        return found if self.passes is None else {**found, "passes": self.passes}
