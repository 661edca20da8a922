"""What a task is: how an input becomes encoder inputs, and what a run of it needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.files.image import ImageFormat, Photo

if TYPE_CHECKING:
    # imports torch, which a refused plan should not wait for
    from pixel2style2pixel_cli.networks.stylegan2 import NoiseMode

Pixels = NDArray[np.uint8]
Align = Literal["auto", "always", "never"]
OnNoFace = Literal["skip", "fail", "crop"]
Grid = Literal["none", "pair", "sheet"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One encoder input cut out of one picture.

    ``crop`` is uint8 at the encoder's size; ``target`` the same at the generator's size, where something looks at it:
    optimisation, or a comparison. ``matrix`` (3, 3) maps photograph pixels to crop pixels; None where the picture was
    taken as it is.
    """

    face: int | None
    crop: Pixels
    target: Pixels | None
    matrix: NDArray[np.float64] | None
    aligned: bool
    points: NDArray[np.float64] | None = None
    warning: str | None = None

    @property
    def shown(self) -> Pixels:
        """The best picture of the crop there is."""
        return self.crop if self.target is None else self.target


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """What every task's run is told, apart from the inputs and the model."""

    command: str
    format: ImageFormat = "png"
    seed: int = 0
    noise: NoiseMode = "fixed"
    optimize: int = 0
    paste: bool = False
    debug_align: bool = False
    save_latents: bool = False
    grid: Grid = "none"
    keep_exif: bool = False
    metadata: bool = True
    fail_fast: bool = False
    max_pixels: int = 200_000_000
    many_faces: bool = False

    @property
    def needs_target(self) -> bool:
        """Whether the crop is also wanted at the generator's size."""
        return self.optimize > 0 or self.grid != "none" or self.debug_align

    @property
    def needs_photo(self) -> bool:
        """Whether the whole photograph is wanted once its crops are cut out."""
        return self.paste or self.debug_align

    @property
    def companions(self) -> tuple[str, ...]:
        """Endings of the pictures written beside each output."""
        pair = ("_pair",) if self.grid == "pair" else ()
        return (*pair, "_crop", "_landmarks") if self.debug_align else pair


class Task(Protocol):
    """One way of turning a picture into encoder inputs; picklable.

    ``holds_interpreter``: whether preparing holds Python's lock for long, so that threads cannot share the work.
    """

    @property
    def holds_interpreter(self) -> bool: ...

    def prepare(self, photo: Photo) -> list[Prepared]:
        """The encoder inputs of one picture; NoFaceError or InputError when there are none."""
        ...
