"""Style transfer by crossover: the first rows of a content, the others of a style (Image2StyleGAN, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.tasks.mix import MixOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p transfer photo.jpg b.jpg -o transferred.png --grid pair",
    "p2s2p transfer me.safetensors styles/ --crossover 4 --grid sheet",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TransferOptions(MixOptions):
    """Options of ``transfer``: rows below ``crossover`` are the content's, the others each style's."""

    command: ClassVar[str] = "transfer"
    works_with: ClassVar[str] = "mix"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    crossover: int | None = declare(
        None, "--crossover", metavar="ROW", minimum=0, default_means="half of the rows",
        help="The first row that is the style's; 0 takes all of them.",
    )  # fmt: skip

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError as ``mix`` does, and where two options say which rows."""
        MixOptions.check(self, inputs)
        if self.mix_layers is not None:
            raise UsageError("--crossover says which rows are the style's, not --mix-layers", "or use p2s2p mix")
        if self.samples:
            raise UsageError(
                "a style is transferred from a picture or code", "for random ones use p2s2p mix --mix-seed"
            )

    def taken(self, installed: InstalledModel) -> tuple[int, ...]:
        """The rows from the crossover on, by default half of them: 9 of 18 in the paper."""
        rows = installed.generator.n_styles
        first = rows // 2 if self.crossover is None else self.crossover
        if first >= rows:
            raise UsageError(
                f"--crossover {first} leaves the style none of the model's {rows} rows",
                f"use a row from 0 to {rows - 1}",
            )
        return tuple(range(first, rows))
