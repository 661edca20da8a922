"""Frontalisation: the face turned to the front (pSp, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import MissingError
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import FaceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.networks.encoder import Encoder
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p frontalize photo.jpg -o front.png --grid pair",
    "p2s2p frontalize photos/ -r -o fronts/ --strength 0.7",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class FrontalizeOptions(FaceOptions):
    """Options of ``frontalize``.

    ``strength`` goes from the face as it is (0) to its frontal code (1); ``layers`` are the rows that turn, by default
    all of them. Both need an inversion model for the same generator.
    """

    command: ClassVar[str] = "frontalize"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES

    strength: float = declare(
        1.0, "--strength", metavar="S", minimum=0, maximum=1,
        help="How far it turns: 0 leaves the face as it is, 1 turns it all the way.",
    )  # fmt: skip
    layers: str | None = declare(
        None, "--layers", metavar="ROWS", default_means="all", help="Rows that turn: 0-5, coarse, middle, fine."
    )

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of a code that options name, as they were written."""
        return tuple(rows for rows in (self.mix_layers, self.layers) if rows is not None)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs as they are; part of the way where asked."""
        from pixel2style2pixel_cli.tasks.photo import photo_task

        rows = model.generator_spec.n_styles
        layers = self._turning(rows)
        partly = self.strength < 1 or len(layers) < rows
        turn = PartialTurn(_plain_encoder(model), layers, self.strength) if partly else None
        return photo_task(self, model, change_codes=turn)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """How far which rows turn."""
        return {"strength": self.strength, "layers": ",".join(map(str, self._turning(installed.generator.n_styles)))}

    def _turning(self, rows: int) -> tuple[int, ...]:
        """The rows that turn."""
        from pixel2style2pixel_cli.engine.rows import parse_layers

        return tuple(range(rows)) if self.layers is None else parse_layers(self.layers, rows)


class PartialTurn:
    """Goes part of the way from the code of a face as it is to its frontal code."""

    def __init__(self, plain: Encoder, layers: tuple[int, ...], strength: float) -> None:
        self.plain, self.layers, self.strength = plain, layers, strength

    def __call__(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The codes of these crops, turned."""
        import torch

        from pixel2style2pixel_cli.engine.mixing import mix_rows
        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.inputs.photo import resize_photo

        crops = to_float([resize_photo(p.crop, self.plain.spec.input_size) for p in prepared])
        inputs = crops.to(engine.device, engine.dtype, memory_format=torch.channels_last)
        as_it_is = self.plain(inputs)
        return codes.with_w_plus(mix_rows(as_it_is, codes.w_plus, self.layers, self.strength))


def _plain_encoder(model: Model) -> Encoder:
    """The encoder of the installed inversion model for the same generator."""
    from pixel2style2pixel_cli.engine.loading import load_encoder
    from pixel2style2pixel_cli.weights.header import read_weight_header
    from pixel2style2pixel_cli.zoo.choose import installed_models

    for other in installed_models("invert"):
        if read_weight_header(other.files["generator"]).digest == model.generator_digest:
            return load_encoder(other, model.generator)
    raise MissingError(
        f"--strength and --layers need an inversion model for the generator of {model.card.name}",
        "leave them out, or install that model: p2s2p models list",
    )
