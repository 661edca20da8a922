"""The styles of a run: seeds to rows, checked against the model, with what the recipe says about them."""

from __future__ import annotations

from dataclasses import dataclass

from pixel2style2pixel_cli.engine.loading import Model
from pixel2style2pixel_cli.engine.mixing import Mixing, sample_styles
from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.tasks.base import RecipeValue


@dataclass(frozen=True, kw_only=True, slots=True)
class Styles:
    """What is mixed into every code of a run, one output for each seed."""

    seeds: tuple[int, ...]
    mixing: Mixing
    recipe: dict[str, RecipeValue]


def make_styles(options: TaskOptions, model: Model) -> Styles | None:
    """The random styles that ``--mix-seed`` asks for; None without it."""
    if not options.samples:
        return None
    layers = chosen_layers(options, model)
    styles = sample_styles(model.network.generator, options.samples, options.mix_truncation)
    recipe: dict[str, RecipeValue] = {
        "mix_layers": ",".join(map(str, layers)),
        "mix_alpha": options.mix_alpha,
        "mix_truncation": options.mix_truncation,
    }
    mixing = Mixing(styles_MND=styles, layers=layers, alpha=options.mix_alpha)
    return Styles(seeds=options.samples, mixing=mixing, recipe=recipe)


def chosen_layers(options: TaskOptions, model: Model) -> tuple[int, ...]:
    """The rows a style takes over: as asked, else by the card."""
    asked = model.card.mixing_layers if options.mix_layers is None else options.mix_layers
    return parse_layers(asked, model.generator_spec.n_styles)
