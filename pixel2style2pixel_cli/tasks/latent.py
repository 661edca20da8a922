"""Latents as inputs, beside photographs: their codes take the place of the encoder's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import Photo
from pixel2style2pixel_cli.options.task import FaceOptions
from pixel2style2pixel_cli.tasks.base import Prepared
from pixel2style2pixel_cli.tasks.photo import PhotoPreparer, photo_preparer
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX, load_latents

if TYPE_CHECKING:
    # imports torch, which a helper process should not wait for
    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model

GREY = 127  # stands where a latent has no picture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LatentInput(Photo):
    """Codes (N, D) in the place of a photograph, which has no pixels then."""

    codes: NDArray[np.float32]
    has_noise: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CodePreparer:
    """Photographs, and latents of one generator: its digest, how many rows its codes have and how wide they are."""

    photos: PhotoPreparer
    generator: str
    rows: int
    width: int

    @property
    def holds_interpreter(self) -> bool:
        """As for photographs."""
        return self.photos.holds_interpreter

    def read(self, source: Path | bytes, *, name: str, max_pixels: int) -> Photo:
        """Decode a photograph, or read a latent by its suffix."""
        if isinstance(source, bytes) or source.suffix.lower() != LATENT_SUFFIX:
            return self.photos.read(source, name=name, max_pixels=max_pixels)
        found = load_latents(source, expect_generator=self.generator)
        codes = found.codes
        if found.space == "W":
            codes = codes.repeat(self.rows, axis=0)
        if codes.shape != (self.rows, self.width) or found.space == "Z" or not found.latent_avg_included:
            raise InputError(
                f"{name} holds codes {'x'.join(map(str, codes.shape))} in {found.space}, "
                f"expected {self.rows}x{self.width} in W+",
                "make it with p2s2p invert --save-latents",
            )
        pixels = np.zeros((0, 0, 3), np.uint8)
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        return LatentInput(pixels=pixels, sha256=sha256, name=name, codes=codes, has_noise=found.noise is not None)

    def prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        """The faces of a photograph, or the one code of a latent."""
        if not isinstance(photo, LatentInput):
            return self.photos.prepare(photo, relative)
        size = self.photos.input_size
        crop = np.full((size, size, 3), GREY, np.uint8)
        note = "its own noise maps are left out" if photo.has_noise else None
        return [Prepared(face=None, crop=crop, target=None, matrix=None, aligned=False, codes=photo.codes, note=note)]


def code_preparer(options: FaceOptions, model: Model) -> CodePreparer:
    """Photographs for the encoder of a model, and codes of its generator."""
    spec = model.generator_spec
    return CodePreparer(
        photos=photo_preparer(options, model, needs_target=options.needs_target),
        generator=model.generator_digest,
        rows=spec.n_styles,
        width=spec.style_dim,
    )


def given_codes(engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
    """The codes of latents in the place of those that the encoder made of their grey squares."""
    import torch

    rows = [
        code if given.codes is None else torch.from_numpy(given.codes).to(code)
        for code, given in zip(codes.w_plus, prepared, strict=True)
    ]
    return codes.with_w_plus(torch.stack(rows))
