"""TIFF directories: which page is the picture, what kind of pixels it has, and the kinds that the decoder lacks.

Tags and numbers are those of the TIFF 6.0 specification; BigTIFF has the same with 8-byte offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.source import HeaderStream

MAGIC = {b"II*\x00": ("<", False), b"MM\x00*": (">", False), b"II+\x00": ("<", True), b"MM\x00+": (">", True)}
# Integer types by their number: byte, short, long, undefined and their signed and 64-bit kin.
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
_FILL, _ORIENTATION, _COUNT, _PLANAR, _PREDICTOR = 266, 274, 277, 284, 317
_SUBIFDS, _EXTRA, _FORMAT, _DNG, _PROFILE = 330, 338, 339, 50706, 34675
STRIPS = (273, 278, 279)  # offsets, rows per strip, byte counts
TILES = (322, 323, 324, 325)  # width, height, offsets, byte counts
_READ = frozenset(
    {_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL, _ORIENTATION, _COUNT, _PLANAR, _PREDICTOR}
    | {_OLD_SUBFILE, _SUBIFDS, _EXTRA, _FORMAT, _DNG, *STRIPS, *TILES}
)
# What a decoder needs; the rest describes the photograph.
_STRUCTURE = _READ - {_SUBIFDS, _ORIENTATION, _DNG, _SUBFILE, _OLD_SUBFILE} | {
    292,
    293,
    320,
    332,
    334,
    336,
    347,
    529,
    530,
    531,
    532,
}
_MOST_PAGES, _MOST_TAGS = 64, 4096
_MOST_VALUES, _MOST_STRIPS = 256, 1 << 22  # numbers of a tag: of any page that is looked at, and of the one chosen
_REDUCED, _MASK = 1, 4
_PLACES = frozenset({273, 324, 513})  # strips, tiles, or an old JPEG: where the pixels are
_SENSOR = frozenset({32803, 34892})
_COLOURS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab"}
_PLAIN = {0: 1, 1: 1, 2: 3}  # channels of the kinds that are read here, without alpha
# Uncompressed, LZW, deflate twice, PackBits, LZMA, zstd: what gives back the samples as they were.
LOSSLESS = frozenset({1, 5, 8, 32946, 32773, 34925, 50000})
SampleKind = Literal["unsigned", "signed", "float", "other"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One picture of a file: the place of its directory and the tags that say what its pixels are."""

    offset: int
    order: str
    big: bool
    tags: dict[int, tuple[int, ...]]
    entries: tuple[tuple[int, bytes], ...]

    def value(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return self.tags.get(tag, (default,))[0]

    @property
    def width(self) -> int:
        return self.value(_WIDTH, 0)

    @property
    def height(self) -> int:
        return self.value(_HEIGHT, 0)

    @property
    def channels(self) -> int:
        return self.value(_COUNT, 1)

    @property
    def bits(self) -> int:
        """Bits of each channel, 0 where they differ."""
        bits = self.tags.get(_BITS, (1,))
        return bits[0] if len(set(bits)) == 1 else 0

    @property
    def kind(self) -> SampleKind:
        found = set(self.tags.get(_FORMAT, (1,)))
        kinds: dict[int, SampleKind] = {1: "unsigned", 2: "signed", 3: "float", 4: "unsigned"}
        return kinds.get(found.pop(), "other") if len(found) == 1 else "other"

    @property
    def photometric(self) -> int:
        """What the numbers mean; a file that does not say is read as libtiff reads it."""
        return self.value(_PHOTOMETRIC, 2 if self.channels >= 3 else 1)

    @property
    def compression(self) -> int:
        return self.value(_COMPRESSION, 1)

    @property
    def bytes_per_pixel(self) -> float:
        return self.channels * self.bits / 8

    @property
    def planar(self) -> bool:
        return self.value(_PLANAR, 1) == 2 and self.channels > 1

    @property
    def predictor(self) -> int:
        return self.value(_PREDICTOR, 1)

    @property
    def orientation(self) -> int:
        return self.value(_ORIENTATION, 1)

    @property
    def alpha(self) -> Literal["none", "straight", "premultiplied"]:
        """How the channel behind the colours is to be taken; one that says nothing is no transparency."""
        extra = self.tags.get(_EXTRA, ())
        if not extra or extra[0] not in (1, 2):
            return "none"
        return "premultiplied" if extra[0] == 1 else "straight"

    @property
    def is_beside(self) -> bool:
        """Whether it says of itself that it is a thumbnail or a mask of another picture."""
        flags, old = self.value(_SUBFILE, 0), self.value(_OLD_SUBFILE, 1)
        return bool(flags & (_REDUCED | _MASK)) or old == 2 or self.photometric == 4

    @property
    def reads_as_samples(self) -> bool:
        """Whether the pixels are of a kind that the decoder lacks or gets wrong, and ``tiff_samples`` can read."""
        colours = _PLAIN.get(self.photometric)
        if colours is None or self.compression not in LOSSLESS or self.value(_FILL, 1) != 1:
            return False
        if not colours <= self.channels <= colours + 4 or self.kind == "other" or not self.bits:
            return False
        if self.big and self.order == ">":
            return True  # Pillow does not find the tags of these
        if _PHOTOMETRIC not in self.tags or self.kind != "unsigned":
            return self.kind != "float" or self.bits in (16, 32, 64)
        if self.value(_PLANAR, 1) == 2 and self.channels != 3 and (self.compression == 1 or colours == 1):
            return True  # the decoder takes the first letter of its mode for that of a plane
        if self.bits > 32 or colours == 3:
            return self.bits not in (8, 16) or (self.bits == 16 and self.planar) or self.channels > 6
        if self.channels == 1:
            return self.bits not in (1, 2, 4, 8) and not (self.bits == 16 and self.photometric == 1)
        return not (self.bits == 8 and self.photometric == 1 and self.channels == 2 and self.alpha == "straight")

    @property
    def scales_numbers(self) -> bool:
        """Whether the decoder would stretch the numbers to the range of 8 bits, or keep the upper 8 of 16 alone."""
        colours = _PLAIN.get(self.photometric)
        if colours is None or self.compression not in LOSSLESS or self.value(_FILL, 1) != 1:
            return False
        return self.kind == "unsigned" and (self.bits in (2, 4) or (self.bits == 16 and self.channels > 1))

    @property
    def is_sound(self) -> bool:
        """Whether its tags are those of a valid file, though perhaps of a kind that is not read."""
        known = self.photometric in _COLOURS and 0 < self.compression <= 0xFFFF
        known = known and any(tag in _PLACES for tag, _ in self.entries)
        return known and 0 < max(self.tags.get(_BITS, (1,))) <= 64 and 0 < self.channels <= 64

    def describe(self) -> str:
        """The kind of pixels in words, for messages."""
        colours = _COLOURS.get(self.photometric, f"photometric {self.photometric}")
        bits = "/".join(str(bit) for bit in sorted(set(self.tags.get(_BITS, (1,)))))
        sort = {"signed": "signed ", "float": "floating-point ", "other": "complex or mixed "}.get(self.kind, "")
        return f"{self.channels} x {bits}-bit {sort}{colours} pixels, compression {self.compression}"


def is_tiff(data: bytes) -> bool:
    """Whether the file begins like a TIFF."""
    return data[:4] in MAGIC


def main_page(data: bytes, name: str) -> Page | None:
    """The picture that a file is about: not a thumbnail, not a mask; None where there is no directory to read.

    Raises InputError for raw photographs of cameras, whose first page is a thumbnail or a preview.
    """
    order, big = MAGIC[data[:4]]
    if data[8:10] == b"CR":
        raise _raw(name)
    pages: list[Page] = []
    first = int.from_bytes(data[8:16] if big else data[4:8], "little" if order == "<" else "big")
    waiting, seen = [first], set[int]()
    while waiting and len(pages) < _MOST_PAGES:
        offset = waiting.pop(0)
        if offset in seen or offset == 0:
            continue
        seen.add(offset)
        page, following = _read_page(data, offset, order, big, _MOST_VALUES)
        if page is None:
            continue
        pages.append(page)
        waiting = [following, *waiting, *page.tags.get(_SUBIFDS, ())]
    if any(page.photometric in _SENSOR or _DNG in page.tags for page in pages):
        raise _raw(name)
    pictures = [page for page in pages if page.width > 0 and page.height > 0]
    chosen = next(iter([page for page in pictures if not page.is_beside] or pictures), None)
    return None if chosen is None else _read_page(data, chosen.offset, order, big, _MOST_STRIPS)[0]


def profile(data: bytes, page: Page) -> bytes | None:
    """The ICC profile of a page."""
    for tag, entry in page.entries:
        if tag == _PROFILE:
            count, offset = struct.unpack_from(page.order + ("QQ" if page.big else "II"), entry, 4)
            return data[offset : offset + count] or None
    return None


def at_page(data: bytes, page: Page) -> HeaderStream:
    """The file with this page as its first."""
    stream = HeaderStream(data)
    pointer = struct.pack(page.order + ("Q" if page.big else "I"), page.offset)
    start = 8 if page.big else 4
    if data[start : start + len(pointer)] != pointer:  # a write copies the whole file
        stream.seek(start)
        stream.write(pointer)
        stream.seek(0)
    return stream


def bare_page(data: bytes, page: Page) -> HeaderStream:
    """The file with a directory of this page alone that has nothing but what the pixels need."""
    return _with_directory(data, page.order, page.big, [entry for tag, entry in page.entries if tag in _STRUCTURE])


def with_tags(data: bytes, page: Page, tags: dict[int, tuple[int, ...]]) -> HeaderStream:
    """The file with one directory of these tags, in little-endian order: the numbers of the pixels keep theirs."""
    kind, letter, inside = (16, "Q", 8) if page.big else (4, "I", 4)
    start = len(data) + len(data) % 2
    arrays, entries = b"", []
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{letter}", *values)
        if len(packed) > inside:
            place, arrays = struct.pack("<" + letter, start + len(arrays)), arrays + packed
        else:
            place = packed.ljust(inside, b"\x00")
        entries.append(struct.pack(f"<HH{letter}", tag, kind, len(values)) + place)
    return _with_directory(data, "<", page.big, entries, arrays)


def unsupported(name: str, page: Page) -> InputError:
    """The error for a sound file of a kind that is not read."""
    return InputError(
        f"{name} is a TIFF of a kind that is not supported: {page.describe()}", "save it as an 8-bit or 16-bit RGB TIFF"
    )


def _with_directory(data: bytes, order: str, big: bool, entries: list[bytes], arrays: bytes = b"") -> HeaderStream:
    """The file with arrays and one directory of these entries behind everything that was there."""
    start = len(data) + len(data) % 2
    stream = HeaderStream(data)
    stream.seek(start)
    stream.write(arrays + struct.pack(order + ("Q" if big else "H"), len(entries)) + b"".join(entries) + bytes(8))
    magic = next(magic for magic, kind in MAGIC.items() if kind == (order, big))
    stream.seek(0)
    stream.write(magic + struct.pack(order + ("HHQ" if big else "I"), *((8, 0) if big else ()), start + len(arrays)))
    stream.seek(0)
    return stream


def _raw(name: str) -> InputError:
    return InputError(
        f"{name} is a raw photograph of a camera, expected a finished picture",
        "develop it with a raw converter and export JPEG, PNG or TIFF",
    )


def _read_page(data: bytes, offset: int, order: str, big: bool, most: int) -> tuple[Page | None, int]:
    """The directory at an offset, and the offset of the next; None and 0 where there is none."""
    count_format, size = (order + "Q", 20) if big else (order + "H", 12)
    start = offset + struct.calcsize(count_format)
    if start > len(data):
        return None, 0
    (count,) = struct.unpack_from(count_format, data, offset)
    end = start + size * count
    if not 0 < count <= _MOST_TAGS or end > len(data):
        return None, 0
    entries = tuple(_entries(data, start, count, size, order))
    tags: dict[int, tuple[int, ...]] = {}
    for tag, entry in entries:
        values = _values(data, entry, order, big, most) if tag in _READ and tag not in tags else ()
        if values:
            tags[tag] = values
    pointer = data[end : end + (8 if big else 4)]
    following = int.from_bytes(pointer, "little" if order == "<" else "big")
    return Page(offset=offset, order=order, big=big, tags=tags, entries=entries), following


def _entries(data: bytes, start: int, count: int, size: int, order: str) -> Iterator[tuple[int, bytes]]:
    for at in range(start, start + size * count, size):
        entry = data[at : at + size]
        yield struct.unpack_from(order + "H", entry)[0], entry


def _values(data: bytes, entry: bytes, order: str, big: bool, most: int) -> tuple[int, ...]:
    """The numbers of an entry, empty where they are of another type or do not lie within the file."""
    kind, count = struct.unpack_from(order + ("HQ" if big else "HI"), entry, 2)
    letter = _TYPES.get(kind)
    if letter is None or not 0 < count <= most:
        return ()
    form = f"{order}{count}{letter}"
    inside, place = (8, 12) if big else (4, 8)
    if struct.calcsize(form) <= inside:
        return struct.unpack_from(form, entry, place)
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), entry, place)
    return struct.unpack_from(form, data, offset) if offset + struct.calcsize(form) <= len(data) else ()
