"""What an output says about itself without being decoded: whether it is whole, and the recipe it was made by.

A resumed run asks this of every output there is, so it reads a few kilobytes of each and needs no imaging library.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# A file up to this size is read at once and checked from end to end; of a larger one the beginning and the end.
_AT_ONCE = 256 << 10
_LARGEST = 1 << 20  # bytes of metadata; ours take about two thousand
_MOST_CHUNKS = 1000
_TAIL = 4096

_PNG, _JPEG, _RIFF, _GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8"
_GIF_XMP, _MP4_XMP = b"\x21\xff\x0bXMP DataXMP", bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_KEYWORD, _XMP_KEYWORD, _XMP_MARKER = b"p2s2p", b"XML:com.adobe.xmp", b"http://ns.adobe.com/xap/1.0/\x00"
_RECIPE = re.compile(rb"<p2s2p:recipe>(.*?)</p2s2p:recipe>", re.DOTALL)
_TOOL = b'CreatorTool="p2s2p"'
_ENDS_EARLY = "ends too early"


@dataclass(frozen=True, kw_only=True, slots=True)
class Glance:
    """``damage`` says what is wrong with a file, None where nothing is; ``recipe`` is the JSON text inside it.

    ``ours``: whether p2s2p wrote it, which also a file without a recipe says.
    """

    damage: str | None = None
    recipe: str | None = None
    ours: bool = False


def glance(path: Path) -> Glance:
    """Look at a PNG, JPEG, WebP, GIF, MP4 or safetensors file; what cannot be opened is left to whoever needs it."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_AT_ONCE)
            if not head:
                return Glance(damage="is empty")
            if path.suffix.lower() == ".safetensors":
                return _safetensors(head, size)
            if head.startswith(_PNG):
                return _png(head, size, file)
            if head.startswith(_JPEG):
                return _jpeg(head, size, file)
            if head.startswith(_RIFF):
                return _webp(head, size, file)
            if head.startswith(_GIF):
                return _gif(head, size, file)
            if head[4:8] == b"ftyp":
                return _mp4(head, size, file)
    except OSError:
        return Glance()
    return Glance(damage="is no picture")


def _read(file: BinaryIO, head: bytes, start: int, count: int) -> bytes:
    """Bytes of the file from a place on; those of its beginning are in memory already."""
    if start + count <= len(head):
        return head[start : start + count]
    file.seek(start)
    return file.read(count)


def _png(head: bytes, size: int, file: BinaryIO) -> Glance:
    recipe, ours, at, whole = None, False, len(_PNG), False
    for _ in range(_MOST_CHUNKS):
        prefix = _read(file, head, at, 8)
        if len(prefix) < 8:
            break
        length, kind = struct.unpack(">I4s", prefix)
        end = at + 12 + length
        if end > size:
            break
        if end <= len(head) and zlib.crc32(head[at + 4 : end - 4]) != int.from_bytes(head[end - 4 : end], "big"):
            return Glance(damage="is damaged", recipe=recipe, ours=ours)
        if kind == b"iTXt" and length <= _LARGEST:
            keyword, _, rest = _read(file, head, at + 8, length).partition(b"\x00")
            text = _international_text(rest)
            recipe = text.decode("utf-8", "replace") if keyword == _KEYWORD and text else recipe
            ours = ours or keyword == _KEYWORD or (keyword == _XMP_KEYWORD and _TOOL in text)
        whole = kind == b"IEND"
        if kind == b"IDAT" and size > len(head):  # behind it comes nothing of ours but the end
            whole = b"IEND\xaeB`\x82" in _read(file, head, max(at, size - _TAIL), _TAIL)
            break
        if whole:
            break
        at = end
    return Glance(damage=None if whole else _ENDS_EARLY, recipe=recipe, ours=ours)


def _international_text(rest: bytes) -> bytes:
    """The text of an iTXt chunk behind its keyword: two flags, a language, a translated keyword, the text itself."""
    parts = rest[2:].split(b"\x00", 2)
    if len(parts) < 3:
        return b""
    if rest[:1] != b"\x01":
        return parts[2]
    try:
        return zlib.decompressobj().decompress(parts[2], _LARGEST)
    except zlib.error:
        return b""


