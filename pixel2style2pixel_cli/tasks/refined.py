"""Codes of photographs by an encoder that is refined for each of them, then optimised where asked (methods.md 8.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pixel2style2pixel_cli.engine.codes import Codes, Found
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.events import Phase
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.fitting.objective import Judge, load_judge
from pixel2style2pixel_cli.fitting.refine import COMPANIONS, Refined, Refinement
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
from pixel2style2pixel_cli.tasks.base import Prepared
from pixel2style2pixel_cli.tasks.latent import known_code

if TYPE_CHECKING:
    from pixel2style2pixel_cli.tasks.invert import InvertOptions


class Refiner:
    """What ``invert`` does between encoder and generator; what it looks through is loaded once."""

    def __init__(self, options: InvertOptions) -> None:
        self.options = options
        self._refinement: Refinement | None = None
        self._judge: Judge | None = None

    def __call__(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The codes of these pictures, refined and optimised where asked; each says at which stage it was found."""
        spec, said = engine.model.encoder_spec, Found()
        if spec.has_offsets:
            said = Found(metrics={"stage": spec.open_rows(engine.model.generator_spec.n_styles)})
        refined = replace(codes, found=(said,) * len(prepared))
        if self.options.refine:
            refined = self._refined(engine, prepared, refined)
        if refined.stopped:
            return refined
        better = self.options.found(engine, prepared, refined)
        if better.found is refined.found:
            return better
        pairs = zip(refined.found or (), better.found or (), strict=True)
        return replace(better, found=tuple(_joined(before, after) for before, after in pairs))

    def _refined(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The codes by the refined encoder where none is known; an interrupt leaves out the pictures after it."""
        rows, said = [], []
        for place, (picture, found) in enumerate(zip(prepared, codes.found or (), strict=True)):
            row = codes.w_plus[place : place + 1]
            if known_code(engine, picture) is None:
                made = self._refine_one(engine, picture)
                row, found = made.code.to(row), _joined(found, self._told(made))
            rows.append(row)
            said.append(found)
            if found.stopped is not None:
                break
        return replace(codes[: len(rows)], w_plus=torch.cat(rows), found=tuple(said))

    def _refine_one(self, engine: Engine, picture: Prepared) -> Refined:
        model, options = engine.model, self.options
        if self._refinement is None:
            self._judge = load_judge("auto", model.generator.latent_avg, model.generator_spec.resolution)
            self._refinement = Refinement(model.encoder, model.generator, judge=self._judge, seed=options.seed)
        # A picture that is optimised afterwards is done only then.
        pictures = 0 if options.optimize else max(1, len(options.samples))

        def tell(step: int, loss: float) -> None:
            engine.on_event(Phase(name="refining", done=step, total=options.refine, pictures=pictures, loss=loss))

        assert picture.target is not None
        batch = INPUT_KINDS[options.kind].batch([picture.encoder_input])
        target = to_float([picture.target])
        return self._refinement.run(
            batch.to(engine.device, engine.dtype), target.to(engine.device, engine.dtype), steps=options.refine,
            on_step=tell,
        )  # fmt: skip

    def _told(self, made: Refined) -> Found:
        """What the recipe and the line of a picture say of its refinement."""
        judge = "squared error" if self._judge is None else f"{self._judge.name} and squared error"
        drawn = f"{COMPANIONS} faces of the generator a step, seed {self.options.seed}"
        recipe: dict[str, int | float | str] = {"companions": drawn, "refined_by": judge, "refine_best": made.best_step}
        stopped = None
        if made.interrupted:  # a resumed run says that this picture was made with other options
            recipe["refine"] = made.steps
            stopped = f"stopped after {made.steps} of {self.options.refine} steps of refinement"
        return Found(
            metrics={"refined": made.steps, "refine_loss": round(made.loss, 6)}, recipe=recipe, stopped=stopped
        )


def _joined(before: Found, after: Found) -> Found:
    """What both have to say; the later one is right where they differ."""
    return Found(
        metrics={**before.metrics, **after.metrics},
        recipe={**before.recipe, **after.recipe},
        stopped=after.stopped or before.stopped,
        frames=after.frames or before.frames,
    )
