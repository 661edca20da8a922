"""A task's options and an installed model brought together, before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.specs import n_styles_of
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.tasks.base import Source
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker, recipe_maker
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.find import choose_model, owner_of
from pixel2style2pixel_cli.zoo.verify import verify_installed


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chosen:
    """Options as the model completes them, the model, and what identifies its files."""

    options: TaskOptions
    card: Card
    resolution: int
    hashes: dict[str, str]

    @property
    def label(self) -> str:
        """Name and the beginning of the encoder's hash: what recipe and JSON call the model."""
        return f"{self.card.name}@{self.hashes['encoder'][:4]}"

    @property
    def rows(self) -> int:
        """Rows of the model's codes."""
        return n_styles_of(self.resolution)

    def recipes(self, inputs: Sequence[Source]) -> RecipeMaker:
        """The recipes of what is made of these inputs."""
        return recipe_maker(self.options, self.card, self.rows, self.hashes, inputs)


def choose(options: TaskOptions) -> Chosen:
    """The installed model for a task, and its options completed by it.

    Raises UsageError for a model that does not fit the options, MissingError where none is installed, IntegrityError
    where its files have changed.
    """
    card = choose_model(options.command, options.model)
    if card.input.kind != options.kind:
        raise UsageError(
            f"the encoder of {card.name} reads {card.input.kind} by its card, {options.command} gives {options.kind}",
            "correct input.kind in the card, or its tasks",
        )
    resolution = owner_of(card, "generator").generator.get("resolution")
    if not isinstance(resolution, int):
        raise UsageError(f"the card {card.name} names no resolution of its generator", "correct spec.generator in it")
    for layers in options.rows:
        parse_layers(layers, n_styles_of(resolution))
    return Chosen(
        options=options.with_model_defaults(card), card=card, resolution=resolution, hashes=verify_installed(card)
    )
