"""What tasks share whose photographs become codes: those of the encoder, improved by optimisation, or given ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import FaceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.fitting.objective import Objective
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source
    from pixel2style2pixel_cli.tasks.latent import CodePreparer
    from pixel2style2pixel_cli.zoo.cards import Card
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

# Of the optimisation after the encoder. Image2StyleGAN's 0.01 is for hundreds of steps from the average code; from one
# that is nearly right, 0.05 comes further than 0.03 in few steps (error 0.0111 after 10, beside 0.0106 after 12) and in
# many (0.0053 after 100, beside 0.0055). With 0.08 the few are worse (0.0121 after 10).
RATE = 0.05


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class OptimisedOptions(FaceOptions):
    """Options of tasks that find the codes of photographs; ``optimize`` is how many steps improve each."""

    optimize: int | None = declare(
        None, "--optimize", metavar="N", minimum=0, default_means="the model's",
        help="Steps that improve the code after the encoder.",
    )  # fmt: skip

    @property
    def needs_target(self) -> bool:
        """Whether a crop is also wanted at the generator's size: optimisation compares with it."""
        return bool(self.optimize) or self.compares or self.debug_align

    def with_model_defaults(self, card: Card) -> OptimisedOptions:
        """The options with what the card says in the place of None; many small steps need single precision."""
        steps = card.optimize if self.optimize is None else self.optimize
        return replace(self, optimize=steps, dtype="float32" if steps and self.dtype == "auto" else self.dtype)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """How long the codes are optimised, and at which size pictures are compared meanwhile."""
        if not self.optimize:
            return {"optimize": self.optimize}
        card = installed.card
        return {
            "optimize": self.optimize, "optimize_size": card.optimize_size, "optimize_whole": card.optimize_whole,
        }  # fmt: skip

    def found(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes, *, counted: bool = True) -> Codes:
        """The codes of photographs, optimised where asked; those of latents, and pivots of a tuned model, as they are.

        ``counted``: these are inputs that give outputs, which progress counts.
        """
        import torch

        from pixel2style2pixel_cli.engine.codes import Found
        from pixel2style2pixel_cli.tasks.latent import given_codes, known_code

        photos = [place for place, each in enumerate(prepared) if known_code(engine, each) is None]
        given = given_codes(engine, prepared, codes)
        if not (photos and self.optimize):
            return given
        better = self.optimised(engine, [prepared[place] for place in photos], codes[photos], counted=counted)
        rows, said = list(given.w_plus), [Found()] * len(prepared)
        for place, row, found in zip(photos, better.w_plus, better.found or (), strict=True):
            rows[place], said[place] = row, found
        return replace(codes, w_plus=torch.stack(rows), found=tuple(said))

    def optimised(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes, *, counted: bool = True) -> Codes:
        """The codes brought closer to the pictures by optimisation (methods.md 9)."""
        from pixel2style2pixel_cli.engine.codes import Found
        from pixel2style2pixel_cli.events import Phase
        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.fitting.embed import descend

        pictures = len(prepared) * max(1, len(self.samples)) if counted else 0
        model, steps = engine.model, self.optimize or 0

        def tell(step: int, loss: float) -> None:
            engine.on_event(Phase(name="optimising", done=step, total=steps, pictures=pictures, loss=loss))

        targets = to_float([p.target for p in prepared if p.target is not None]).to(engine.device, engine.dtype)
        rows, made = descend(
            model.generator, targets, codes.w_plus, steps=steps, size=model.card.optimize_size or None,
            whole_steps=model.card.optimize_whole, learning_rate=RATE, on_step=tell,
        )  # fmt: skip
        said = Found()
        if made < steps:  # the recipe says so, and a resumed run that this picture was made with other options
            said = Found(recipe={"optimize": made}, stopped=f"stopped after {made} of {steps} steps")
        return replace(codes, w_plus=rows, found=(said,) * len(prepared))

    def towards(self, engine: Engine, objective: Objective, codes: Codes) -> Codes:
        """The codes brought closer to what an objective of their own knows of the pictures."""
        from pixel2style2pixel_cli.engine.codes import Found
        from pixel2style2pixel_cli.events import Phase
        from pixel2style2pixel_cli.fitting.image2stylegan import Embedding, Stages
        from pixel2style2pixel_cli.fitting.search import Pace

        pictures, steps = len(codes) * max(1, len(self.samples)), self.optimize or 0

        def tell(step: int, total: int, loss: float) -> None:
            engine.on_event(Phase(name="optimising", done=step, total=total, pictures=pictures, loss=loss))

        pace = Pace(steps=steps, rate=RATE, until_flat=False)
        made = Embedding(engine.model.generator, objective).run(codes.w_plus, Stages(code=pace), tell)
        said = Found()
        if made.interrupted:
            found = made.steps(0)
            said = Found(recipe={"optimize": found}, stopped=f"stopped after {found} of {steps} steps")
        return replace(codes, w_plus=made.codes, found=(said,) * len(codes))

    def codes_of(self, engine: Engine, prepared: Sequence[Prepared]) -> Tensor:
        """The codes (B, N, D) of inputs that give no picture of their own; an interrupt ends the run."""
        from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS

        batch = INPUT_KINDS[self.kind].batch([each.encoder_input for each in prepared])
        found = engine.encode(batch, lambda codes, part: self.found(engine, prepared[part], codes, counted=False))
        if found.stopped:
            raise KeyboardInterrupt
        return found.w_plus

    def read_other(self, preparer: CodePreparer, source: Source, called: str) -> Prepared:
        """An input beside those that give pictures, as the preparer makes it; ``called`` is its part in messages."""
        if not isinstance(source, str):
            return preparer.prepare(source, source.name)[0]
        path = Path(source)
        try:
            photo = preparer.read(path, name=source, max_pixels=self.max_pixels)
            return preparer.prepare(photo, path.name)[0]
        except InputError as error:
            if path.name in error.message:
                raise
            raise type(error)(f"{called} {source}: {error.message}", error.hint) from error


def hash_of(source: Source) -> str | None:
    """The hash of an input's bytes; None where they cannot be read, which is told when they are to be used."""
    from pixel2style2pixel_cli.zoo.verify import sha256_file

    if not isinstance(source, str):
        return source.sha256
    try:
        return sha256_file(Path(source))
    except OSError:
        return None
