"""Bytes to a decoded picture of any mode: which decoder, which page, limits before memory is taken, damage named."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from pixel2style2pixel_cli.errors import InputError, reading, reason_of
from pixel2style2pixel_cli.files import bmp, jpeg, png, pnm, tiff, tiff_samples
from pixel2style2pixel_cli.files.gamut import SRGB, ColourSpace, coded_space
from pixel2style2pixel_cli.files.heif import lacks_heif
from pixel2style2pixel_cli.files.source import LARGE, READABLE, HeaderStream, most_bytes, read_bytes
from pixel2style2pixel_cli.files.unknown import describe_unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Only plain raster decoders: others start programs (EPS), have no size of their own (WMF) or hold many pictures (ICO).
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF", "TGA")
MOST_SIDE = 1_000_000  # pixels
_HEAD = 512
# Pillow logs what it refuses as well; without a handler, Python prints that past everything.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# How often a picture counts towards the limit of pixels. Most take 7 to 14 bytes of memory for a pixel until they are
# decoded and converted; the decoders of these keep copies, and take twice that.
_USUAL = 14
_WEIGHT = {"AVIF": 2, "HEIF": 2, "WEBP": 2, "JPEG2000": 2}
# The most pixels that a byte of a file can stand for, by format and mode: run lengths, the ratio of deflate (1032) and
# of LZW with 12 bits. A header that asks for more belongs to a file that is cut short, or to none.
_DENSEST = {"GIF": {}, "PNG": {"RGB": 344, "RGBA": 258, "LA": 516}, "JPEG": {}}
_DENSEST_OTHER = {"GIF": 2600, "PNG": 8 * 1032, "JPEG": 1200}
_AGAIN = "copy or download the file again"
_DAMAGED = "is damaged or cut short"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Samples:
    """Stored numbers (H, W, C) of a picture, grey or RGB, perhaps with alpha behind them; ``white`` is the largest."""

    values: NDArray[Any]
    kind: Literal["unsigned", "signed", "float"]
    white: int
    alpha: Literal["none", "straight", "premultiplied"] = "none"
    white_is_zero: bool = False
    profile: bytes | None = None

    @property
    def colours(self) -> NDArray[Any]:
        """The channels without alpha and without any whose meaning nobody knows."""
        return self.values[:, :, : 3 if self.values.shape[2] >= 3 else 1]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decoded:
    """The first picture of a file, neither upright nor in sRGB yet.

    ``image`` holds its pixels unless ``samples`` does. ``orientation`` is that of a page whose tags Pillow could not
    read, None where ``image`` knows. ``warning`` says what was missing. ``scale`` is what the decoder has multiplied
    the stored numbers by.
    """

    image: ImageFile | None
    sha256: str
    samples: Samples | None = None
    space: ColourSpace = SRGB
    orientation: int | None = None
    warning: str | None = None
    scale: float = 1.0


def decode(source: Path | bytes, *, name: str, max_pixels: int, exact: bool = False) -> Decoded:
    """Decode the first picture of a file; ``exact``: stored numbers wherever the decoder would scale them.

    Raises InputError for whatever is not a whole picture of at most ``max_pixels`` pixels.
    """
    with reading(name, _DAMAGED, _AGAIN):
        data = _data(source, name, max_pixels)
        sha256 = hashlib.sha256(data).hexdigest()
        if tiff.is_tiff(data):
            return _decode_tiff(data, sha256, name, max_pixels, exact)
        if png.is_png(data):
            return _decode_png(data, sha256, name, max_pixels, exact)
        if data[:1] == b"P":
            size = pnm.size_of_samples(data)
            if size is not None:
                _check_size(size, "PPM", name, max_pixels)
                found = Samples(values=pnm.read_samples(data), kind="unsigned", white=pnm.largest_number(data) or 255)
                return Decoded(image=None, sha256=sha256, samples=found)
        if data.startswith(b"\xff\xd8\xff"):
            return _decode_jpeg(data, sha256, name, max_pixels)
        hidden = bmp.hidden_palette(data)
        image = open_header(HeaderStream(data if hidden is None else hidden[0]), data[:_HEAD], name)
        _check_size(image.size, image.format, name, max_pixels)
        _check_length(image, len(data), name)
        space = _video_space(data, name) if image.format in ("AVIF", "HEIF") else SRGB
        _load(image, name)
        if hidden is not None and image.mode == "P":
            image.putpalette(hidden[1])
        if image.format in ("TGA", "BMP") and image.mode in ("RGBA", "LA"):
            _drop_filling(image, data)
        scale = _pnm_scale(data) if image.format == "PPM" else 1.0
        return Decoded(image=image, sha256=sha256, space=space, scale=scale)


def read_header(source: Path | bytes, *, name: str, max_pixels: int) -> tuple[ImageFile, bytes]:
    """A picture whose pixels are not decoded, for its metadata, and the bytes of the file."""
    with reading(name, "has a damaged header", _AGAIN):
        data = _data(source, name, max_pixels)
        clean = png.without_extras(data) if png.is_png(data) else data
        return open_header(HeaderStream(clean), data[:_HEAD], name), data


def check_start(start: bytes, name: str) -> ImageFile | None:
    """The header in the first bytes of a file, None where only more of it can tell; InputError for what is no picture.

    What is damaged is told when all of it is read.
    """
    if start[4:8] == b"ftyp" or start.startswith((b"RIFF", *tiff.MAGIC)):
        return None  # decoders that read the whole file for a header, or whose first page is not the picture
    with reading(name, "has a damaged header", _AGAIN):
        try:
            return open_header(HeaderStream(start), start[:_HEAD], name)
        except InputError as error:
            if error.__cause__ is None:  # no decoder takes it for a picture
                raise
            return None  # its header may be longer than what was read of it


def open_header(stream: HeaderStream, head: bytes, name: str) -> ImageFile:
    """Read the header only.

    Image.open would refuse or warn at a limit of its own, a global of Pillow: the plugins are asked one by one instead.
    """
    if not head:
        raise InputError(f"{name} is empty (0 bytes), {READABLE}", _AGAIN)
    Image.init()
    unreadable = lacks_heif(head)
    problem: Exception | None = None
    for key in FORMATS:
        factory, accept = Image.OPEN.get(key, (None, None))
        if factory is None or (accept is not None and accept(head[:16]) is not True):
            continue
        try:
            stream.seek(0)
            stream.reads_left = HeaderStream.reads_left
            # the factory of JPEG reads a second picture's index as well, whose damage would cost the first
            image = JpegImageFile(stream, "") if key == "JPEG" else factory(stream, "")
            stream.reads_left = None  # pixels take more reads
            return image
        except MemoryError:
            raise
        except Image.DecompressionBombError as error:
            raise _too_large(name, error) from error
        except Exception as error:  # header parsers that are fed damaged bytes raise anything
            # TGA has no signature and rejects everything, so its complaint says nothing
            problem = problem if key == "TGA" else error
    if problem is not None and not unreadable:  # the reader of AVIF tries some of these as well
        raise InputError(
            f"{name} starts like a picture but its header is damaged: {reason_of(problem)}; {READABLE}", _AGAIN
        ) from problem
    found, hint = describe_unknown(head)
    raise InputError(f"{name} is {found}, {READABLE}", hint)


def _data(source: Path | bytes, name: str, max_pixels: int) -> bytes:
    if isinstance(source, bytes):
        return source

    def check(file: BinaryIO) -> None:
        with reading(name, "has a damaged header", _AGAIN):
            image = check_start(file.read(LARGE), name)
            if image is not None:
                _check_size(image.size, image.format, name, max_pixels)

    return read_bytes(source, name, most=most_bytes(max_pixels), check=check)


def _decode_jpeg(data: bytes, sha256: str, name: str, max_pixels: int) -> Decoded:
    try:
        image = open_header(HeaderStream(data), data[:_HEAD], name)
    except InputError:
        data = jpeg.without_extras(data)
        image = open_header(HeaderStream(data), data[:_HEAD], name)
    _check_size(image.size, "JPEG", name, max_pixels)
    _check_length(image, len(data), name)
    jpeg.check_scans(data, image.width * image.height, name)
    try:
        return Decoded(image=_load(image, name), sha256=sha256)
    except InputError:
        whole = jpeg.without_end(data)
        if whole is None:
            raise
        return Decoded(image=whole, sha256=sha256, warning="its end marker is missing: the last bytes may be lost")


def _decode_png(data: bytes, sha256: str, name: str, max_pixels: int, exact: bool) -> Decoded:
    width, height, bits, kind, _ = png.header(data)
    image = open_header(HeaderStream(png.without_extras(data)), data[:_HEAD], name)
    _check_size((width, height), "PNG", name, max_pixels)
    _check_length(image, len(data), name)
    png.check_palette(data, name)
    profile = png.profile(data)
    space = SRGB if exact or profile is not None else png.colour_space(data, name)
    key = png.transparent_colour(data)
    wide = kind != 3 and bits == 16 and (not space.is_srgb or key is not None or (exact and kind != 0))
    if wide:
        _check_size((width, height), "PNG", name, max_pixels, weight=4)
        values = png.samples(data)
        if key is not None:
            alpha = np.where((values == np.array(key, np.uint16)).all(axis=2, keepdims=True), 0, 0xFFFF)
            values = np.concatenate([values, alpha.astype(np.uint16)], axis=2)
        has_alpha = key is not None or kind in (4, 6)
        found = Samples(
            values=values, kind="unsigned", white=0xFFFF, alpha="straight" if has_alpha else "none", profile=profile
        )
        return Decoded(image=image, sha256=sha256, samples=found, space=space)
    _load(image, name)
    if profile is not None:
        image.info["icc_profile"] = profile
    scale = 1.0
    if kind == 0 and bits in (2, 4):
        scale = 255.0 / ((1 << bits) - 1)
        if key is not None:
            image.info["transparency"] = round(key[0] * scale)  # Pillow stretches the picture and not its key
    return Decoded(image=image, sha256=sha256, space=space, scale=scale)


def _decode_tiff(data: bytes, sha256: str, name: str, max_pixels: int, exact: bool) -> Decoded:
    page = tiff.main_page(data, name)
    if page is None:
        raise InputError(f"{name} {_DAMAGED}: it has no directory of a picture; expected a whole TIFF picture", _AGAIN)
    _check_size((page.width, page.height), "TIFF", name, max_pixels)
    if page.reads_as_samples or (exact and page.scales_numbers):
        weight = max(1, round(3 * page.bytes_per_pixel / _USUAL))  # as bytes, as numbers, and a copy by planes
        _check_size((page.width, page.height), "TIFF", name, max_pixels, weight=weight)
        found = Samples(
            values=tiff_samples.read_samples(data, page),
            kind=page.kind if page.kind != "other" else "unsigned",
            white=(1 << page.bits) - 1,
            alpha=page.alpha,
            white_is_zero=page.photometric == 0,
            profile=tiff.profile(data, page),
        )
        return Decoded(image=None, sha256=sha256, samples=found, orientation=page.orientation)
    try:
        image = open_header(tiff.at_page(data, page), data[:_HEAD], name)
        return Decoded(image=_load(image, name), sha256=sha256)
    except InputError as error:
        # Tags that describe the photograph may be damaged where its pixels are not.
        try:
            image = open_header(tiff.bare_page(data, page), data[:_HEAD], name)
        except InputError:
            raise (tiff.unsupported(name, page) if page.is_sound else error) from error
        return Decoded(image=_load(image, name), sha256=sha256, orientation=page.orientation)


def _load(image: ImageFile, name: str) -> ImageFile:
    try:
        image.load()
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, error) from error
    except Exception as error:  # a decoder fed a damaged file raises whatever it stumbles over
        raise InputError(
            f"{name} {_DAMAGED}: {reason_of(error)}; expected a whole {image.format} picture", _AGAIN
        ) from error
    return image


def _drop_filling(image: ImageFile, data: bytes) -> None:
    """Make a picture opaque whose last channel is no alpha: it says so, or all of it is 0, as programs fill it."""
    announced = image.format != "TGA" or data[17] & 0x0F
    if not announced or image.getchannel("A").getextrema() == (0, 0):
        image.putalpha(255)


def _check_size(size: tuple[int, int], format: str | None, name: str, max_pixels: int, weight: int = 0) -> None:
    width, height = size
    weight = weight or _WEIGHT.get(format or "", 1)
    if width * height * weight > max_pixels:
        heavy = f" of {format}, which takes {weight} times the memory" if weight > 1 else ""
        raise InputError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} million pixels{heavy}, "
            f"the limit is {max_pixels / weight / 1e6:.6g} million",
            "shrink it first, or raise --max-pixels if you trust the file",
        )
    if max(size) > MOST_SIDE:
        raise InputError(
            f"{name} is {width} x {height} pixels, and no side may have more than {MOST_SIDE}", "cut a part out of it"
        )


def _check_length(image: ImageFile, size: int, name: str) -> None:
    """Raise InputError for a file that is too short for the pixels it announces."""
    densest = _DENSEST.get(image.format or "", {}).get(image.mode, _DENSEST_OTHER.get(image.format or ""))
    if densest is not None and image.width * image.height > densest * size:
        raise InputError(
            f"{name} {_DAMAGED}: its {size} bytes cannot hold the {image.width} x {image.height} pixels it announces",
            _AGAIN,
        )


def _video_space(data: bytes, name: str) -> ColourSpace:
    """The colour space that the header of an AVIF or HEIF picture names by numbers."""
    at = data.find(b"colrnclx", 0, 1 << 16)
    if at < 0:
        return SRGB
    primaries, transfer = (int.from_bytes(data[at + k : at + k + 2], "big") for k in (8, 10))
    return coded_space(primaries, transfer, name) or SRGB


def _pnm_scale(data: bytes) -> float:
    white = pnm.largest_number(data) or 255
    return (65535.0 if white > 255 else 255.0) / white


def _too_large(name: str, error: Exception) -> InputError:
    # Some decoders have a limit inside, for tiles and frames larger than the picture they belong to.
    return InputError(
        f"{name} is too large for its decoder: {reason_of(error)}", "save it as PNG or JPEG, or shrink it"
    )
