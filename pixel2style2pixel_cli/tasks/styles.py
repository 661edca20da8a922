"""The random styles of a run: which rows of a code they take over, and their own codes, drawn when they are needed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.variants import Variant
from pixel2style2pixel_cli.zoo.resolve import InstalledModel

if TYPE_CHECKING:
    # imports torch, which a recipe should not wait for
    from torch import Tensor

    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import RecipeValue

REMEMBERED = 256  # styles; the next input wants the same ones


def chosen_layers(options: TaskOptions, installed: InstalledModel) -> tuple[int, ...]:
    """The rows a style takes over: as asked, else by the model's card."""
    asked = installed.card.mixing_layers if options.mix_layers is None else options.mix_layers
    return parse_layers(asked, installed.generator.n_styles)


def style_recipe(options: TaskOptions, installed: InstalledModel) -> dict[str, RecipeValue]:
    """How random styles are mixed in; nothing without ``--mix-seed``."""
    if not options.samples:
        return {}
    return {
        "mix_layers": ",".join(map(str, chosen_layers(options, installed))),
        "mix_alpha": options.mix_alpha,
        "mix_truncation": options.mix_truncation,
    }


class Styles:
    """Random styles for the codes of one model (methods.md 4.6)."""

    def __init__(self, options: TaskOptions, model: Model) -> None:
        self.layers = chosen_layers(options, model.installed)
        self.alpha, self.truncation = options.mix_alpha, options.mix_truncation
        self._generator = model.generator
        # Memory must not grow with the number of seeds.
        self._style = functools.lru_cache(REMEMBERED)(self._draw_style)

    @property
    def remembered(self) -> int:
        """How many styles are kept in memory."""
        return self._style.cache_info().currsize

    def mix_in(self, code_ND: Tensor, variant: Variant) -> Tensor:
        """A code (N, D) with rows of the variant's style; the code itself for a variant without one."""
        from pixel2style2pixel_cli.engine.mixing import mix_rows

        if variant.mix_seed is None:
            return code_ND
        return mix_rows(code_ND, self._style(variant.mix_seed).to(code_ND), self.layers, self.alpha)

    def _draw_style(self, seed: int) -> Tensor:
        from pixel2style2pixel_cli.engine.mixing import sample_styles

        return sample_styles(self._generator, [seed], self.truncation)[0]