def _jpeg(head: bytes, size: int, file: BinaryIO) -> Glance:
    found = Glance()
    for marker, start, length in _segments(head, size, file):
        if marker == 0xE1 and (data := _read(file, head, start, length)).startswith(_XMP_MARKER):
            found = _of_packet(data)
    end = _read(file, head, max(0, size - _TAIL), min(_TAIL, size))
    damage = None if b"\xff\xd9" in end else _ENDS_EARLY
    return Glance(damage=damage, recipe=found.recipe, ours=found.ours)


def _segments(head: bytes, size: int, file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Marker, place and length of every segment before the picture data."""
    at = 2
    for _ in range(_MOST_CHUNKS):
        prefix = _read(file, head, at, 4)
        if len(prefix) < 4 or prefix[0] != 0xFF or prefix[1] in (0xDA, 0xD9):
            return
        length = int.from_bytes(prefix[2:], "big")
        if prefix[1] == 0xFF:  # fill byte
            at += 1
            continue
        yield prefix[1], at + 4, length - 2
        at += 2 + max(length, 2)
        if at > size:
            return


def _webp(head: bytes, size: int, file: BinaryIO) -> Glance:
    found = Glance()
    if head[8:12] != b"WEBP" or len(head) < 12:
        return Glance(damage="is no picture" if len(head) >= 12 else _ENDS_EARLY)
    end = 8 + int.from_bytes(head[4:8], "little")
    at = 12
    for _ in range(_MOST_CHUNKS):
        prefix = _read(file, head, at, 8)
        if len(prefix) < 8:
            break
        length = int.from_bytes(prefix[4:], "little")
        if prefix[:4] == b"XMP " and length <= _LARGEST:
            found = _of_packet(_read(file, head, at + 8, length))
        at += 8 + length + length % 2
        if at > size:
            break
    return Glance(damage=None if end <= size else _ENDS_EARLY, recipe=found.recipe, ours=found.ours)


def _gif(head: bytes, size: int, file: BinaryIO) -> Glance:
    """Ours has its packet before the first frame."""
    start = head.find(_GIF_XMP)
    found = Glance() if start < 0 else _of_packet(head[start : start + _LARGEST])
    whole = _read(file, head, size - 1, 1) == b"\x3b"
    return Glance(damage=None if whole else _ENDS_EARLY, recipe=found.recipe, ours=found.ours)


def _mp4(head: bytes, size: int, file: BinaryIO) -> Glance:
    """Boxes one after the other; the packet is one of them."""
    found, at = Glance(), 0
    for _ in range(_MOST_CHUNKS):
        prefix = _read(file, head, at, 24)
        length = int.from_bytes(prefix[:4], "big")
        if length == 1:
            length = int.from_bytes(prefix[8:16], "big")
        if length < 8 or at + length > size:
            break
        if prefix[4:8] == b"uuid" and prefix[8:24] == _MP4_XMP and length <= _LARGEST:
            found = _of_packet(_read(file, head, at + 24, length - 24))
        at += length
        if at == size:
            return found
    return Glance(damage=_ENDS_EARLY, recipe=found.recipe, ours=found.ours)


def _of_packet(packet: bytes) -> Glance:
    """The recipe in an XMP packet."""
    match = _RECIPE.search(packet)
    if match is None:
        return Glance(ours=_TOOL in packet)
    text = match[1].decode("utf-8", "replace")
    return Glance(recipe=text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"), ours=True)


def _safetensors(head: bytes, size: int) -> Glance:
    """Codes with their recipe: the header comes first and says how long the whole is."""
    import json

    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or 8 + length > size:
        return Glance(damage=_ENDS_EARLY)
    if 8 + length > len(head):
        return Glance()  # the header of weights: no output of a task
    try:
        header = json.loads(head[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
        recipe = metadata.get("recipe")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return Glance(damage="is damaged")
    damage = None if 8 + length + end <= size else _ENDS_EARLY
    return Glance(damage=damage, recipe=recipe if isinstance(recipe, str) else None, ours="p2s2p" in metadata)
