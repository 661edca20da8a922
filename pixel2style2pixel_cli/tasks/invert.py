"""Inversion: the code of each face, and the picture that the generator makes of it (pSp, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import FaceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.zoo.cards import Card
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p invert photo.jpg -o me.png",
    "p2s2p invert photos/ -r -o faces/ --save-latents --skip-existing",
    "p2s2p invert group.jpg --face all --paste",
)

# Of the optimisation after the encoder. Image2StyleGAN's 0.01 is for hundreds of steps from the average code; from one
# that is nearly right, 0.05 comes further than 0.03 in few steps (error 0.0111 after 10, beside 0.0106 after 12) and in
# many (0.0053 after 100, beside 0.0055). With 0.08 the few are worse (0.0121 after 10).
RATE = 0.05


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class InvertOptions(FaceOptions):
    """Options of ``invert``; ``optimize`` counts the steps that improve each code, None as the card says."""

    command: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    optimize: int | None = declare(
        None, "--optimize", metavar="N", minimum=0, default_means="the model's",
        help="Steps that improve the code after the encoder.",
    )  # fmt: skip

    @property
    def needs_target(self) -> bool:
        """Whether a crop is also wanted at the generator's size: optimisation compares with it."""
        return bool(self.optimize) or self.compares or self.debug_align

    def with_model_defaults(self, card: Card) -> InvertOptions:
        """The options with what the card says in the place of None; many small steps need single precision."""
        steps = card.optimize if self.optimize is None else self.optimize
        return replace(self, optimize=steps, dtype="float32" if steps and self.dtype == "auto" else self.dtype)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs as they are, optimised where asked."""
        from pixel2style2pixel_cli.tasks.photo import photo_task

        return photo_task(self, model, change_codes=self._optimise if self.optimize else None)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """How long the codes are optimised, and at which size pictures are compared meanwhile."""
        if not self.optimize:
            return {"optimize": self.optimize}
        card = installed.card
        return {
            "optimize": self.optimize, "optimize_size": card.optimize_size, "optimize_whole": card.optimize_whole,
        }  # fmt: skip

    def _optimise(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The codes brought closer to the pictures by optimisation."""
        from pixel2style2pixel_cli.events import Phase
        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.fitting.embed import embed

        pictures = len(prepared) * max(1, len(self.samples))

        def tell(step: int) -> None:
            engine.on_event(Phase(name="optimising", done=step, total=steps, pictures=pictures))

        targets = to_float([p.target for p in prepared if p.target is not None]).to(engine.device, engine.dtype)
        model, steps = engine.model, self.optimize or 0
        found = embed(
            model.generator, targets, codes.w_plus, steps=steps, size=model.card.optimize_size or None,
            whole_steps=model.card.optimize_whole, learning_rate=RATE, on_step=tell,
        )  # fmt: skip
        return codes.with_w_plus(found)
