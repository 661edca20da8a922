"""Morphing: the straight way from one code to the next (Image2StyleGAN, section 4.1; methods.md 9)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import OUTPUT, declare
from pixel2style2pixel_cli.tasks.animated import AnimatedOptions
from pixel2style2pixel_cli.tasks.optimised import hash_of
from pixel2style2pixel_cli.tasks.several import one_file, other_inputs_task
from pixel2style2pixel_cli.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.several import Others
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p morph a.jpg b.jpg -o morph.gif",
    "p2s2p morph a.jpg b.jpg me.safetensors --steps 90 --loop",
    "p2s2p morph a.jpg b.jpg --steps 7 --format png --grid row",
)
NAME = "{stem}_to_{last}"
MOST_FRAMES = 2000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class MorphOptions(AnimatedOptions):
    """Options of ``morph``: ``steps`` pictures on the way through all inputs, with ``loop`` back to the first."""

    command: ClassVar[str] = "morph"
    works_with: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    inputs: ClassVar[str] = "A B"
    inputs_help: ClassVar[str] = "Two or more photographs or saved codes, in their order on the way."
    takes_latents: ClassVar[bool] = True
    together: ClassVar[bool] = True

    steps: int = declare(
        48, "--steps", metavar="N", minimum=2, maximum=MOST_FRAMES,
        help="Pictures on the whole way, the ends among them.",
    )  # fmt: skip
    loop: bool = declare(False, "--loop", help="Go on to the first code again, so that the animation has no seam.")
    name: str = declare(
        NAME, "--name", metavar="TEMPLATE", section=OUTPUT,
        help="Names of the outputs, from {stem} {last} {command} {model} {seed} {index} {face} {frame}.",
    )  # fmt: skip

    @property
    def variants(self) -> tuple[Variant, ...]:
        """One picture for each place on the way: 0 is its begin, 1 its end."""
        stretches = self.steps if self.loop else self.steps - 1
        digits = len(str(self.steps - 1))
        places = [round(i / stretches, 6) for i in range(self.steps)]
        return tuple(
            Variant(f"{i:0{digits}d}", f"{place:.2f}", {"frame": f"{i:0{digits}d}", "place": place})
            for i, place in enumerate(places)
        )

    def name_fields(self, inputs: Sequence[str]) -> dict[str, str]:
        """The name of the last input, and what the frame shows where there is one animation."""
        return {"last": Path(inputs[-1]).stem, "frame": "all"}

    def subjects(self, inputs: Sequence[str]) -> Sequence[str]:
        """The way begins at the first, which names it."""
        return inputs[:1]

    def also_read(self, inputs: Sequence[str]) -> Sequence[str]:
        """The others."""
        return inputs[1:]

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError unless there are two files or more, and no random styles."""
        AnimatedOptions.check(self, inputs)
        if len(inputs) < 2:
            raise UsageError("a way needs two ends", "name two photographs or saved codes: p2s2p morph a.jpg b.jpg")
        for text in inputs:
            one_file(text, self.command)
        if self.samples:
            raise UsageError("random styles have no place on a way", "leave out --mix-seed")

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """The first input, varied along the way through the others."""
        others, make = other_inputs_task(self, model, inputs[1:])
        return make(Way(others, self.loop))

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """Where the way leads."""
        found = AnimatedOptions.recipe(self, installed, inputs)
        hashes = {f"to_sha256_{i}": hash_of(source) for i, source in enumerate(inputs[1:], 1)}
        return {**found, **hashes, "steps": self.steps, "loop": self.loop}


class Way:
    """Codes by their place on the way: w = (1 - l) w1 + l w2 between neighbours (Image2StyleGAN, section 4.1)."""

    def __init__(self, others: Others, loop: bool) -> None:
        self.others, self.loop = others, loop

    def __call__(self, engine: Engine, codes: Codes, variants: Sequence[Variant]) -> Codes:
        """The codes (b, N, D) at the places of these variants; each begins its own way."""
        import torch

        others = list(self.others.codes(engine).to(codes.w_plus))
        pairs = zip(codes.w_plus, variants, strict=True)
        rows = [self._at(float(variant.values["place"]), [first, *others]) for first, variant in pairs]
        return codes.with_w_plus(torch.stack(rows))

    def _at(self, place: float, points: list[Tensor]) -> Tensor:
        stops = [*points, points[0]] if self.loop else points
        along = place * (len(stops) - 1)
        before = min(int(along), len(stops) - 2)
        share = along - before
        # An end is the code itself to the bit.
        return stops[before] if share == 0 else between(stops[before], stops[before + 1], share)


def between(first: Tensor, second: Tensor, share: float) -> Tensor:
    """``first`` at 0, ``second`` at 1 to the bit."""
    return second if share == 1 else (1 - share) * first + share * second
