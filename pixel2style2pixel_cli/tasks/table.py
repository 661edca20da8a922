"""The tasks: what each does, under the name of its command, and the class of what it is told."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pixel2style2pixel_cli.options.task import TaskOptions


class Row(NamedTuple):
    """The options of a task by name, so that a command reads the module of its own task alone; and its help.

    ``trained``: encoders are trained for it. The others work with those for inversion.
    """

    options: str
    does: str
    trained: bool = True


TASKS = {
    "invert": Row("InvertOptions", "Find the code of each face and write the picture that the generator makes of it."),
    "frontalize": Row("FrontalizeOptions", "Turn each face to the front."),
    "sketch2face": Row("Sketch2FaceOptions", "Make a photograph of a face from a drawing of it."),
    "seg2face": Row("Seg2FaceOptions", "Make a photograph of a face from a map of its parts."),
    "superres": Row(
        "SuperresOptions", "Give a small or blurred face plausible detail; what was lost is invented, not recovered."
    ),
    "inpaint": Row("InpaintOptions", "Fill in the masked part of a face."),
    "toonify": Row("ToonifyOptions", "Draw each face in the look of another generator."),
    "mix": Row(
        "MixOptions",
        "Put rows of each STYLE into CONTENT, one output for each; --mix-seed draws random styles instead.",
        trained=False,
    ),
    "edit": Row(
        "EditOptions",
        "Change one thing about each face, such as smile, age or pose, by moving its code along a direction.",
        trained=False,
    ),
    "generate": Row("GenerateOptions", "Draw random faces, one for each seed.", trained=False),
    "transfer": Row(
        "TransferOptions",
        "Draw CONTENT in the style of each STYLE: the first rows of the one, the others of the other.",
        trained=False,
    ),
    "morph": Row(
        "MorphOptions", "Draw the way from one face to the next, as an animation or as frames.", trained=False
    ),
    "expression": Row(
        "ExpressionOptions", "Give TARGET what tells EXPRESSIVE from NEUTRAL, such as a smile.", trained=False
    ),
    "embed": Row(
        "EmbedOptions",
        "Find the code of each picture by optimisation alone, slower and nearer than an encoder (Image2StyleGAN).",
        trained=False,
    ),
}
TRAINED = tuple(name for name, row in TASKS.items() if row.trained)


def options_of(task: str) -> type[TaskOptions]:
    """What a task is told; the module of a task has its name."""
    options: type[TaskOptions] = getattr(import_module(f"{__package__}.{task}"), TASKS[task].options)
    return options
