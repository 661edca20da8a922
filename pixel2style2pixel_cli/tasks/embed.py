"""Embedding: the code of each picture found by optimisation alone (Image2StyleGAN, methods.md 9)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import OUTPUT, declare
from pixel2style2pixel_cli.options.task import FaceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pixel2style2pixel_cli.engine.codes import Codes, Found
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.fitting.image2stylegan import Embedded, OnStep, Stages
    from pixel2style2pixel_cli.fitting.objective import Judge, Objective
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.photo import Cut
    from pixel2style2pixel_cli.zoo.cards import Card
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p embed photo.jpg --steps 300 --save-latents --grid pair",
    "p2s2p embed photo.jpg --noise-steps 200 --snapshots",
    "p2s2p embed photos/ --space w --start encoder",
    "p2s2p embed painted.png --mask mask.png",
)
SNAPSHOTS = "_steps.webp"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class EmbedOptions(FaceOptions):
    """Options of ``embed``.

    ``space`` is where the code is looked for, ``start`` where it begins; ``perceptual`` and ``pixels`` are the two
    terms of the loss. ``mask`` is a picture for all inputs, white where the photograph is left out of the comparison,
    or a folder of such pictures. Noise maps of the picture's own follow after the code.
    """

    command: ClassVar[str] = "embed"
    works_with: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    steps: int = declare(
        500, "--steps", metavar="N", minimum=1, help="Most steps of the optimisation of the code."
    )  # fmt: skip
    space: Literal["w+", "w", "z"] = declare(
        "w+", "--space", metavar="SPACE", help="Where the code is looked for: w+ (a row for each layer), w or z."
    )
    start: Literal["average", "random", "encoder"] = declare(
        "average", "--start", metavar="FROM", help="Where it begins: average (face), random (by the seed) or encoder."
    )
    rate: float = declare(
        0.05, "--rate", metavar="R", minimum=1e-6, maximum=10, help="Rate of the steps; it falls towards the end."
    )
    perceptual: Literal["auto", "lpips", "features", "none"] = declare(
        "auto", "--perceptual", metavar="TERM",
        help="What sees likeness: lpips, features (bundled), none, or auto (lpips where its network is installed).",
    )  # fmt: skip
    pixels: Literal["pyramid", "mse"] = declare(
        "pyramid", "--pixels", metavar="TERM", help="How pixels are compared: pyramid (of halvings) or mse."
    )
    early_stop: bool = declare(
        True, "--early-stop/--no-early-stop", help="End earlier where the loss hardly falls any more."
    )
    mask: str | Path | None = declare(
        None, "--mask", metavar="FILE",
        help="A picture, white where the photograph is not compared, or a folder with one for each input.",
    )  # fmt: skip
    noise_steps: int = declare(
        0, "--noise-steps", metavar="N", minimum=0, help="Steps after these that find noise maps for the picture."
    )
    noise_rate: float = declare(
        0.05, "--noise-rate", metavar="R", minimum=1e-6, maximum=100, help="Rate of the steps of the noise maps."
    )
    noise_weight: float = declare(
        1.0, "--noise-weight", metavar="W", minimum=0, maximum=1e9,
        help="How strongly the noise maps are kept white; 0 lets them take over whatever the code cannot draw.",
    )  # fmt: skip
    snapshots: bool = declare(
        False, "--snapshots", section=OUTPUT, help="Also save the way as an animation, {stem}_steps.webp."
    )

    @property
    def needs_target(self) -> bool:
        """The crop at the generator's size is what is embedded."""
        return True

    @property
    def animations(self) -> tuple[str, ...]:
        """The way to the code."""
        return (SNAPSHOTS,) if self.snapshots else ()

    def also_read(self, inputs: Sequence[str]) -> Sequence[str]:
        """The mask, or the folder of masks."""
        return () if self.mask is None else (str(self.mask),)

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for a start that a space does not have, and a mask that is not there."""
        FaceOptions.check(self, inputs)  # super() would look in the class that slots=True replaced
        if self.space == "z" and self.start == "encoder":
            raise UsageError("an encoder finds no code in Z, so nothing can start there", "use --start average")
        if self.mask is not None and not Path(self.mask).exists():
            raise UsageError(f"the mask {self.mask} does not exist", "check the spelling")

    def check_read(self, inputs: Sequence[str]) -> None:
        """Raise InputError for a mask of all inputs that is none."""
        from pixel2style2pixel_cli.tasks.inpaint import check_mask_of_all

        FaceOptions.check_read(self, inputs)
        check_mask_of_all(self.mask, self.max_pixels)

    def check_input(self, relative: str, label: str) -> None:
        """Raise InputError for an input without a mask, where each has its own."""
        from pixel2style2pixel_cli.tasks.inpaint import check_own_mask

        check_own_mask(self.mask, relative, label)

    def with_model_defaults(self, card: Card) -> EmbedOptions:
        """Many small steps need single precision."""
        return replace(self, dtype="float32" if self.dtype == "auto" else self.dtype)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs, whose codes are optimised from wherever they start."""
        from pixel2style2pixel_cli.tasks.photo import photo_task

        change = None
        if self.mask is not None:
            change = LeftOut(Path(self.mask), model.generator_spec.resolution, self.max_pixels)
        return photo_task(self, model, change=change, change_codes=Embedder(self))

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """What is optimised, from where, how long and towards what."""
        from pixel2style2pixel_cli.tasks.inpaint import hash_of_mask

        names = ("steps", "space", "start", "rate", "perceptual", "pixels", "early_stop", "noise_steps")
        found: dict[str, RecipeValue] = {name: getattr(self, name) for name in names}
        if self.noise_steps:
            found |= {"noise_rate": self.noise_rate, "noise_weight": self.noise_weight}
        if self.mask is not None:
            found |= {"mask": Path(self.mask).name, **hash_of_mask(Path(self.mask))}
        return found

    def recipe_of_input(self, relative: str) -> dict[str, RecipeValue]:
        """The mask of one input, where each has its own."""
        from pixel2style2pixel_cli.tasks.inpaint import recipe_of_mask

        return recipe_of_mask(self.mask, relative)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Marks what of a crop is not compared: its mask goes through the same alignment as the photograph."""

    mask: Path
    side: int
    max_pixels: int

    def __call__(self, found: Prepared, photo: Photo, relative: str, cut: Cut) -> Prepared:
        """The crop with what is left out of it, at the generator's size."""
        from pixel2style2pixel_cli.inputs.masked import check_mask
        from pixel2style2pixel_cli.tasks.inpaint import find_mask, hash_of_mask, mask_of_photo

        own = find_mask(self.mask, relative, photo.name) if self.mask.is_dir() else None
        mask = mask_of_photo(own or self.mask, photo, self.max_pixels)
        picture = (mask[..., None] * 255).astype("uint8").repeat(3, axis=2)
        hole = cut(picture, self.side)[..., 0] > 127
        check_mask(hole, name=f"the mask on the face of {photo.name}")
        recipe = found.recipe if own is None else {**found.recipe, **hash_of_mask(own)}
        return replace(found, hole=hole, recipe=recipe)


