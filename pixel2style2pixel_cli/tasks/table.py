"""The tasks: what each is told, under the name of its command."""

from __future__ import annotations

from pixel2style2pixel_cli.tasks.frontalize import FrontalizeOptions
from pixel2style2pixel_cli.tasks.inpaint import InpaintOptions
from pixel2style2pixel_cli.tasks.invert import InvertOptions
from pixel2style2pixel_cli.tasks.mix import MixOptions
from pixel2style2pixel_cli.tasks.options import TaskOptions
from pixel2style2pixel_cli.tasks.seg2face import Seg2FaceOptions
from pixel2style2pixel_cli.tasks.sketch2face import Sketch2FaceOptions
from pixel2style2pixel_cli.tasks.superres import SuperresOptions
from pixel2style2pixel_cli.tasks.toonify import ToonifyOptions

_ALL: tuple[type[TaskOptions], ...] = (
    InvertOptions,
    FrontalizeOptions,
    Sketch2FaceOptions,
    Seg2FaceOptions,
    SuperresOptions,
    InpaintOptions,
    ToonifyOptions,
    MixOptions,
)
TASKS: dict[str, type[TaskOptions]] = {options.command: options for options in _ALL}
# Mixing works with the encoders for inversion.
TRAINED = tuple(name for name in TASKS if name != MixOptions.command)
