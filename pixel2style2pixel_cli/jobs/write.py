"""The files of one picture: itself with its recipe, its latent, comparisons, the alignment check."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pixel2style2pixel_cli.face.paste import paste_face
from pixel2style2pixel_cli.files.animation import encode_animation
from pixel2style2pixel_cli.files.image import Photo, encode_image
from pixel2style2pixel_cli.files.recipe import recipe_json, xmp_packet
from pixel2style2pixel_cli.files.sheet import row_image
from pixel2style2pixel_cli.jobs.naming import ROW
from pixel2style2pixel_cli.jobs.pages import Page, SheetPages, page_path
from pixel2style2pixel_cli.jobs.place import File, Places
from pixel2style2pixel_cli.jobs.plan import Plan, PlanItem
from pixel2style2pixel_cli.jobs.target import still
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared
from pixel2style2pixel_cli.tasks.recipe import RecipeMaker
from pixel2style2pixel_cli.tasks.translate import Picture
from pixel2style2pixel_cli.variants import SINGLE, Variant
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX, LatentFile, encode_latents

SNAPSHOT_FPS = 12


@dataclass(frozen=True, slots=True)
class Result:
    """One picture of one face of an input.

    ``first``: with it goes what a face has once. ``replaces`` are files of an earlier run that are incomplete.
    """

    item: PlanItem
    photo: Photo
    prepared: Prepared
    picture: Picture
    first: bool
    replaces: Collection[Path] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """Where one picture is now."""

    output: str
    latent: str | None
    seconds: float


class Writer:
    """Writes results; safe to call from several threads.

    ``content`` is what comparisons show before each input; where ``shows_input`` is not set, they show what is drawn
    and nothing else.
    """

    def __init__(
        self,
        plan: Plan,
        options: TaskOptions,
        recipes: RecipeMaker,
        *,
        generator_digest: str,
        stdout: Callable[[bytes], object],
        content: Pixels | None = None,
        shows_input: bool = True,
    ) -> None:
        self.plan, self.options, self.recipes, self.stdout = plan, options, recipes, stdout
        self.generator_digest = generator_digest
        self.content, self.shows_input = content, shows_input
        self.places = Places(options.existing)

    def write(self, results: Sequence[Result]) -> list[Written]:
        """Write every file of a picture; itself after its companions, so that one that exists is complete.

        ``results`` are one face of an input, or all of them, which then share the picture: the photograph.
        """
        started = time.perf_counter()
        first, item = results[0], results[0].item
        variant, faces = first.picture.variant, [result.prepared.face or 0 for result in results]
        files = [file for result in results for file in self._companions(result)]
        data = self._animated(first) if first.picture.frames else self._drawn(results)
        if self.plan.to_stdout:
            self.stdout(data)
            return [Written(output="-", latent=None, seconds=time.perf_counter() - started)] * len(results)
        files.append(File(item.names.suffix, data, faces[0], variant))
        names = self.places.write(item, files, first.replaces)
        latents = [str(Path(names.path(LATENT_SUFFIX, face=face, variant=variant))) for face in faces]
        seconds = (time.perf_counter() - started) / len(results)
        return [
            Written(
                output=str(names.picture(face=face, variant=variant)),
                latent=latent if self.options.save_latents else None,
                seconds=seconds,
            )
            for face, latent in zip(faces, latents, strict=True)
        ]

    def _drawn(self, results: Sequence[Result]) -> bytes:
        """The picture of one face, or the photograph with one or all of them."""
        pixels = self._pasted(results) if self.options.pastes else results[0].picture.pixels
        return self._encode(pixels, self._recipe_of(results), results[0].photo, composite=self.options.pastes)

    def _animated(self, result: Result) -> bytes:
        """The frames of one face, each put back where that is asked for."""
        frames: Sequence[Pixels] = result.picture.frames
        if self.options.pastes:
            frames = [self._pasted([replace(result, picture=replace(result.picture, pixels=f))]) for f in frames]
        return self._encode_frames(frames, self._recipe_of([result]), self.plan.format, self.options.frame_rate)

    def _encode_frames(self, frames: Sequence[Pixels], recipe: str, format: str, fps: float) -> bytes:
        return encode_animation(
            frames, "gif" if format == "gif" else "mp4" if format == "mp4" else "webp", fps=fps,
            recipe=recipe if self.options.metadata else None, xmp=xmp_packet(composite=self.options.pastes),
        )  # fmt: skip

    def _companions(self, result: Result) -> list[File]:
        """The files beside the picture of one face."""
        item, prepared, picture = result.item, result.prepared, result.picture
        face, variant = prepared.face or 0, picture.variant
        files = self._crops(result) if result.first else []
        if result.first and picture.found is not None and picture.found.frames and self.options.animations:
            (ending,) = self.options.animations
            recipe = self._recipe(item, result.photo, prepared)
            files.append(File(ending, self._encode_frames(picture.found.frames, recipe, "webp", SNAPSHOT_FPS), face))
        if self.options.save_latents:
            text = self._recipe(item, result.photo, prepared, variant)
            files.append(File(LATENT_SUFFIX, self._latent(result, text), face, variant))
        if self.options.grid == "pair":
            compared = row_image([*self.shown(prepared), picture.pixels], labels=self._captions(("output",)))
            pair = self._encode(compared, self._recipe(item, result.photo, prepared, variant), None, composite=False)
            files.append(File("_pair" + item.names.suffix, pair, face, variant))
        return files

    def write_together(
        self, item: PlanItem, photo: Photo, prepared: Prepared, pictures: Sequence[Pixels], replaces: Collection[Path]
    ) -> None:
        """The row that shows all pictures of one face."""
        row = row_image([*self.shown(prepared), *pictures], labels=self._captions(self._labels()))
        data = self._encode(row, self._recipe(item, photo, prepared), None, composite=False)
        self.places.write(item, [File(ROW + item.names.suffix, data, prepared.face or 0)], replaces)

    def new_sheet(self) -> SheetPages:
        """An empty sheet for the pictures of this run."""
        captions = self._captions(self._labels())
        before = 0 if not self.shows_input else 1 if self.content is None else 2
        return SheetPages(before=captions[:before], drawn=captions[before:])

    def write_page(self, page: Page) -> None:
        """One page of the sheet."""
        data = self._encode(page.draw(), None, None, composite=False)
        self.places.write_shared(page_path(self.plan.shared[0], page.number), data, self.plan.replaced)

    def _crops(self, result: Result) -> list[File]:
        """What shows how one face was found and cut out."""
        item, prepared, pictures = result.item, result.prepared, dict[str, Pixels]()
        if self.options.preview_input:
            pictures["_input"] = prepared.crop
        if self.options.shows_alignment:
            pictures["_crop"] = prepared.shown if prepared.target is None else prepared.target
            seen = result.photo.pixels if prepared.codes is None else prepared.shown
            pictures["_landmarks"] = draw_landmarks(seen, prepared)
        text = self._recipe(item, result.photo, prepared) if pictures else None
        return [
            File(ending + item.names.suffix, self._encode(picture, text, None, composite=False), prepared.face or 0)
            for ending, picture in pictures.items()
        ]

    def _latent(self, result: Result, recipe: str) -> bytes:
        matrix = None if result.prepared.matrix is None else result.prepared.matrix.tolist()
        latent = LatentFile(
            codes=result.picture.codes, space="W+", generator=self.generator_digest, matrix=matrix, recipe=recipe,
            noise=result.picture.noise,
        )  # fmt: skip
        return encode_latents(latent, name=result.item.label)

    def _recipe(self, item: PlanItem, photo: Photo, prepared: Prepared, variant: Variant = SINGLE) -> str:
        made = self.recipes.make(name=item.relative, sha256=photo.sha256, prepared=prepared, variant=variant)
        return recipe_json(made)

    def _recipe_of(self, results: Sequence[Result]) -> str:
        """The recipe of a picture; that of a photograph with all its faces lists them."""
        first = results[0]
        if not self.plan.joined or first.prepared.matrix is None:
            return self._recipe(first.item, first.photo, first.prepared, first.picture.variant)
        made = self.recipes.make_joined(
            name=first.item.relative, sha256=first.photo.sha256, faces=[result.prepared for result in results],
            variant=first.picture.variant,
        )  # fmt: skip
        return recipe_json(made)

    def shown(self, prepared: Prepared) -> list[Pixels]:
        """What comparisons show beside the pictures drawn."""
        if not self.shows_input:
            return []
        return [prepared.shown] if self.content is None else [self.content, prepared.shown]

    def _captions(self, drawn: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the pictures of a comparison; ``drawn`` are those that are drawn of one input."""
        if not self.shows_input:
            return drawn
        return ("input", *drawn) if self.content is None else ("content", "style", "result")

    def _labels(self) -> tuple[str, ...]:
        """Names of the pictures beside an input."""
        return tuple(variant.label for variant in self.plan.variants)

    def _encode(self, picture: Pixels, recipe: str | None, photo: Photo | None, *, composite: bool) -> bytes:
        options = self.options
        return encode_image(
            picture,
            still(self.plan.format),
            recipe=recipe if options.metadata else None,
            xmp=xmp_packet(composite=composite),
            exif=photo.exif if photo is not None and options.keep_exif else None,
        )

    def _pasted(self, results: Sequence[Result]) -> Pixels:
        """The photograph with these faces of it; the best one comes last, so that it lies on top where two meet."""
        pixels = results[0].photo.pixels
        for result in sorted(results, key=lambda result: result.prepared.face or 0, reverse=True):
            prepared, image = result.prepared, result.picture.pixels
            if prepared.matrix is None:
                return image
            pixels = paste_face(
                pixels,
                image,
                prepared.matrix,
                crop_size=prepared.crop.shape[0],
                original_crop=prepared.crop,
                match_colours=prepared.hole is None,  # a hole has no colours to match
            )
        return pixels


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
