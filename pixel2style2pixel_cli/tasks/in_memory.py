"""A task on pictures in memory: what users hand over becomes inputs, and what is drawn becomes results."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import InputError, ShapeError
from pixel2style2pixel_cli.files.image import Photo, read_image
from pixel2style2pixel_cli.result import FoundFace, Result
from pixel2style2pixel_cli.seeds import image_seed
from pixel2style2pixel_cli.tasks.base import Prepared, Source
from pixel2style2pixel_cli.tasks.latent import LatentInput

if TYPE_CHECKING:
    # imports torch, which nothing here needs to be imported with
    from pixel2style2pixel_cli.tasks.choose import Chosen
    from pixel2style2pixel_cli.tasks.translate import Translator

# A Pillow image, an array of uint8 (H, W, 3), (H, W, 4) or (H, W), the path of a picture file; and, where codes may
# stand for pictures, rows in W+, float32 (N, D), or an earlier result.
Given: TypeAlias = Image.Image | NDArray[np.uint8] | NDArray[np.float32] | str | Path | Result


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """One input of a call: what messages call it, and a file, the bytes of one, or codes in the place of a picture."""

    name: str
    source: Path | bytes | LatentInput

    def as_source(self) -> Source:
        """The same for a task that reads its first input by itself."""
        if isinstance(self.source, bytes):
            return read_image(self.source, name=self.name)
        return str(self.source) if isinstance(self.source, Path) else self.source


def take(given: Given, index: int, generator: str | None = None) -> Input:
    """An input out of what a user handed over; ``generator`` is the digest of the one that codes must belong to."""
    if isinstance(given, (str, Path)):
        return Input(str(given), Path(given).expanduser())
    name = f"image {index}"
    if isinstance(given, Image.Image):
        return Input(name, _png(given))
    if isinstance(given, Result):
        if generator is not None and given.generator != generator:
            raise InputError(
                f"{name} was drawn by generator {given.generator[:12]}, and this model has {generator[:12]}",
                "use a result of the same model",
            )
        return Input(name, _latent(given.codes, name))
    if isinstance(given, np.ndarray) and given.dtype == np.float32 and given.ndim == 2:
        return Input(name, _latent(given, name))
    if isinstance(given, np.ndarray) and given.dtype == np.uint8 and _is_picture(given.shape):
        return Input(name, _png(Image.fromarray(given)))
    found = (
        f"{given.dtype} {'x'.join(map(str, given.shape))}" if isinstance(given, np.ndarray) else type(given).__name__
    )
    raise ShapeError(
        f"{name} is {found}, expected a Pillow image, an array of uint8 (H, W, 3) or a path",
        "convert it first: values from 0 to 255 as uint8, colours in the order red, green, blue",
    )


class MemoryTask:
    """A task with its options on a loaded model, for pictures in memory."""

    def __init__(self, chosen: Chosen, translator: Translator, sources: Sequence[Source]) -> None:
        self.chosen, self.translator = chosen, translator
        engine = translator.engine
        recipes = chosen.recipes(sources)
        self.recipes = recipes.with_engine(dtype=engine.dtype_name, backend=engine.backend.name)
        self.variants = chosen.options.variants

    def prepare(self, given: Input) -> tuple[Photo, list[Prepared]]:
        """The picture, and the encoder inputs in it; InputError or NoFaceError where there are none."""
        preparer = self.translator.task.preparer
        if isinstance(given.source, LatentInput):
            return given.source, preparer.prepare(given.source, given.name)
        photo = preparer.read(given.source, name=given.name, max_pixels=self.chosen.options.max_pixels)
        return photo, preparer.prepare(photo, _relative(given))

    def draw(self, inputs: Sequence[tuple[Input, Photo, list[Prepared]]]) -> list[list[Result]]:
        """The results of each input: every variant of every face."""
        flat = [(number, face) for number, (_, _, faces) in enumerate(inputs) for face in faces]
        if not flat:
            return [[] for _ in inputs]
        prepared, seed = [face for _, face in flat], self.chosen.options.chance
        seeds = [image_seed(seed, f"{_relative(inputs[n][0])}#{face.face or 0}") for n, face in flat]
        codes = self.translator.encode(prepared)
        if len(codes) < len(prepared):  # an interrupt ended the optimisation of one that others come after
            raise KeyboardInterrupt
        order = [(index, variant) for index in range(len(flat)) for variant in self.variants]
        results: list[list[Result]] = [[] for _ in inputs]
        for part in self.translator.draw(prepared, codes, seeds, order):
            for index, picture in part:
                number, face = flat[index]
                given, photo, _ = inputs[number]
                made = self.recipes.make(
                    name=_relative(given), sha256=photo.sha256, prepared=picture.told(face), variant=picture.variant
                )
                results[number].append(
                    Result(
                        array=picture.pixels,
                        codes=picture.codes,
                        noise=picture.noise,
                        generator=self.translator.engine.model.generator_digest,
                        face=FoundFace(
                            index=face.face, points=face.points, matrix=face.matrix, crop_size=face.crop.shape[0]
                        ),
                        crop=face.crop,
                        photo=photo.pixels if face.codes is None and photo.pixels.size else None,
                        variant=picture.variant,
                        hole=face.hole is not None,
                        metrics={} if picture.found is None else dict(picture.found.metrics),
                        made=made,
                    )
                )
        return results


def _relative(given: Input) -> str:
    """What recipes and seeds call the input: the name of its file, as where it is given to the command."""
    return given.source.name if isinstance(given.source, Path) else given.name


def _is_picture(shape: tuple[int, ...]) -> bool:
    return (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))) and 0 not in shape


def _png(image: Image.Image) -> bytes:
    """The picture as a file, so that it is read like one: profile, orientation, palette and transparency."""
    out = io.BytesIO()
    try:
        image.save(out, "PNG", compress_level=0, exif=image.getexif())
    except (OSError, ValueError) as error:
        raise InputError(
            f"a picture of mode {image.mode} cannot be used: {error}", "convert it to RGB first"
        ) from error
    return out.getvalue()


def _latent(codes: NDArray[np.generic], name: str) -> LatentInput:
    values = np.ascontiguousarray(codes, dtype=np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"the codes of {name} are not finite numbers", "find them again with encode")
    sha256 = hashlib.sha256(values.tobytes()).hexdigest()
    return LatentInput(pixels=np.zeros((0, 0, 3), np.uint8), sha256=sha256, name=name, codes=values)