class Embedder:
    """Brings codes to their pictures; what it looks through is loaded once, and named once."""

    def __init__(self, options: EmbedOptions) -> None:
        self.options = options
        self._judge: Judge | None = None
        self._told = False

    def __call__(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The codes, and noise maps where asked for, of these pictures."""
        from pixel2style2pixel_cli.fitting.image2stylegan import Embedding
        from pixel2style2pixel_cli.fitting.spaces import start_of

        options, generator = self.options, engine.model.generator
        objective = self._objective(engine, prepared)
        start = start_of(generator, options.space, options.start, codes.w_plus, options.seed)
        stages = self._stages()
        embedding = Embedding(generator, objective, "off" if options.noise == "off" else "fixed")
        tell = progress(engine, pictures=len(prepared) * max(1, len(options.samples)))
        made = embedding.run(start, stages, tell)
        tell(stages.total, stages.total, float("nan"))
        found = tuple(self._found(made, place, stages.total, objective) for place in range(len(prepared)))
        return replace(codes, w_plus=made.codes, noise=made.noise, found=found)

    def _objective(self, engine: Engine, prepared: Sequence[Prepared]) -> Objective:
        import torch

        from pixel2style2pixel_cli.events import Notice
        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.fitting.objective import Objective, load_judge

        targets = to_float([p.target for p in prepared if p.target is not None]).to(engine.device, engine.dtype)
        if not self._told:
            self._judge = load_judge(self.options.perceptual, engine.model.generator.latent_avg, targets.shape[-1])
        kept: Tensor | None = None
        if any(p.hole is not None for p in prepared):
            holes = [torch.from_numpy(~p.hole) for p in prepared if p.hole is not None]
            kept = torch.stack(holes)[:, None].to(targets)
        objective = Objective(targets, judge=self._judge, pixels=self.options.pixels, kept_B1HW=kept)
        if not self._told:
            engine.on_event(Notice(message=f"compared by {objective.name}"))
        self._told = True
        return objective

    def _stages(self) -> Stages:
        from pixel2style2pixel_cli.fitting.image2stylegan import Stages
        from pixel2style2pixel_cli.fitting.search import Pace

        options = self.options
        noise = Pace(steps=options.noise_steps, rate=options.noise_rate, until_flat=options.early_stop)
        return Stages(
            space=options.space,
            code=Pace(steps=options.steps, rate=options.rate, until_flat=options.early_stop),
            noise=noise if options.noise_steps else None,
            noise_weight=options.noise_weight,
            snapshots=options.snapshots,
        )

    def _found(self, made: Embedded, place: int, total: int, objective: Objective) -> Found:
        from pixel2style2pixel_cli.engine.codes import Found
        from pixel2style2pixel_cli.files.pixels import to_uint8

        steps, loss = made.steps(place), made.descents[-1].losses[place]
        recipe: dict[str, int | float | str] = {"steps_made": steps, "compared_by": objective.name}
        stopped = None
        if made.interrupted:
            recipe["steps"] = steps  # so that a resumed run says that this picture was made with other options
            stopped = f"stopped after {steps} of {total} steps"
        return Found(
            metrics={"steps": steps, "loss": loss} if steps else {},
            recipe=recipe,
            stopped=stopped,
            frames=tuple(to_uint8(frame[place : place + 1])[0] for frame in made.frames),
        )


def progress(engine: Engine, *, pictures: int) -> OnStep:
    """What tells the listeners of an engine about each step of so many pictures."""
    from pixel2style2pixel_cli.events import Phase

    def tell(step: int, total: int, loss: float) -> None:
        known = None if loss != loss else loss
        engine.on_event(Phase(name="optimising", done=step, total=total, pictures=pictures, loss=known))

    return tell
