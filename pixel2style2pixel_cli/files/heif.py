"""HEIC photographs, read with the optional package pillow-heif: what iPhones write."""

from __future__ import annotations

import functools
import importlib.metadata

from pixel2style2pixel_cli.files.unknown import HEIC_BRANDS

# Earlier ones bring decoders that ran code hidden in pictures.
LEAST_VERSION = (1, 8)


def enable_heif(head: bytes) -> None:
    """Make Pillow read HEIC where a file begins like one and a safe version of the package is installed."""
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        _register()


@functools.cache
def _register() -> None:
    try:
        version = importlib.metadata.version("pillow-heif")
        if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
            return
        import pillow_heif
    except (ImportError, ValueError, OSError):
        return
    pillow_heif.register_heif_opener(thumbnails=False)
