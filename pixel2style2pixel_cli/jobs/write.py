"""The files of one result: picture with its recipe, latent, comparison, alignment check."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pixel2style2pixel_cli.engine.loading import Model
from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.face.paste import paste_face
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.image import Photo, encode_image, read_metadata
from pixel2style2pixel_cli.files.recipe import Json, Recipe, parse_recipe, recipe_json, same_recipe, xmp_packet
from pixel2style2pixel_cli.files.sheet import pair_image, row_image, sheet_image
from pixel2style2pixel_cli.jobs.plan import Plan, PlanItem
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared, RunOptions
from pixel2style2pixel_cli.weights.latents import LatentFile, save_latents

TILE = 192


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of an input: the seed of the style mixed into it, if any, pixels, codes (N, D)."""

    mix_seed: int | None
    image: Pixels
    codes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Result:
    """What came out for one encoder input: a picture, or one for each style."""

    item: PlanItem
    photo: Photo
    prepared: Prepared
    samples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """Where one picture is now."""

    output: str
    latent: str | None
    seconds: float


@dataclass(slots=True)
class SheetTiles:
    """Small copies of all pictures for the sheet at the end, in the order of the plan."""

    rows: dict[tuple[int, int], tuple[str, list[Pixels]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, result: Result) -> None:
        """Keep an input with its pictures; called from the writing threads."""
        group = [_tile(result.prepared.shown), *(_tile(sample.image) for sample in result.samples)]
        key = (result.item.index, result.prepared.face or 0)
        with self.lock:
            self.rows[key] = (result.item.label.rpartition("/")[2], group)


class Writer:
    """Writes results; safe to call from several threads."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        options: RunOptions,
        recipe: Mapping[str, Json],
        stdout: Callable[[bytes], object],
        tiles: SheetTiles,
    ) -> None:
        self.model, self.plan, self.options, self.stdout, self.tiles = model, plan, options, stdout, tiles
        self._own_recipe = dict(recipe)

    def write(self, result: Result) -> list[Written | P2S2PError]:
        """Write every file of one result; each picture after its companions, so that one that exists is complete.

        What became of each sample, in their order; raises what concerns all of them.
        """
        face = result.prepared.face or 0
        text = recipe_json(self._recipe(result, None))
        for ending, picture in self._input_companions(result).items():
            write_atomic(result.item.input_companion(ending, face), self._encode(picture, text, None, composite=False))
        if self.options.grid == "sheet":
            self.tiles.add(result)
        return [self._try_sample(result, sample) for sample in result.samples]

    def _try_sample(self, result: Result, sample: Sample) -> Written | P2S2PError:
        try:
            return self._write_sample(result, sample)
        except P2S2PError as error:
            return error

    def _write_sample(self, result: Result, sample: Sample) -> Written:
        started = time.perf_counter()
        options, item, prepared, seed = self.options, result.item, result.prepared, sample.mix_seed
        face, output, latent = prepared.face or 0, "-", None
        text = recipe_json(self._recipe(result, seed))
        if options.save_latents:
            path = item.face_latent(face, mix_seed=seed)
            matrix = None if prepared.matrix is None else prepared.matrix.tolist()
            code = LatentFile(
                codes=sample.codes, space="W+", generator=self.model.generator_digest, matrix=matrix, recipe=text
            )
            save_latents(path, code)
            latent = str(path)
        if options.grid == "pair":
            pair = pair_image(prepared.shown, sample.image)
            write_atomic(item.companion("_pair", face, mix_seed=seed), self._encode(pair, text, None, composite=False))
        picture = self._paste(result, sample.image) if options.paste else sample.image
        data = self._encode(picture, text, result.photo, composite=options.paste)
        if self.plan.to_stdout:
            self.stdout(data)
        else:
            path = item.face_output(face, mix_seed=seed)
            write_atomic(path, data)
            output = str(path)
        return Written(output=output, latent=latent, seconds=time.perf_counter() - started)

    def write_sheet(self) -> None:
        """All inputs with their pictures on one sheet."""
        rows = [self.tiles.rows[key] for key in sorted(self.tiles.rows)]
        sheet = sheet_image(rows, captions=("input", *self._labels(len(rows[0][1]) - 1)))
        write_atomic(self.plan.shared[0], self._encode(sheet, None, None, composite=False))

    def differs(self, output: Path) -> bool:
        """Whether an existing output was made by another recipe, as far as that can be told without its input."""
        try:
            text, _ = read_metadata(output)
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
            mix_seed=found.mix_seed,
            face=found.face,
            matrix=found.matrix,
            crop_size=found.crop_size,
        )
        return not same_recipe(found, wanted)

    def _recipe(self, result: Result, mix_seed: int | None) -> Recipe:
        prepared = result.prepared
        return Recipe(
            command=self.options.command,
            options=self._recipe_options(),
            model=self.model.card.name,
            weights_sha256=self.model.weights_sha256,
            seed=self.options.seed,
            input_name=result.item.relative,
            input_sha256=result.photo.sha256,
            mix_seed=mix_seed,
            face=prepared.face,
            matrix=None if prepared.matrix is None else prepared.matrix.tolist(),
            crop_size=prepared.crop.shape[0],
        )

    def _recipe_options(self) -> dict[str, Json]:
        return {"noise": self.options.noise, "paste": self.options.paste, **self._own_recipe}

    def _input_companions(self, result: Result) -> dict[str, Pixels]:
        pictures: dict[str, Pixels] = {}
        shown = result.prepared.shown
        if self.options.grid == "row":
            images = [shown, *(sample.image for sample in result.samples)]
            pictures["_row"] = row_image(images, labels=("input", *self._labels(len(result.samples))))
        if self.options.preview_input:
            pictures["_input"] = result.prepared.crop
        if self.options.debug_align:
            target = result.prepared.target
            pictures["_crop"] = shown if target is None else target
            seen = result.photo.pixels if result.prepared.codes is None else shown
            pictures["_landmarks"] = draw_landmarks(seen, result.prepared)
        return pictures

    def _labels(self, count: int) -> tuple[str, ...]:
        """Names of the pictures beside an input."""
        seeds = self.plan.mix_seeds
        return tuple(f"style {seed}" for seed in seeds) if seeds else ("output",) * count

    def _encode(self, picture: Pixels, recipe: str | None, photo: Photo | None, *, composite: bool) -> bytes:
        options = self.options
        return encode_image(
            picture,
            self.plan.format,
            recipe=recipe if options.metadata else None,
            xmp=xmp_packet(composite=composite),
            exif=photo.exif if photo is not None and options.keep_exif else None,
        )

    def _paste(self, result: Result, image: Pixels) -> Pixels:
        prepared = result.prepared
        if prepared.matrix is None:
            return image
        return paste_face(
            result.photo.pixels,
            image,
            prepared.matrix,
            crop_size=prepared.crop.shape[0],
            original_crop=prepared.crop,
            match_colours=prepared.hole is None,  # a hole has no colours to match
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
