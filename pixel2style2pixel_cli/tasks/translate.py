"""From encoder inputs to pictures: one task, with its options, on one loaded model.

Both fronts stand on it: the session, which is given pictures in memory, and the jobs, which read and write files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared, Task
from pixel2style2pixel_cli.tasks.styles import Styles
from pixel2style2pixel_cli.variants import Variant

if TYPE_CHECKING:
    from pixel2style2pixel_cli.engine.codes import Codes, Found
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.networks.stylegan2 import NoiseMode


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawn picture: uint8 (R, R, 3), and the codes (N, D), float32, that it was drawn from.

    ``noise`` are its own noise maps (s, s), one for each layer, where it has some; ``found`` is what optimisation says
    of it. ``frames`` are the pictures of an animation, of which ``pixels`` is the last.
    """

    variant: Variant
    pixels: Pixels
    codes: NDArray[np.float32]
    noise: tuple[NDArray[np.float32], ...] | None = None
    found: Found | None = None
    frames: tuple[Pixels, ...] = ()

    def told(self, prepared: Prepared) -> Prepared:
        """The encoder input with what was found while its picture was optimised, for the recipe."""
        if self.found is None or not self.found.recipe:
            return prepared
        return replace(prepared, recipe={**prepared.recipe, **self.found.recipe})


class Translator:
    """A task on a model: encoder inputs become codes, codes become one picture for each variant."""

    def __init__(self, task: Task, engine: Engine, *, styles: Styles | None, noise: NoiseMode) -> None:
        self.task, self.engine, self.styles, self.noise = task, engine, styles, noise

    def pictured(self, prepared: Prepared) -> Prepared:
        """A latent with the picture that its codes stand for, for comparisons; anything else as it is."""
        if prepared.codes is None or prepared.target is not None:
            return prepared
        import torch

        from pixel2style2pixel_cli.engine.codes import Codes

        codes = Codes(torch.from_numpy(prepared.codes)[None].to(self.engine.device, self.engine.dtype))
        return replace(prepared, target=to_uint8(self.engine.draw(codes, "fixed"))[0])

    def encode(self, prepared: Sequence[Prepared]) -> Codes:
        """Codes (B, N, D) of encoder inputs, with the task's own change, before any style is mixed in."""
        task = self.task
        if not task.encodes:
            return self._made_up(prepared)
        batch = task.encoder_batch([p.encoder_input for p in prepared])
        if task.change is None:
            return self.engine.encode(batch, passes=task.passes)
        change = task.change
        return self.engine.encode(
            batch, lambda codes, part: change(self.engine, prepared[part], codes), passes=task.passes
        )

    def _made_up(self, prepared: Sequence[Prepared]) -> Codes:
        """The codes of a task that no encoder takes part in."""
        from pixel2style2pixel_cli.engine.codes import Codes, join

        engine, change = self.engine, self.task.change
        generator = engine.model.generator
        average = generator.repeat(generator.latent_avg[None])

        def run(start: int, stop: int) -> Codes:
            codes = Codes(average.expand(stop - start, -1, -1))
            return codes if change is None else change(engine, prepared[start:stop], codes)

        return join(engine.split(len(prepared), run))

    def draw(
        self, prepared: Sequence[Prepared], codes: Codes, seeds: Sequence[int], order: Sequence[tuple[int, Variant]]
    ) -> Iterator[list[tuple[int, Picture]]]:
        """Pictures in the ``order`` asked for: the index of an encoder input, and a variant of it.

        ``seeds`` are those of the noise, one for each encoder input: its variants share it. Pictures come in parts that
        fit the device, so that what is held does not grow with the number of variants.
        """
        step = self.engine.batch_size.size
        for start in range(0, len(order), step):
            part = order[start : start + step]
            indices = [index for index, _ in part]
            mixed = self._mixed(codes, part)
            images = to_uint8(self.engine.draw(mixed, self.noise, [seeds[i] for i in indices] if seeds else ()))
            finish = self.task.finish
            yield [
                (i, _picture(variant, image if finish is None else finish(prepared[i], image), mixed, place))
                for place, ((i, variant), image) in enumerate(zip(part, images, strict=True))
            ]

    def _mixed(self, codes: Codes, part: Sequence[tuple[int, Variant]]) -> Codes:
        import torch

        chosen = codes[[index for index, _ in part]]
        if self.task.vary is not None:
            chosen = self.task.vary(self.engine, chosen, [variant for _, variant in part])
        if self.styles is None:
            return chosen
        mix_in = self.styles.mix_in
        mixed = [mix_in(code, variant) for code, (_, variant) in zip(chosen.w_plus, part, strict=True)]
        return chosen.with_w_plus(torch.stack(mixed))


def _picture(variant: Variant, pixels: Pixels, codes: Codes, place: int) -> Picture:
    """A drawn picture with its own codes out of those of its batch."""
    noise = codes.noise
    return Picture(
        variant,
        pixels,
        codes.w_plus[place].float().cpu().numpy(),
        noise=None if noise is None else tuple(map_[place, 0].float().cpu().numpy() for map_ in noise),
        found=None if codes.found is None else codes.found[place],
    )
