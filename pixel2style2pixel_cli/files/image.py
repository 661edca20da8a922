"""Bytes to uint8 HWC RGB and back: every kind of photograph in, PNG, JPEG or WebP with their metadata out."""

from __future__ import annotations

import errno
import hashlib
import io
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngInfo

from pixel2style2pixel_cli.errors import InputError, OutputError, ShapeError, check_shape
from pixel2style2pixel_cli.files import colour, metadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

# HEIF and AVIF claim to be photographs, so they must fail loudly where Pillow cannot read them, not be skipped.
IMAGE_SUFFIXES = frozenset(
    f".{suffix}"
    for group in ("png apng jpg jpeg jpe jfif mpo webp bmp dib tif tiff", "gif ppm pgm pbm pnm tga jp2 avif heic heif")
    for suffix in group.split()
)
# Only plain raster decoders: others start programs (EPS), have no size of their own (WMF) or hold many pictures (ICO).
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF", "TGA")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
HEAD = 512
CONVERT_HINT = "convert it to PNG or JPEG first"
READABLE = "expected a PNG, JPEG, WebP, TIFF, BMP or GIF picture"

ImageFormat = Literal["png", "jpg", "webp"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Photo:
    """A decoded picture: uint8 HWC sRGB, upright; ``sha256`` of the bytes it came from; EXIF without orientation.

    ``name`` is what messages call it.
    """

    pixels: NDArray[np.uint8]
    sha256: str
    exif: bytes | None = None
    name: str = ""

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


def looks_like_image(path: Path) -> bool:
    """Whether the suffix is one of a picture; the file is not opened."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_image(source: Path | bytes, *, name: str, max_pixels: int = 200_000_000) -> Photo:
    """Decode the first frame upright, as sRGB, on white where transparent; ``name`` is used in messages.

    Raises InputError for whatever is not a whole picture of at most ``max_pixels`` pixels.
    """
    image, sha256 = load_image(source, name=name, max_pixels=max_pixels)
    rgb = colour.to_srgb(image, name)
    orientation, exif = metadata.clean_exif(image)
    if orientation in TURNS:
        rgb = rgb.transpose(TURNS[orientation])
    return Photo(pixels=np.array(rgb, dtype=np.uint8), sha256=sha256, exif=exif, name=name)


def load_image(source: Path | bytes, *, name: str, max_pixels: int) -> tuple[ImageFile, str]:
    """The first frame as Pillow decodes it, neither upright nor in sRGB yet, and the sha256 of the file."""
    data = source if isinstance(source, bytes) else _read_bytes(source, name)
    image = _open(data, name)
    width, height = image.size
    if width * height > max_pixels:
        raise InputError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} million pixels, "
            f"the limit is {max_pixels / 1e6:.6g} million",
            "shrink it first, or raise --max-pixels if you trust the file",
        )
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise _too_large(name, error) from error
    except Exception as error:  # a decoder fed a damaged file raises whatever it stumbles over
        raise InputError(
            f"{name} is damaged or cut short: {_reason(error)}; expected a whole {image.format} picture",
            "copy or download the file again",
        ) from error
    return image, hashlib.sha256(data).hexdigest()


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
            f"a {width} x {height} picture cannot be written as {format}: {_reason(error)}",
            "use --format png" if exif is None else "use --format png, or leave out --keep-exif",
        ) from error


def read_metadata(source: Path | bytes, *, name: str | None = None) -> tuple[str | None, str | None]:
    """The recipe and the XMP packet of a picture, each None when absent."""
    label = name or (source.name if isinstance(source, Path) else "the picture")
    data = source if isinstance(source, bytes) else _read_bytes(source, label)
    image = _open(data, label)
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


def _open(data: bytes, name: str) -> ImageFile:
    """Read the header only.

    Image.open would refuse or warn at a limit of its own, a global of Pillow: the plugins are asked one by one instead.
    """
    if not data:
        raise InputError(f"{name} is empty (0 bytes), {READABLE}", "copy or download the file again")
    Image.init()
    problem: Exception | None = None
    for key in FORMATS:
        factory, accept = Image.OPEN.get(key, (None, None))
        if factory is None or (accept is not None and accept(data[:16]) is not True):
            continue
        try:
            return factory(io.BytesIO(data), "")
        except Image.DecompressionBombError as error:
            raise _too_large(name, error) from error
        except Exception as error:  # as in read_image: header parsers raise anything
            # TGA has no signature and rejects everything, so its complaint says nothing
            problem = problem if key == "TGA" else error
    if problem is not None:
        raise InputError(
            f"{name} starts like a picture but its header is damaged: {_reason(problem)}; {READABLE}",
            "copy or download the file again",
        ) from problem
    found, hint = _describe(data[:HEAD])
    raise InputError(f"{name} is {found}, {READABLE}", hint)


def _too_large(name: str, error: Exception) -> InputError:
    # Some decoders have a limit inside, for tiles and frames larger than the picture they belong to.
    return InputError(f"{name} is too large for its decoder: {_reason(error)}", "save it as PNG or JPEG, or shrink it")


def _describe(head: bytes) -> tuple[str, str]:
    """What a file that is no picture seems to be, and what to do about it."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "the download saved a page instead of the picture; open the link in a browser"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer", "run git lfs pull in the repository it came from"
    if b"<svg" in text:
        return "an SVG drawing", CONVERT_HINT
    if head.startswith(b"%PDF"):
        return "a PDF document", CONVERT_HINT
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive", "unpack it and give the pictures inside"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"heic", b"heix", b"mif1", b"msf1", b"heim", b"heis"):
            return "a HEIC photograph", CONVERT_HINT
        return ("an AVIF picture this Pillow cannot read" if brand in (b"avif", b"avis") else "a video"), CONVERT_HINT
    if head.startswith((b"\x1a\x45\xdf\xa3", b"RIFF")):
        return "a video or sound file", CONVERT_HINT
    if b"\x00" not in head and all(byte >= 32 or byte in b"\t\r\n\x0c" for byte in head):
        return "a text file", "give a picture, or @FILE for a list of paths"
    return "not a picture of a known kind", CONVERT_HINT


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name} is a folder, expected a picture file", "give the folder as an input of its own")
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise InputError(f"{name} is a device or a socket, expected a picture file", "give a picture file")
        with path.open("rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{name} does not exist, {READABLE}", "check the spelling of the path") from error
    except PermissionError as error:
        raise InputError(f"{name} cannot be read: permission denied", "make the file readable (chmod u+r)") from error
    except OSError as error:
        hint = "shorten the path" if error.errno == errno.ENAMETOOLONG else "check the disk and the path"
        raise InputError(f"{name} cannot be read: {error.strerror or error}", hint) from error
    except ValueError as error:  # a zero byte in the path
        raise InputError(f"{name} is not a valid path: {error}", "check the spelling of the path") from error


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
