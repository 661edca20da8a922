"""Edits: codes moved along directions in which one thing about a face changes (methods.md 6, 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import INPUTS_HELP
from pixel2style2pixel_cli.tasks.animated import AnimatedOptions, MovingFormat
from pixel2style2pixel_cli.tasks.steps import find_steps, parse_directions, parse_sweep
from pixel2style2pixel_cli.variants import Variant

if TYPE_CHECKING:
    from torch import Tensor

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.steps import Step
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p edit photo.jpg --direction smile --strength 2 -o smiling.png",
    "p2s2p edit photo.jpg --direction yaw --sweep -3:3:7 --grid row",
    "p2s2p edit photo.jpg --direction sefa:0 --sweep -3:3:48 -o turning.gif",
    "p2s2p edit me.safetensors --direction age=2 --direction sefa:coarse:0=-1",
)

STRENGTH = 2.0  # standard deviations: what is seen at once and keeps the person


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class EditOptions(AnimatedOptions):
    """Options of ``edit``; strengths are in standard deviations of what changes, among random faces."""

    command: ClassVar[str] = "edit"
    works_with: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    inputs_help: ClassVar[str] = "Photographs or saved codes" + INPUTS_HELP
    takes_latents: ClassVar[bool] = True

    direction: Sequence[str] = declare(
        (), "--direction", metavar="NAME",
        help="What changes: a direction of the generator such as smile, a file, sefa:0 or pca:0; smile=2 gives its own "
        "strength; repeatable.",
    )  # fmt: skip
    strength: float = declare(
        STRENGTH, "--strength", metavar="X", minimum=-1000, maximum=1000,
        help="How far, in standard deviations among random faces; below 0 the other way.",
    )  # fmt: skip
    format: MovingFormat = "png"  # one picture is what is asked for most
    sweep: str | None = declare(
        None, "--sweep", metavar="A:B:N", help="One output for each of N strengths from A to B, as -3:3:7."
    )
    layers: str | None = declare(
        None, "--layers", metavar="ROWS", default_means="the direction's",
        help="Rows that are moved: 0-5, 0,3,7-9, coarse, middle or fine.",
    )  # fmt: skip

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths of the sweep, or the one."""
        return (self.strength,) if self.sweep is None else parse_sweep(self.sweep)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """One picture for each strength of a sweep, else for each random style."""
        if self.sweep is None:
            return super(AnimatedOptions, self).variants
        return tuple(
            Variant(f"strength{value:g}", f"strength {value:g}", {"strength": value}) for value in self.strengths
        )

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of a code that options name, as they were written."""
        mixed = () if self.mix_layers is None else (self.mix_layers,)
        return mixed if self.layers is None else (*mixed, self.layers)

    def name_fields(self, inputs: Sequence[str]) -> dict[str, str]:
        """The strength, where there is one."""
        return {"strength": f"{self.strength:g}"}

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for directions and strengths that cannot be read or do not go together."""
        super(AnimatedOptions, self).check(inputs)
        asked = parse_directions(self.direction)
        if self.sweep is None:
            return
        parse_sweep(self.sweep)
        if self.samples:
            raise UsageError("--sweep and --mix-seed both make several pictures of an input", "use one of them")
        if all(each.strength is not None for each in asked):
            raise UsageError("every direction has its own strength, so there is none to sweep", "write one without =")
        if self.strength != STRENGTH:
            raise UsageError("--strength and --sweep both say how far", "use one of them")

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs, inverted, and saved codes; moved by every strength."""
        from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
        from pixel2style2pixel_cli.tasks.base import Task
        from pixel2style2pixel_cli.tasks.latent import code_preparer

        steps = self._steps(model.installed)
        return Task(
            preparer=code_preparer(self, model),
            encoder_batch=INPUT_KINDS[self.kind].batch,
            change=self.found,
            vary=Mover(model, steps, self.strength),
        )

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """The directions with their rows, how far, and how long the codes of photographs are optimised."""
        named = "; ".join(step.label for step in self._steps(installed))
        swept = {} if self.sweep is not None else {"strength": self.strength}
        return {**AnimatedOptions.recipe(self, installed, inputs), "directions": named, **swept}

    def _steps(self, installed: InstalledModel) -> tuple[Step, ...]:
        return find_steps(parse_directions(self.direction), self.layers, installed)


class Mover:
    """Adds directions to codes: w + strength x direction, on the rows of each direction (methods.md 6)."""

    def __init__(self, model: Model, steps: Sequence[Step], strength: float) -> None:
        from pixel2style2pixel_cli.tasks.steps import as_offset

        self.strength = strength
        # Those with a strength of their own are the same in every picture of an input.
        self._fixed = [as_offset(step, model.generator) * step.strength for step in steps if step.strength is not None]
        self._swept = [as_offset(step, model.generator) for step in steps if step.strength is None]

    def __call__(self, engine: Engine, codes: Codes, variants: Sequence[Variant]) -> Codes:
        """The codes (b, N, D), each moved as its variant says."""
        import torch

        moved = [
            code + self._offset(float(variant.values.get("strength", self.strength))).to(code)
            for code, variant in zip(codes.w_plus, variants, strict=True)
        ]
        return codes.with_w_plus(torch.stack(moved))

    def _offset(self, strength: float) -> Tensor:
        total: Tensor = sum([*self._fixed, *(strength * step for step in self._swept)])  # type: ignore[assignment]
        return total
