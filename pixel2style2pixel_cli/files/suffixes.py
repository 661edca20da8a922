"""Which files are pictures, by their names: known without an imaging library."""

from __future__ import annotations

# HEIF and AVIF claim to be photographs, so they must fail loudly where Pillow cannot read them, not be skipped.
IMAGE_SUFFIXES = frozenset(
    f".{suffix}"
    for group in (
        "png apng jpg jpeg jpe jfif mpo webp bmp dib tif tiff",
        "gif ppm pgm pbm pnm tga jp2 avif heic heif hif",
    )
    for suffix in group.split()
)
