"""Expression transfer: what tells two pictures of one person apart, added to a third (Image2StyleGAN, section 4.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import OUTPUT, declare
from pixel2style2pixel_cli.tasks.animated import AnimatedOptions, MovingFormat
from pixel2style2pixel_cli.tasks.optimised import hash_of
from pixel2style2pixel_cli.tasks.several import one_file, other_inputs_task
from pixel2style2pixel_cli.tasks.steps import parse_sweep
from pixel2style2pixel_cli.variants import SINGLE, Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.several import Others
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p expression me.safetensors a.jpg b.jpg -o smiling.png",
    "p2s2p expression photo.jpg a.jpg b.jpg --strength 0:1.5:7 --grid row",
    "p2s2p expression photo.jpg a.jpg b.jpg --strength 0:1:24 -o smile.gif",
)
LARGEST = 1000.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ExpressionOptions(AnimatedOptions):
    """Options of ``expression``: how much of the difference between NEUTRAL and EXPRESSIVE is added to TARGET."""

    command: ClassVar[str] = "expression"
    works_with: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    inputs: ClassVar[str] = "TARGET NEUTRAL EXPRESSIVE"
    inputs_help: ClassVar[str] = (
        "Three photographs or saved codes: whom to change, and another person without and with the expression."
    )
    takes_latents: ClassVar[bool] = True
    together: ClassVar[bool] = True

    strength: str = declare(
        "1", "--strength", metavar="X", help="How much of the difference is added: 1, or 0:1.5:7 for seven strengths."
    )
    layers: str | None = declare(
        None, "--layers", metavar="ROWS", default_means="all",
        help="Rows that are changed: 0-5, 0,3,7-9, coarse, middle or fine.",
    )  # fmt: skip
    format: MovingFormat = "png"  # one picture is what is asked for most
    name: str = declare(
        "{stem}", "--name", metavar="TEMPLATE", section=OUTPUT,
        help="Names of the outputs, from {stem} {strength} {command} {model} {seed} {index} {face}.",
    )  # fmt: skip

    @property
    def strengths(self) -> tuple[float, ...]:
        """The strengths of a sweep, or the one."""
        if ":" in self.strength:
            return parse_sweep(self.strength)
        try:
            value = float(self.strength)
        except ValueError:
            value = math.nan
        if not abs(value) <= LARGEST:
            raise UsageError(
                f"--strength is {self.strength!r}, expected a number from {-LARGEST:g} to {LARGEST:g}, "
                "or FIRST:LAST:COUNT",
                "write --strength 0.8, or 0:1.5:7 for seven strengths",
            )
        return (value,)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """One picture for each strength."""
        if ":" not in self.strength:
            return (SINGLE,)
        return tuple(Variant(f"strength{x:g}", f"strength {x:g}", {"strength": x}) for x in self.strengths)

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of a code that options name, as they were written."""
        return () if self.layers is None else (self.layers,)

    def name_fields(self, inputs: Sequence[str]) -> dict[str, str]:
        """The strength, where there is one."""
        return {"strength": self.strength.replace(":", "-")}

    def subjects(self, inputs: Sequence[str]) -> Sequence[str]:
        """Whom to change."""
        return inputs[:1]

    def also_read(self, inputs: Sequence[str]) -> Sequence[str]:
        """The two pictures that differ by an expression."""
        return inputs[1:]

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError unless there are three files, and a strength that can be read."""
        AnimatedOptions.check(self, inputs)
        if len(inputs) != 3:
            raise UsageError(
                f"{len(inputs)} inputs were given, expected three: TARGET NEUTRAL EXPRESSIVE",
                "name whom to change, then another person without and with the expression",
            )
        for text in inputs:
            one_file(text, self.command)
        if self.samples:
            raise UsageError("random styles do not go with an expression", "leave out --mix-seed")
        _ = self.strengths

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """The target, moved by the difference of the other two."""
        from pixel2style2pixel_cli.engine.rows import parse_layers

        others, make = other_inputs_task(self, model, inputs[1:])
        count = model.generator_spec.n_styles
        rows = tuple(range(count)) if self.layers is None else parse_layers(self.layers, count)
        return make(Difference(others, rows, self.strengths[0]))

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """Whose expression, how much of it, and on which rows."""
        found = AnimatedOptions.recipe(self, installed, inputs)
        hashes = {
            f"{name}_sha256": hash_of(each) for name, each in zip(("neutral", "expressive"), inputs[1:], strict=True)
        }
        swept = {"strength": self.strengths[0]} if len(self.strengths) == 1 else {}
        return {**found, **hashes, **swept, "layers": self.layers or "all"}


class Difference:
    """w = w_target + strength x (w_expressive - w_neutral), on some rows (Image2StyleGAN, section 4.1)."""

    def __init__(self, others: Others, rows: Sequence[int], strength: float) -> None:
        self.others, self.rows, self.strength = others, list(rows), strength

    def __call__(self, engine: Engine, codes: Codes, variants: Sequence[Variant]) -> Codes:
        """The codes (b, N, D), each moved as far as its variant says."""
        import torch

        neutral, expressive = self.others.codes(engine).to(codes.w_plus)
        offset = torch.zeros_like(neutral)
        offset[self.rows] = (expressive - neutral)[self.rows]
        rows = [
            code + float(variant.values.get("strength", self.strength)) * offset
            for code, variant in zip(codes.w_plus, variants, strict=True)
        ]
        return codes.with_w_plus(torch.stack(rows))
