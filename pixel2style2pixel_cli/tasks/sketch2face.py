"""Sketch to face: a drawing in one channel becomes a photograph (pSp, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import INPUTS_HELP, FaceOptions, TaskOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.tasks.base import Pixels, Prepared, Preparer, RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.photo import Cut
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p sketch2face drawing.png -o face.png --mix-seed 0-3 --grid row",
    "p2s2p sketch2face photo.jpg --sketchify --preview-input",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Sketch2FaceOptions(TaskOptions):
    """Options of ``sketch2face``; ``sketchify`` makes the sketch from a photograph, whose face is looked for."""

    command: ClassVar[str] = "sketch2face"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    inputs_help: ClassVar[str] = "Drawings and scans" + INPUTS_HELP
    kind: ClassVar[InputKind] = "sketch"

    sketchify: bool = declare(False, "--sketchify", help="The inputs are photographs: make the drawings from them.")
    invert_sketch: bool = declare(False, "--invert-sketch", help="The drawings have light lines on dark paper.")

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError for two options that exclude each other."""
        TaskOptions.check(self, inputs)  # super() would look in the class that slots=True replaced
        if self.sketchify and self.invert_sketch:
            raise UsageError("--sketchify and --invert-sketch were both given", "a sketch that is made is not inverted")

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Drawings, or photographs that become drawings."""
        from pixel2style2pixel_cli.inputs.kinds import sketch_batch
        from pixel2style2pixel_cli.tasks.base import Task

        return Task(preparer=self._preparer(model), encoder_batch=sketch_batch)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """How the drawing is come by."""
        return {"sketchify": self.sketchify, "invert_sketch": self.invert_sketch}

    def _preparer(self, model: Model) -> Preparer:
        size = model.encoder_spec.input_size
        if not self.sketchify:
            return SketchPreparer(size=size, invert=self.invert_sketch)
        from pixel2style2pixel_cli.tasks.photo import photo_preparer

        change = Sketchify(size=size, side=max(size, model.generator_spec.resolution))
        return photo_preparer(FaceOptions(on_no_face="crop"), model, needs_target=False, change=change)


@dataclass(frozen=True, kw_only=True, slots=True)
class SketchPreparer:
    """Reads drawings and scans; ``invert`` for light lines on dark paper."""

    size: int
    invert: bool

    @property
    def holds_interpreter(self) -> bool:
        """Decoding and resizing do not."""
        return False

    def read(self, source: Path | bytes, *, name: str, max_pixels: int) -> Photo:
        """Decode a drawing."""
        from pixel2style2pixel_cli.files.image import read_image

        return read_image(source, name=name, max_pixels=max_pixels)

    def prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        """The drawing at the encoder's size, paper white and lines dark."""
        from pixel2style2pixel_cli.inputs.sketch import read_sketch
        from pixel2style2pixel_cli.tasks.base import Prepared

        sketch = read_sketch(photo.pixels, self.size, invert=self.invert, name=photo.name)
        return [
            Prepared(face=None, crop=_shown(sketch), encoder_pixels=sketch, target=None, matrix=None, aligned=False)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketchify:
    """Makes a drawing of a crop of ``side`` pixels, then brings it to the encoder's ``size``."""

    size: int
    side: int

    def __call__(self, found: Prepared, photo: Photo, relative: str, cut: Cut) -> Prepared:
        """The crop as a drawing."""
        from pixel2style2pixel_cli.inputs.photo import resize_photo
        from pixel2style2pixel_cli.inputs.sketch import sketchify

        sketch = resize_photo(_shown(sketchify(cut(photo.pixels, self.side))), self.size)
        return replace(found, crop=sketch, encoder_pixels=sketch[..., 0])


def _shown(sketch: Pixels) -> Pixels:
    """A drawing as a picture of three equal channels."""
    return sketch[..., None].repeat(3, axis=2)
