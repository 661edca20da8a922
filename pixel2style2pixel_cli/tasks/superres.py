"""Super-resolution: plausible detail for faces that are small or blurred (pSp, section 4.4; methods.md 4.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import OnNoFace
from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.photo import Cut
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

LARGEST_FACTOR = 32
LEAST_KNOWN = 4  # pixels of a side that are compared at least

EXAMPLES = (
    "p2s2p superres tiny.png -o large.png",
    "p2s2p superres photo.jpg --factor 8 --grid pair --mix-seed 0-3",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class SuperresOptions(OptimisedOptions):
    """Options of ``superres``; ``factor`` makes the face that many times smaller first, for tests.

    A face that is small enough to need this is often too small for a detector, so its centred square is taken.
    """

    command: ClassVar[str] = "superres"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    kind: ClassVar[InputKind] = "lowres"

    on_no_face: OnNoFace = "crop"
    factor: int = declare(
        1, "--factor", metavar="N", minimum=1, maximum=LARGEST_FACTOR,
        help=f"First make the face this many times smaller, 1 to {LARGEST_FACTOR}: for tests.",
    )  # fmt: skip

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs, degraded where asked."""
        from pixel2style2pixel_cli.inputs.lowres import DEGRADED_SIDE
        from pixel2style2pixel_cli.tasks.photo import photo_task

        side = min(DEGRADED_SIDE, model.generator_spec.resolution)
        change = Degrade(factor=self.factor, side=side, size=model.encoder_spec.input_size)
        return photo_task(self, model, change=change, change_codes=self.optimised if self.optimize else None)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """How much the face is degraded first, and how long its code is optimised."""
        return {"factor": self.factor, "optimize": self.optimize}

    def optimised(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes, *, counted: bool = True) -> Codes:
        """The codes brought closer to the small faces: what is drawn is reduced to their size, and compared there."""
        from pixel2style2pixel_cli.engine.codes import join
        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.fitting.objective import Objective, load_judge, reduced

        parts = []
        for place, each in enumerate(prepared):  # one by one, because each has a size of its own
            whole = to_float([each.shown]).to(engine.device, engine.dtype)
            target = reduced(whole, self._known_side(each, whole.shape[-1]))
            objective = Objective(target, judge=load_judge("bundled", target, target.shape[-1]))
            parts.append(self.towards(engine, objective, codes[place : place + 1]))
            if parts[-1].stopped:
                break
        return join(parts)

    def _known_side(self, prepared: Prepared, side: int) -> int:
        """How many pixels of the photograph lie along a side of the crop, after it was made smaller."""
        from pixel2style2pixel_cli.inputs.lowres import DEGRADED_SIDE

        if self.factor > 1:
            return max(LEAST_KNOWN, min(DEGRADED_SIDE, side) // self.factor)
        if prepared.matrix is None:
            return side
        (a, b), (c, d) = prepared.matrix[:2, :2]
        scale = math.sqrt(abs(float(a * d - b * c)))
        across: int = round(prepared.crop.shape[0] / scale)
        return max(LEAST_KNOWN, min(side, across))


@dataclass(frozen=True, kw_only=True, slots=True)
class Degrade:
    """Makes the crop of ``side`` pixels that many times smaller and large again, by the published rule."""

    factor: int
    side: int
    size: int

    def __call__(self, found: Prepared, photo: Photo, relative: str, cut: Cut) -> Prepared:
        """The degraded crop at the encoder's size, and where comparisons look at it."""
        from pixel2style2pixel_cli.inputs.lowres import degrade
        from pixel2style2pixel_cli.inputs.photo import resize_photo

        if self.factor == 1:
            return found
        degraded = degrade(cut(photo.pixels, self.side), self.factor)
        target = None if found.target is None else resize_photo(degraded, len(found.target))
        return replace(found, crop=resize_photo(degraded, self.size), target=target)
