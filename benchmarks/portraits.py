"""The pictures of the pages whose subject are photographs: tune, edit, morph, transfer, expression, embed.

``pictures.py`` makes them with the others. The photographs are free ones, which the pages name; the first is the one
of the page on inversion.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from command import run_command
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from pixel2style2pixel_cli import Result, Session, load
from pixel2style2pixel_cli.files.animation import encode_animation
from pixel2style2pixel_cli.files.image import read_image

Pixels = NDArray[np.uint8]
WriteSheet = Callable[[str, Sequence[Sequence[Pixels]], Sequence[str], int], None]

MOST_BYTES, QUALITIES = 300_000, (90, 80, 70, 60, 50)  # of an animation
FPS = 12.0
OTHERS = 3  # renders that photographs are shown beside
SWEEP = "-2:2:5"
PAGES = ("tune", "edit", "morph", "transfer", "expression", "embed")


class Portraits:
    """Makes each page from photographs and, where several people are needed, from ``renders`` (S, S, 3)."""

    def __init__(
        self, photos: Sequence[Path], renders: Sequence[Pixels], folder: Path, write: WriteSheet, steps: int
    ) -> None:
        self.steps = steps
        self.photos = [read_image(path, name=path.name).pixels for path in photos]
        self.renders, self.folder, self.write = renders, folder, write
        self._made = tempfile.TemporaryDirectory()

    @functools.cached_property
    def session(self) -> Session:
        """The bundled model."""
        return load("mini", device="cpu")

    @functools.cached_property
    def side(self) -> int:
        """Of the pictures that it draws."""
        return len(self.session.generate(truncation=0.0).array)

    @functools.cached_property
    def crops(self) -> list[Pixels]:
        """The faces of the photographs, aligned."""
        found = [self.session.align(photo, size=self.side) for photo in self.photos]
        return [crop for crop in found if isinstance(crop, np.ndarray)]

    @functools.cached_property
    def inverted(self) -> list[Result]:
        """The codes of the photographs, then those of some renders."""
        found = self.session.invert([*self.crops, *self.renders[:OTHERS]], optimize=self.steps, align="never")
        return list(found)

    @functools.cached_property
    def tuned(self) -> list[Session]:
        """The bundled model tuned to each photograph."""
        made = []
        for number, crop in enumerate(self.crops):
            out = Path(self._made.name) / f"{number}.safetensors"
            made.append(load(str(self.session.tune(crop, out, align="never")), device="cpu"))
        return made

    def tune(self) -> None:
        """Each photograph, its inversion, and what the tuned generator draws."""
        after = [
            session.invert(crop, align="never").array for session, crop in zip(self.tuned, self.crops, strict=True)
        ]
        rows = [
            [crop, made.array, tuned]
            for crop, made, tuned in zip(self.crops, self.inverted[: len(self.crops)], after, strict=True)
        ]
        self.write("tune", rows, ("photograph", "inverted", "tuned"), 2)

    def edit(self) -> None:
        """A smile and a turn of each, by its tuned model."""
        rows = []
        for session, crop in zip(self.tuned, self.crops, strict=True):
            for direction in ("smile", "yaw"):
                found = session.edit(crop, direction=[direction], sweep=SWEEP, align="never")
                rows.append([each.array for each in found])
        self.write("edit", rows, ("-2", "-1", "0", "1", "2"), 1)

    def morph(self) -> None:
        """From one photograph to the next, by way of a render, and back: an animation."""
        photos, render = self.inverted[: len(self.crops)], self.inverted[len(self.crops)]
        found = self.session.morph([photos[0], render, *photos[1:]], steps=48, loop=True)
        self.animate("morph", [each.array for each in found])

    def transfer(self) -> None:
        """The first photograph in the style of each other picture."""
        content, *styles = self.inverted
        shown = [*self.crops[1:], *self.renders[:OTHERS]]
        found = self.session.transfer(content, styles)
        rows = [[self.crops[0], style, made.array] for style, made in zip(shown, found, strict=True)]
        self.write("transfer", rows, ("content", "style", "output"), 2)

    def expression(self) -> None:
        """The smile of a render, on the photographs: the two pictures of the render are its edits."""
        person = self.inverted[len(self.crops)]
        edits = self.session.edit(person, direction=["smile"], sweep="-2:2:2")
        pictures = [each.array for each in edits]
        neutral, smiling = self.session.invert(pictures, optimize=self.steps, align="never")
        rows = []
        for crop, target in zip(self.crops, self.inverted, strict=False):
            found = self.session.expression([target, neutral, smiling], strength="0:1.5:4")
            rows.append([crop, *pictures, *(each.array for each in found)])
        captions = ("target", "neutral", "expressive", "0", "0.5", "1", "1.5")
        self.write("expression", rows, captions, 1)

    def embed(self) -> None:
        """The first photograph in Z, W and W+, and the way to its code in W+."""
        crop, steps = self.crops[0], 2 * self.steps
        drawn = [self.session.embed(crop, space=space, steps=steps, align="never").array for space in ("z", "w")]
        out, aligned = (Path(self._made.name) / name for name in ("embedded.png", "aligned.png"))
        Image.fromarray(crop).save(aligned)
        options = ("--steps", str(steps), "--snapshots", "--align", "never", "--model", "mini")
        done = run_command("embed", [str(aligned), "-o", str(out), *options])
        if done.code:
            raise RuntimeError(done.errors)
        drawn.append(read_image(out, name=out.name).pixels)
        self.write("embed", [[crop, *drawn]], ("photograph", "Z", "W", "W+"), 1)
        with Image.open(out.with_name("embedded_steps.webp")) as moving:
            frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(moving)]
        self.animate("embed-steps", frames)

    def animate(self, name: str, frames: Sequence[Pixels]) -> None:
        """An animated WebP of at most 300 000 bytes, at the best quality that fits."""
        for quality in QUALITIES:
            content = encode_animation(frames, "webp", fps=FPS, quality=quality)
            if len(content) <= MOST_BYTES:
                break
        path = self.folder / "docs" / "pictures" / f"{name}.webp"
        path.write_bytes(content)
        print(path, len(content), "bytes")
