"""Bytes to uint8 HWC RGB and back: every kind of photograph in, PNG, JPEG or WebP with their metadata out."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixel2style2pixel_cli.errors import OutputError, ShapeError, check_shape, reading, reason_of
from pixel2style2pixel_cli.files import colour, metadata
from pixel2style2pixel_cli.files.decode import Decoded, check_start, decode, read_header
from pixel2style2pixel_cli.files.suffixes import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How a picture (H, W) or (H, W, C) with this EXIF orientation is set upright.
TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}

ImageFormat = Literal["png", "jpg", "webp"]

_START = 1 << 16  # bytes of a file that are looked at to say whether it is a picture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Photo:
    """A decoded picture: uint8 HWC sRGB, upright; ``sha256`` of the bytes it came from; EXIF without orientation.

    ``name`` is what messages call it; ``warning`` says what of the file was missing, though the picture was there.
    """

    pixels: NDArray[np.uint8]
    sha256: str
    exif: bytes | None = None
    name: str = ""
    warning: str | None = None

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


def looks_like_image(path: Path) -> bool:
    """Whether the suffix is one of a picture; the file is not opened."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def check_picture(path: Path, *, name: str) -> None:
    """Raise InputError for a file whose beginning is that of no picture; the rest is told when it is read."""
    if not path.is_file():  # a pipe gives its bytes once
        return
    with contextlib.suppress(OSError), path.open("rb") as file:
        check_start(file.read(_START), name)


def read_image(source: Path | bytes, *, name: str, max_pixels: int = 200_000_000) -> Photo:
    """Decode the first frame upright, as sRGB, on white where transparent; ``name`` is used in messages.

    Raises InputError for whatever is not a whole picture of at most ``max_pixels`` pixels.
    """
    decoded = decode(source, name=name, max_pixels=max_pixels)
    sha256, warning = decoded.sha256, decoded.warning
    with reading(name, "is damaged", "save it again, as PNG or JPEG"):
        pixels = colour.to_srgb(decoded, name)
        orientation, exif = clean_exif(decoded)
        del decoded  # turning makes a copy, and a large picture need not be there three times
        pixels = turn_upright(pixels, orientation)
    return Photo(pixels=pixels, sha256=sha256, exif=exif, name=name, warning=warning)


def read_levels(
    source: Path | bytes, *, name: str, max_pixels: int = 200_000_000
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """The brightness of a mask, uint8 (H, W), upright, without colour management, and its alpha, None without one.

    Raises InputError as ``read_image``.
    """
    decoded = decode(source, name=name, max_pixels=max_pixels)
    with reading(name, "is damaged", "save it again, as PNG"):
        levels, alpha = colour.to_levels(decoded, name)
        orientation, _ = clean_exif(decoded)
        return turn_upright(levels, orientation), None if alpha is None else turn_upright(alpha, orientation)


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture (H, W) or (H, W, C) as its EXIF orientation says it is to be held; contiguous and writable."""
    turn = TURNS.get(orientation)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def clean_exif(decoded: Decoded) -> tuple[int, bytes | None]:
    """The orientation of a picture, and of its EXIF what may be kept."""
    if decoded.orientation is not None or decoded.image is None:
        return decoded.orientation or 1, None
    return metadata.clean_exif(decoded.image)


def encode_image(
    pixels: NDArray[np.uint8],
    format: ImageFormat,
    *,
    recipe: str | None = None,
    xmp: str | None = None,
    exif: bytes | None = None,
    quality: int = 95,
) -> bytes:
    """The bytes of a picture file, the same for the same arguments.

    pixels: uint8 (H, W, 3). ``recipe`` is JSON text, ``xmp`` an XMP packet, ``exif`` the EXIF of a source to keep.
    """
    check_shape(pixels, (None, None, 3), "image")
    if pixels.dtype != np.uint8:
        raise ShapeError(f"image holds {pixels.dtype}, expected uint8", "convert it with files.pixels.to_uint8")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    packet = metadata.pack_xmp(recipe, xmp)
    options: dict[str, Any] = {} if exif is None else {"exif": exif}
    out = io.BytesIO()
    try:
        if format == "png":
            image.save(out, "PNG", pnginfo=_png_chunks(recipe, xmp), **options)
        elif format == "jpg":
            # full colour resolution: 4:2:0 smears the lips and eyes of a small face
            image.save(out, "JPEG", quality=quality, subsampling=0, **options)
        elif format == "webp":
            options |= {} if packet is None else {"xmp": packet.encode()}
            image.save(out, "WEBP", quality=quality, method=4, **options)
        else:
            raise ValueError(f"unknown picture format {format!r}")
        data = out.getvalue()
        return metadata.insert_jpeg_xmp(data, packet) if format == "jpg" and packet is not None else data
    except (ValueError, OSError) as error:
        height, width = pixels.shape[:2]
        raise OutputError(
            f"a {width} x {height} picture cannot be written as {format}: {reason_of(error)}",
            "use --format png" if exif is None else "use --format png, or leave out --keep-exif",
        ) from error


def read_metadata(
    source: Path | bytes, *, name: str | None = None, max_pixels: int = 200_000_000
) -> tuple[str | None, str | None]:
    """The recipe and the XMP packet of a picture, each None when absent."""
    label = name or (source.name if isinstance(source, Path) else "the picture")
    image, data = read_header(source, name=label, max_pixels=max_pixels)
    if image.format == "PNG":
        recipe, xmp = image.info.get(metadata.PNG_RECIPE), image.info.get(metadata.PNG_XMP)
        return (None if recipe is None else str(recipe)), (None if xmp is None else str(xmp))
    packet = metadata.find_jpeg_xmp(data) if image.format in ("JPEG", "MPO") else image.info.get("xmp")
    return metadata.unpack_xmp(packet)


def _png_chunks(recipe: str | None, xmp: str | None) -> PngInfo:
    chunks = PngInfo()
    if recipe is not None:
        chunks.add_itxt(metadata.PNG_RECIPE, recipe)
    if xmp is not None:
        chunks.add_itxt(metadata.PNG_XMP, xmp)
    return chunks
