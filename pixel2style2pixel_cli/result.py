"""What a session gives back: one picture with its code, face and recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.recipe import Recipe, recipe_json, xmp_packet
from pixel2style2pixel_cli.variants import SINGLE, Variant

if TYPE_CHECKING:
    from PIL import Image

    from pixel2style2pixel_cli.files.animation import AnimationFormat
    from pixel2style2pixel_cli.files.image import ImageFormat

MOVING: dict[str, AnimationFormat] = {".webp": "webp", ".gif": "gif", ".mp4": "mp4"}
FORMATS: dict[str, ImageFormat] = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FoundFace:
    """Where a face is in its photograph.

    ``index`` counts the faces, best first. ``points`` (68, 2) are its landmarks, in pixels of the photograph.
    ``matrix`` (3, 3) maps them to pixels of the crop the encoder saw, of side ``crop_size``. Each is None where there
    was no face to look for.
    """

    index: int | None
    points: NDArray[np.float64] | None = None
    matrix: NDArray[np.float64] | None = None
    crop_size: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Result:
    """One picture made by a session.

    ``array`` is uint8 (R, R, 3) RGB; ``codes`` (N, D), float32, are the rows in W+ it was drawn from, for the generator
    whose digest is ``generator``. ``crop`` is what the encoder saw, uint8 (S, S, 3), ``hole`` whether a part of it was
    to be filled in. ``variant`` says which of several pictures of one input it is. ``noise`` are noise maps (s, s) of
    its own, one for each layer, where it has some; ``metrics`` are the numbers that optimisation reports, such as the
    loss.
    """

    array: NDArray[np.uint8]
    codes: NDArray[np.float32]
    generator: str
    face: FoundFace | None = None
    crop: NDArray[np.uint8] | None = None
    photo: NDArray[np.uint8] | None = None
    variant: Variant = SINGLE
    hole: bool = False
    made: Recipe | None = None
    noise: tuple[NDArray[np.float32], ...] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Sizes instead of numbers: a notebook shows results in lists."""
        face = "" if self.face is None or self.face.index is None else f", face {self.face.index}"
        variant = f", {self.variant.label}" if self.variant.key else ""
        rows, width = self.codes.shape
        return f"Result({self.array.shape[1]} x {self.array.shape[0]}, {rows} rows of {width}{face}{variant})"

    def _repr_png_(self) -> bytes:
        """The picture itself, where a notebook asks for it."""
        from pixel2style2pixel_cli.files.image import encode_image

        return encode_image(self.array, "png")

    @property
    def image(self) -> Image.Image:
        """The picture as a Pillow image."""
        from PIL import Image

        return Image.fromarray(self.array)

    @property
    def recipe(self) -> dict[str, Any]:
        """How the picture was made: command, options, model, hashes; empty for one drawn from given codes."""
        return {} if self.made is None else asdict(self.made)

    def paste(self) -> Image.Image:
        """The photograph with this face in the place of its own.

        Raises UsageError where the input was no photograph, or no face was cut out of it.
        """
        from PIL import Image

        from pixel2style2pixel_cli.face.paste import paste_face

        face = self.face
        if self.photo is None or face is None or face.matrix is None or face.crop_size is None:
            raise UsageError(
                "there is no photograph that this picture could be put back into",
                "paste works on pictures made from a face in a photograph",
            )
        pasted = paste_face(
            self.photo,
            self.array,
            face.matrix,
            crop_size=face.crop_size,
            original_crop=self.crop,
            match_colours=not self.hole,  # a hole has no colours to match
        )
        return Image.fromarray(pasted)

    def save(self, path: str | Path) -> Path:
        """Write the picture with its recipe and the mark as synthetic, or its code where the name ends in .safetensors.

        An existing file is replaced. Raises UsageError for another ending, OutputError where it cannot be written.
        """
        from pixel2style2pixel_cli.files.atomic import write_atomic
        from pixel2style2pixel_cli.files.image import encode_image
        from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX, LatentFile, save_latents

        target = Path(path).expanduser()
        recipe = None if self.made is None else recipe_json(self.made)
        if target.suffix.lower() == LATENT_SUFFIX:
            matrix = None if self.face is None or self.face.matrix is None else self.face.matrix.tolist()
            save_latents(target, LatentFile(
                codes=self.codes, space="W+", generator=self.generator, matrix=matrix, recipe=recipe, noise=self.noise
            ))  # fmt: skip
            return target
        format = FORMATS.get(target.suffix.lower())
        if format is None:
            raise UsageError(
                f"{target.name} ends in none of {', '.join((*FORMATS, LATENT_SUFFIX))}",
                "save as result.png for a picture",
            )
        write_atomic(target, encode_image(self.array, format, recipe=recipe, xmp=xmp_packet()))
        return target


def save_animation(results: Sequence[Result], path: str | Path, *, fps: float = 24.0) -> Path:
    """Write results as the frames of one animation, by the ending: .webp, .gif, or .mp4 where PyAV is installed.

    The recipe is that of the last. An existing file is replaced. Raises UsageError for another ending or no results,
    MissingError without PyAV, OutputError where it cannot be written.
    """
    from pixel2style2pixel_cli.files.animation import encode_animation
    from pixel2style2pixel_cli.files.atomic import write_atomic

    target = Path(path).expanduser()
    format = MOVING.get(target.suffix.lower())
    if format is None or not results:
        what = f"{target.name} ends in none of {', '.join(MOVING)}" if format is None else "there are no frames"
        raise UsageError(what, "save_animation(session.morph([a, b]), 'morph.webp')")
    made = results[-1].made
    recipe = None if made is None else recipe_json(made)
    write_atomic(target, encode_animation([r.array for r in results], format, fps=fps, recipe=recipe, xmp=xmp_packet()))
    return target
