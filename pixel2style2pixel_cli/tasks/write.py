"""The files of one result: picture with its recipe, latent, comparison, alignment check."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pixel2style2pixel_cli.engine.loading import Model
from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.face.paste import paste_face
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.image import Photo, encode_image, read_metadata
from pixel2style2pixel_cli.files.latents import LatentFile, save_latents
from pixel2style2pixel_cli.files.plan import Plan, PlanItem
from pixel2style2pixel_cli.files.recipe import Json, Recipe, parse_recipe, recipe_json, same_recipe, xmp_packet
from pixel2style2pixel_cli.files.sheet import pair_image, sheet_image
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared, RunOptions

TILE = 192


@dataclass(slots=True)
class Result:
    """What came out for one face, and, once written, where it is."""

    item: PlanItem
    photo: Photo
    prepared: Prepared
    image: Pixels
    codes: NDArray[np.float32]
    output: str | None = None
    latent: str | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class SheetTiles:
    """Small copies of all pairs for the sheet at the end, in the order of the plan."""

    rows: dict[tuple[int, int], tuple[str, list[Pixels]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, result: Result) -> None:
        """Keep a pair; called from the writing threads."""
        pair = [_tile(result.prepared.shown), _tile(result.image)]
        key = (result.item.index, result.prepared.face or 0)
        with self.lock:
            self.rows[key] = (result.item.label.rpartition("/")[2], pair)


class Writer:
    """Writes results; safe to call from several threads."""

    def __init__(
        self, model: Model, plan: Plan, options: RunOptions, stdout: Callable[[bytes], object], tiles: SheetTiles
    ) -> None:
        self.model, self.plan, self.options, self.stdout, self.tiles = model, plan, options, stdout, tiles

    def write(self, result: Result) -> Result:
        """Write every file of one result; the picture last, so that a picture that exists is complete."""
        started = time.perf_counter()
        options, item, prepared = self.options, result.item, result.prepared
        face = prepared.face or 0
        text = recipe_json(self._recipe(item, result.photo, prepared))
        if options.save_latents:
            path = item.face_latent(face)
            matrix = None if prepared.matrix is None else prepared.matrix.tolist()
            latent = LatentFile(
                codes=result.codes, space="W+", generator=self.model.generator_digest, matrix=matrix, recipe=text
            )
            save_latents(path, latent)
            result.latent = str(path)
        for ending, picture in self._companions(result).items():
            write_atomic(item.companion(ending, face), self._encode(picture, text, None, composite=False))
        if options.grid == "sheet":
            self.tiles.add(result)
        picture = self._paste(result) if options.paste else result.image
        data = self._encode(picture, text, result.photo, composite=options.paste)
        if self.plan.to_stdout:
            self.stdout(data)
            result.output = "-"
        else:
            path = item.face_output(face)
            write_atomic(path, data)
            result.output = str(path)
        result.seconds = time.perf_counter() - started
        return result

    def write_sheet(self) -> None:
        """All pairs on one sheet."""
        rows = [self.tiles.rows[key] for key in sorted(self.tiles.rows)]
        sheet = sheet_image(rows, captions=("input", "output"))
        write_atomic(self.plan.shared[0], self._encode(sheet, None, None, composite=False))

    def differs(self, item: PlanItem) -> bool:
        """Whether an existing output was made by another recipe, as far as that can be told without its input."""
        try:
            text, _ = read_metadata(item.output)
            if text is None:
                return False
            found = parse_recipe(text)
        except P2S2PError:
            return False
        wanted = Recipe(
            command=self.options.command,
            options=self._recipe_options(),
            model=self.model.card.name,
            weights_sha256=self.model.weights_sha256,
            seed=self.options.seed,
            input_name=found.input_name,
            input_sha256=found.input_sha256,
            face=found.face,
            matrix=found.matrix,
            crop_size=found.crop_size,
        )
        return not same_recipe(found, wanted)

    def _recipe(self, item: PlanItem, photo: Photo, prepared: Prepared) -> Recipe:
        return Recipe(
            command=self.options.command,
            options=self._recipe_options(),
            model=self.model.card.name,
            weights_sha256=self.model.weights_sha256,
            seed=self.options.seed,
            input_name=item.relative,
            input_sha256=photo.sha256,
            face=prepared.face,
            matrix=None if prepared.matrix is None else prepared.matrix.tolist(),
            crop_size=prepared.crop.shape[0],
        )

    def _recipe_options(self) -> dict[str, Json]:
        options = self.options
        return {"noise": options.noise, "optimize": options.optimize, "paste": options.paste}

    def _companions(self, result: Result) -> dict[str, Pixels]:
        pictures: dict[str, Pixels] = {}
        if self.options.grid == "pair":
            pictures["_pair"] = pair_image(result.prepared.shown, result.image)
        if self.options.debug_align:
            pictures["_crop"] = result.prepared.shown
            pictures["_landmarks"] = draw_landmarks(result.photo.pixels, result.prepared)
        return pictures

    def _encode(self, picture: Pixels, recipe: str | None, photo: Photo | None, *, composite: bool) -> bytes:
        options = self.options
        return encode_image(
            picture,
            self.plan.format,
            recipe=recipe if options.metadata else None,
            xmp=xmp_packet(composite=composite),
            exif=photo.exif if photo is not None and options.keep_exif else None,
        )

    def _paste(self, result: Result) -> Pixels:
        prepared = result.prepared
        if prepared.matrix is None:
            return result.image
        return paste_face(
            result.photo.pixels,
            result.image,
            prepared.matrix,
            crop_size=prepared.crop.shape[0],
            original_crop=prepared.crop,
        )


def draw_landmarks(pixels: Pixels, prepared: Prepared) -> Pixels:
    """The photograph with the 68 points and the outline of the crop."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    draw = ImageDraw.Draw(picture)
    radius = max(1, max(picture.size) // 400)
    if prepared.matrix is not None:
        size = prepared.crop.shape[0]
        corners = np.array([(0, 0, 1), (size, 0, 1), (size, size, 1), (0, size, 1)], dtype=np.float64) - (0.5, 0.5, 0)
        outline = corners @ np.linalg.inv(prepared.matrix).T
        draw.line([(x, y) for x, y, _ in [*outline, outline[0]]], fill=(255, 200, 0), width=radius)
    for x, y in prepared.points if prepared.points is not None else ():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(0, 230, 90))
    return np.array(picture)


def _tile(pixels: Pixels) -> Pixels:
    if pixels.shape[0] <= TILE:
        return pixels
    return np.array(Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS))
