"""Where recipe, XMP and EXIF sit in PNG, JPEG and WebP files, and what of a source's EXIF may be kept."""

from __future__ import annotations

import re
import struct
from typing import Any
from xml.sax.saxutils import escape, unescape

from PIL import Image

from pixel2style2pixel_cli.files.jpeg import jpeg_segments

PNG_RECIPE = "p2s2p"
PNG_XMP = "XML:com.adobe.xmp"
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
NAMESPACE = "urn:p2s2p:recipe:1/"
EMPTY_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
RDF_END = "</rdf:RDF>"
BLOCK = f'<rdf:Description rdf:about="" xmlns:p2s2p="{NAMESPACE}"><p2s2p:recipe>{{}}</p2s2p:recipe></rdf:Description>'
BLOCK_PATTERN = re.compile(re.escape(BLOCK).replace(r"\{\}", "(.*?)"), re.DOTALL)

ORIENTATION = 0x0112
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
# What describes the photograph rather than the layout of the old file: text, camera, dates, resolution, rights.
KEPT_TAGS = frozenset({0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298})
# Maker notes hold offsets into the old file; the stored size is that of the old picture; interoperability is a pointer.
DROPPED_EXIF_TAGS = frozenset({0x927C, 0xA002, 0xA003, 0xA005})


def pack_xmp(recipe: str | None, xmp: str | None) -> str | None:
    """One XMP packet that carries the recipe as an element of its own; None when there is neither."""
    if recipe is None:
        return xmp
    packet = EMPTY_PACKET if xmp is None else xmp
    head, end, tail = packet.rpartition(RDF_END)
    if not end:
        raise ValueError("the XMP packet has no rdf:RDF element")
    return head + BLOCK.format(escape(recipe)) + end + tail


def unpack_xmp(packet: bytes | str | None) -> tuple[str | None, str | None]:
    """The recipe and the packet without it: what ``pack_xmp`` was given."""
    if packet is None:
        return None, None
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet
    found = BLOCK_PATTERN.search(text)
    if found is None:
        return None, text
    rest = text[: found.start()] + text[found.end() :]
    return unescape(found.group(1)), (None if rest == EMPTY_PACKET else rest)


def insert_jpeg_xmp(data: bytes, packet: str) -> bytes:
    """A JPEG file with an XMP segment behind its JFIF and EXIF segments."""
    payload = JPEG_XMP + packet.encode()
    if len(payload) + 2 > 0xFFFF:
        raise ValueError(f"the metadata takes {len(payload)} bytes, a JPEG segment holds 65533")
    at = 2
    for marker, start, end in jpeg_segments(data):
        if marker != 0xE0 and not (marker == 0xE1 and data[start:end].startswith(b"Exif\x00")):
            break
        at = end
    return data[:at] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[at:]


def find_jpeg_xmp(data: bytes) -> bytes | None:
    """The XMP packet of a JPEG file; older Pillow versions do not report it."""
    for marker, start, end in jpeg_segments(data):
        if marker == 0xE1 and data[start:end].startswith(JPEG_XMP):
            return data[start + len(JPEG_XMP) : end]
    return None


def clean_exif(image: Image.Image) -> tuple[int, bytes | None]:
    """The orientation (1 = upright) of a loaded picture, and its EXIF without orientation, thumbnail and file layout.

    A tag that is damaged, or of a type that cannot be written again, is left out: it costs neither the photograph nor
    its orientation.
    """
    try:
        source = image.getexif()
        orientation = _orientation(source.get(ORIENTATION, 1))
    except Exception:  # EXIF is written by thousands of programs and parsed by none of them alike
        return 1, None
    kept: Any = Image.Exif()
    for tag in KEPT_TAGS:
        if tag in source:
            _keep(kept, tag, source.get(tag))
    for ifd, dropped in ((EXIF_IFD, DROPPED_EXIF_TAGS), (GPS_IFD, frozenset[int]())):
        try:
            values = {tag: value for tag, value in source.get_ifd(ifd).items() if tag not in dropped}
        except Exception:  # as above
            continue
        if values:
            _keep(kept, ifd, values)
    return orientation, (kept.tobytes() if len(kept) else None)


def _orientation(value: Any) -> int:
    """The number of an orientation tag of any type; 1 where there is none from 1 to 8."""
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if isinstance(value, bytes):
        value = value.strip(b"\x00")[:1]
        value = value.decode() if value.isdigit() else int.from_bytes(value, "big")
    try:
        number = int(value)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        return 1
    return number if 1 <= number <= 8 else 1


def _keep(kept: Any, tag: int, value: Any) -> None:
    """Add a tag, of a directory every entry for itself, unless it cannot be written."""
    if not isinstance(value, dict):
        if _can_be_written({tag: value}):
            kept[tag] = value
        return
    entries = value if _can_be_written({tag: value}) else {}
    if not entries:
        entries = {key: entry for key, entry in value.items() if _can_be_written({tag: {key: entry}})}
    if entries:
        kept[tag] = entries


def _can_be_written(tags: dict[int, Any]) -> bool:
    trial: Any = Image.Exif()
    try:
        for tag, value in tags.items():
            trial[tag] = value
        trial.tobytes()
    except Exception:  # Pillow raises whatever the value does not allow
        return False
    return True
