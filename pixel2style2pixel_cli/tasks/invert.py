"""Inversion: the code of each face, and the picture that the generator makes of it (pSp, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import Source, Task

EXAMPLES = (
    "p2s2p invert photo.jpg -o me.png",
    "p2s2p invert photos/ -r -o faces/ --save-latents --skip-existing",
    "p2s2p invert group.jpg --face all --paste",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class InvertOptions(OptimisedOptions):
    """Options of ``invert``; ``optimize`` counts the steps that improve each code, None as the card says."""

    command: ClassVar[str] = "invert"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs as they are, optimised where asked."""
        from pixel2style2pixel_cli.tasks.photo import photo_task

        return photo_task(self, model, change_codes=self.found if self.optimize or model.pivots else None)
