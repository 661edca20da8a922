"""What a task is: how an input becomes encoder inputs, what the network gets, what becomes of its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from pixel2style2pixel_cli.options.task import TaskOptions

if TYPE_CHECKING:
    # Nothing heavy is needed to say what a task is: helper processes should not wait for torch, and a run with nothing
    # left to do not even for NumPy.
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.variants import Variant
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

Pixels: TypeAlias = "NDArray[np.uint8]"
RecipeValue: TypeAlias = bool | int | float | str | None
# An input of a task: a path as typed, or a picture that is in memory already.
Source: TypeAlias = "str | Photo"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One encoder input cut out of one picture.

    ``crop`` is uint8 (S, S, 3) at the encoder's size, for people and for pasting; ``encoder_pixels`` is what the
    encoder gets where that is another array: a sketch (S, S), a map of classes (S, S), a picture with its mask
    (S, S, 4). ``target`` is the photograph's crop at the generator's size (R), where something looks at it:
    optimisation, or a comparison; ``hole`` (R, R) is the part of it that is to be filled in. ``matrix`` (3, 3) maps
    photograph pixels to crop pixels; None where the picture was taken as it is. ``codes`` (N, D) take the place of the
    encoder's where the input is a latent. ``faceless``: a face was looked for and
    none found. ``note`` is worth saying of this face, and ``left_out`` counts, at the first
    face of a picture, the detections in it that were too weak to be taken. ``recipe`` is what was found while preparing
    and decides pixels.
    """

    face: int | None
    crop: Pixels
    target: Pixels | None
    matrix: NDArray[np.float64] | None
    aligned: bool
    encoder_pixels: Pixels | None = None
    hole: NDArray[np.bool_] | None = None
    codes: NDArray[np.float32] | None = None
    points: NDArray[np.float64] | None = None
    note: str | None = None
    faceless: bool = False
    left_out: int = 0
    recipe: Mapping[str, RecipeValue] = field(default_factory=dict)

    @property
    def shown(self) -> Pixels:
        """The best picture of the crop there is; what is to be made up is grey in it."""
        if self.target is None:
            return self.crop
        if self.hole is None:
            return self.target
        import numpy as np

        from pixel2style2pixel_cli.inputs.masked import HOLE_GREY

        return np.where(self.hole[..., None], np.uint8(HOLE_GREY), self.target)

    @property
    def encoder_input(self) -> Pixels:
        """What the encoder gets, as bytes."""
        return self.crop if self.encoder_pixels is None else self.encoder_pixels


class Preparer(Protocol):
    """Turns a picture into encoder inputs; picklable, and importable without torch.

    ``holds_interpreter``: whether preparing holds Python's lock for long, so that threads cannot share the work.
    """

    @property
    def holds_interpreter(self) -> bool: ...

    def read(self, source: Path | bytes, *, name: str, max_pixels: int) -> Photo:
        """Decode one input; InputError where it cannot be."""
        ...

    def prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        """The encoder inputs of one picture; NoFaceError or InputError when there are none."""
        ...


class CodeChange(Protocol):
    """A task's own step between encoder and generator."""

    def __call__(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The codes (b, N, D) of these encoder inputs, changed."""
        ...


class CodeVariation(Protocol):
    """What makes several pictures of one code: a step along a direction, a place on a path."""

    def __call__(self, engine: Engine, codes: Codes, variants: Sequence[Variant]) -> Codes:
        """The codes (b, N, D), each changed as its variant says."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One way of turning pictures into pictures.

    ``encoder_batch`` makes the encoder's batch (B, C, S, S). ``change`` works on its codes before anything is mixed in
    and drawn, once for each input; ``vary`` then makes of it what each variant is drawn from. ``finish`` changes a
    drawn picture before it is written. ``content`` is what every input is mixed into, where there is such a thing:
    comparisons show it first. Where ``encodes`` is not set, ``change`` makes its codes of the average one. ``passes``
    are those of a ReStyle encoder, None for as many as its card says.
    """

    preparer: Preparer
    encoder_batch: Callable[[Sequence[Pixels]], Tensor]
    change: CodeChange | None = None
    vary: CodeVariation | None = None
    finish: Callable[[Prepared, Pixels], Pixels] | None = None
    content: Prepared | None = None
    encodes: bool = True
    passes: int | None = None


@runtime_checkable
class MakesTask(Protocol):
    """The options of a task, which know how it is done."""

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """The task, made for a loaded model; ``inputs`` are paths as typed, or pictures in memory."""
        ...

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """What of the task's own options decides pixels on this model."""
        ...


def task_maker(options: TaskOptions) -> MakesTask:
    """The same options, as what makes their task."""
    if not isinstance(options, MakesTask):
        raise TypeError(f"{type(options).__name__} makes no task")
    return options
