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
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX, LatentFile, load_latents

if TYPE_CHECKING:
    # imports torch, which a helper process should not wait for
    from torch import Tensor

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
        codes, found = read_code(source, self.generator, (self.rows, self.width), name=name)
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


def read_code(
    path: Path, generator: str, shape: tuple[int, int], *, name: str
) -> tuple[NDArray[np.float32], LatentFile]:
    """The code in W+ of a latent, of this shape (N, D), and the file; InputError for one of another generator or size.

    ``name`` is what messages call it. A code in W is repeated for every row.
    """
    found = load_latents(path, expect_generator=generator)
    codes = found.codes.repeat(shape[0], axis=0) if found.space == "W" else found.codes
    if codes.shape != shape or found.space == "Z" or not found.latent_avg_included:
        raise InputError(
            f"{name} holds codes {'x'.join(map(str, codes.shape))} in {found.space}, "
            f"expected {shape[0]}x{shape[1]} in W+",
            "make it with p2s2p invert --save-latents",
        )
    return codes, found


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
    """The codes that are known already in the place of those that the encoder made."""
    import torch

    known = [known_code(engine, each) for each in prepared]
    rows = [code if given is None else given.to(code) for code, given in zip(codes.w_plus, known, strict=True)]
    return codes.with_w_plus(torch.stack(rows))


def known_code(engine: Engine, prepared: Prepared) -> Tensor | None:
    """The code (N, D) of a latent, or of a picture that the model was tuned for; None for any other picture."""
    import torch

    if prepared.codes is not None:
        return torch.from_numpy(prepared.codes)
    return engine.model.pivots.get(crop_sha256(prepared)) if engine.model.pivots else None


def crop_sha256(prepared: Prepared) -> str:
    """What tells pictures apart as the encoder sees them."""
    return hashlib.sha256(np.ascontiguousarray(prepared.crop).tobytes()).hexdigest()
