"""What goes into the recipe of a picture: everything that decides its pixels, known before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pixel2style2pixel_cli.files.recipe import Json, Recipe
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.tasks.base import Prepared, Source, task_maker
from pixel2style2pixel_cli.tasks.styles import style_recipe
from pixel2style2pixel_cli.variants import SINGLE, Variant
from pixel2style2pixel_cli.zoo.resolve import InstalledModel

# Options of every task, or of those that look for faces, that decide pixels.
SHARED = ("noise", "paste", "align", "face", "on_no_face", "detector", "detector_threshold")


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeMaker:
    """Makes the recipes of one run; they differ by input, face and variant.

    ``of_input`` is what decides the pixels of one input, by its path below the root, as far as that is known before it
    is read; what was found while preparing it says the same.
    """

    command: str
    options: Mapping[str, Json]
    model: str
    weights_sha256: Mapping[str, str]
    seed: int
    of_input: Callable[[str], Mapping[str, Json]] = lambda relative: {}

    def make(self, *, name: str, sha256: str, prepared: Prepared, variant: Variant = SINGLE) -> Recipe:
        """The recipe of one picture of the input of this name."""
        return Recipe(
            command=self.command,
            options={**self.options, **prepared.recipe},
            model=self.model,
            weights_sha256=dict(self.weights_sha256),
            seed=self.seed,
            input_name=name,
            input_sha256=sha256,
            variant=dict(variant.values),
            face=prepared.face,
            matrix=None if prepared.matrix is None else prepared.matrix.tolist(),
            crop_size=prepared.crop.shape[0],
        )

    def make_joined(self, *, name: str, sha256: str, faces: Sequence[Prepared], variant: Variant = SINGLE) -> Recipe:
        """The recipe of a photograph into which these faces of it were put back."""
        alone = [self.make(name=name, sha256=sha256, prepared=face, variant=variant) for face in faces]
        return replace(
            alone[0],
            options={key: value for recipe in alone for key, value in recipe.options.items()},
            face=None,
            matrix=None,
            crop_size=None,
            faces=[
                {"face": one.face, "matrix": [[*row] for row in one.matrix or ()], "crop_size": one.crop_size}
                for one in alone
            ],
        )

    def with_engine(self, *, dtype: str, backend: str) -> RecipeMaker:
        """The same with what is known only once the model is loaded."""
        return replace(self, options={**self.options, "dtype": dtype, "backend": backend})

    def differs(self, found: Recipe, relative: str) -> bool:
        """Whether a picture with this recipe is another than this run would make of the same input.

        What one of the two does not say is not compared: the precision before a model is loaded, or an option that
        an earlier version did not record.
        """
        options = {**self.options, **self.of_input(relative)}
        wanted = replace(found, options=options, model=self.model)  # cut down to base names, as in files
        same = (found.command, found.model, found.weights_sha256, found.seed) == (
            self.command, wanted.model, dict(self.weights_sha256), self.seed,
        )  # fmt: skip
        common = found.options.keys() & wanted.options.keys()
        return not same or any(found.options[key] != wanted.options[key] for key in common)


def recipe_maker(options: TaskOptions, installed: InstalledModel, inputs: Sequence[Source]) -> RecipeMaker:
    """The recipes of these options on an installed model; ``inputs`` are those of the run."""
    shared: dict[str, Json] = {name: getattr(options, name) for name in SHARED if hasattr(options, name)}
    shared.setdefault("paste", False)
    if options.dtype != "auto":
        shared["dtype"] = options.dtype
    if options.backend != "auto":
        shared["backend"] = options.backend
    if options.takes_inputs and installed.encoder is not None and installed.encoder.residual:
        shared["passes"] = installed.card.passes
    own = task_maker(options).recipe(installed, inputs)
    return RecipeMaker(
        command=options.command,
        options={**shared, **own, **style_recipe(options, installed)},
        model=installed.name,
        weights_sha256=installed.weights_sha256,
        seed=options.chance,
        of_input=options.recipe_of_input,
    )
