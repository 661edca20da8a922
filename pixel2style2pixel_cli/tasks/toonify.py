"""Toonify: the code of a photographed face, drawn by a generator of another look (pSp, section 4.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.options.task import FaceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import RecipeValue, Source, Task
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p toonify photo.jpg -o toon.png --grid pair",
    "p2s2p toonify group.jpg --face all --paste",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ToonifyOptions(FaceOptions):
    """Options of ``toonify``."""

    command: ClassVar[str] = "toonify"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs as they are; the look is the generator's."""
        from pixel2style2pixel_cli.tasks.photo import photo_task

        return photo_task(self, model)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """Nothing but the options of every task."""
        return {}
