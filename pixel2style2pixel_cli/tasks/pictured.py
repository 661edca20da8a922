"""How commands invert the pictures of which they make one result: as ``invert`` does, with their own few options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.options.pictures import PictureOptions
from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import Source, Task


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PicturedOptions(OptimisedOptions):
    """The options of the inversion that come with those of such a command; ``keeps_target``: it looks at pictures."""

    command: ClassVar[str] = "invert"
    works_with: ClassVar[str] = "invert"
    takes_latents: ClassVar[bool] = True

    keeps_target: bool = False

    @property
    def needs_target(self) -> bool:
        """Whether a crop is also wanted at the generator's size."""
        return self.keeps_target or bool(self.optimize)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs and saved codes, optimised where asked."""
        from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
        from pixel2style2pixel_cli.tasks.base import Task
        from pixel2style2pixel_cli.tasks.latent import code_preparer

        return Task(
            preparer=code_preparer(self, model), encoder_batch=INPUT_KINDS[self.kind].batch, change=self.found
        )  # fmt: skip

    @classmethod
    def of(cls, options: PictureOptions, *, optimize: int | None, keeps_target: bool = False) -> PicturedOptions:
        """The options of the inversion for those of a command, in single precision."""
        return cls(
            model=options.model, device=options.device, dtype="float32", seed=options.seed, align=options.align,
            face=options.face, on_no_face="fail", detector=options.detector,
            detector_threshold=options.detector_threshold, max_pixels=options.max_pixels, optimize=optimize,
            on_event=options.on_event, keeps_target=keeps_target,
        )  # fmt: skip
