"""HEIC photographs, read with the optional package pillow-heif: what iPhones write."""

from __future__ import annotations

import functools
import importlib.metadata

from pixel2style2pixel_cli.files.unknown import HEIC_BRANDS

# Earlier ones bring decoders that ran code hidden in pictures.
LEAST_VERSION = (1, 8)


def lacks_heif(head: bytes) -> bool:
    """Whether a file begins like HEIC and nothing here reads it; makes Pillow read it with a safe version at hand."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and not _register()


@functools.cache
def _register() -> bool:
    try:
        version = importlib.metadata.version("pillow-heif")
        if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
            return False
        import pillow_heif
    except (ImportError, ValueError, OSError):
        return False
    pillow_heif.register_heif_opener(thumbnails=False)
    return True
