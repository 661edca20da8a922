"""Segmentation to face: a map of classes becomes a photograph (pSp, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import INPUTS_HELP, TaskOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p seg2face map.png --mix-seed 0-7 --grid row -o faces/",
    "p2s2p seg2face maps/ -r --labels bisenet-19",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Seg2FaceOptions(TaskOptions):
    """Options of ``seg2face``; ``labels`` names the schema of the maps, by default the model's."""

    command: ClassVar[str] = "seg2face"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    inputs_help: ClassVar[str] = "Label maps" + INPUTS_HELP
    kind: ClassVar[InputKind] = "labels"

    labels: str | None = declare(
        None, "--labels", metavar="SCHEMA", default_means="the model's",
        help="What the numbers in the maps mean: celebamask-19 or bisenet-19.",
    )  # fmt: skip

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for a schema nobody knows."""
        TaskOptions.check(self, inputs)  # super() would look in the class that slots=True replaced
        if self.labels is not None:
            from pixel2style2pixel_cli.inputs.labels import find_schema

            find_schema(self.labels)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Label maps in the named schema, brought to the model's."""
        from pixel2style2pixel_cli.inputs.kinds import label_batch
        from pixel2style2pixel_cli.inputs.labels import class_table, find_schema
        from pixel2style2pixel_cli.tasks.base import Task

        target = model.card.input.schema
        if target is None:
            raise UsageError(f"the card {model.card.name} names no schema of labels", "add input.schema to it")
        source = self.labels or target
        class_table(find_schema(source), find_schema(target))  # refuses what no map could be read with
        preparer = LabelsPreparer(size=model.encoder_spec.input_size, source=source, target=target)
        return Task(preparer=preparer, encoder_batch=label_batch)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """What the numbers of the map mean."""
        return {"labels": self.labels or installed.card.input.schema}


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelsPreparer:
    """Reads label maps of the schema ``source`` for an encoder trained on ``target``."""

    size: int
    source: str
    target: str

    @property
    def holds_interpreter(self) -> bool:
        """Decoding and resizing do not."""
        return False

    def read(self, source: Path | bytes, *, name: str, max_pixels: int) -> Photo:
        """Decode a label map, its numbers untouched."""
        from pixel2style2pixel_cli.files.indexed import read_indexed

        return read_indexed(source, name=name, max_pixels=max_pixels)

    def prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        """The map at the encoder's size, in the order of the model's classes."""
        from pixel2style2pixel_cli.files.indexed import IndexedPhoto
        from pixel2style2pixel_cli.inputs.labels import colour_map, find_schema, index_map, resize_labels
        from pixel2style2pixel_cli.tasks.base import Prepared

        target = find_schema(self.target)
        palette = photo.palette if isinstance(photo, IndexedPhoto) else None
        found = index_map(photo.pixels, find_schema(self.source), target, name=photo.name, palette=palette)
        labels = resize_labels(found, self.size, name=photo.name)
        crop = colour_map(labels, target)
        return [Prepared(face=None, crop=crop, encoder_pixels=labels, target=None, matrix=None, aligned=False)]
