"""A task's options and an installed model brought together, before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.tasks.base import Source
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker, recipe_maker
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.choose import choose_model
from pixel2style2pixel_cli.zoo.resolve import InstalledModel


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chosen:
    """Options as the model completes them, the model, and what identifies its files."""

    options: TaskOptions
    installed: InstalledModel

    @property
    def card(self) -> Card:
        """The model's card."""
        return self.installed.card

    @property
    def label(self) -> str:
        """Name and the beginning of the encoder's hash: what recipe and JSON call the model."""
        return f"{self.installed.name}@{self.installed.hashes['encoder'][:4]}"

    @property
    def announced(self) -> str:
        """What a run says of its model."""
        kind = "bundled" if self.card.bundled else "installed"
        spec, rows = self.installed.encoder, self.installed.generator.n_styles
        stage = f", stage {spec.open_rows(rows)} of {rows - 1}" if spec is not None and spec.has_offsets else ""
        return f"model: {self.installed.name} ({kind}, {self.resolution} px{stage})"

    @property
    def resolution(self) -> int:
        """Side of the pictures that the model draws."""
        return self.installed.generator.resolution

    def recipes(self, inputs: Sequence[Source]) -> RecipeMaker:
        """The recipes of what is made of these inputs."""
        return recipe_maker(self.options, self.installed, inputs)


def choose(options: TaskOptions) -> Chosen:
    """The installed model for a task, and its options completed by it.

    Raises UsageError for a model that does not fit the options, MissingError where none is installed, IntegrityError
    where its files have changed.
    """
    installed = choose_model(options.works_with or options.command, options.model)
    card = installed.card
    if card.input.kind != options.kind:
        raise UsageError(
            f"the encoder of {card.name} reads {card.input.kind} by its card, {options.command} gives {options.kind}",
            "correct input.kind in the card, or its tasks",
        )
    installed = options.on_model(installed)
    for layers in options.rows:
        parse_layers(layers, installed.generator.n_styles)
    _ = installed.hashes  # a file that has changed is found here, not when the model loads
    return Chosen(options=options.with_model_defaults(card), installed=installed)
