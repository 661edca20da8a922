"""What a file that is no picture, or no picture we read, seems to be, and what to do about it."""

from __future__ import annotations

_CONVERT = "convert it to PNG or JPEG first"
_DEVELOP = "develop it with a raw converter and export JPEG, PNG or TIFF"
_STARTS = (
    (b"%PDF", "a PDF document", _CONVERT),
    (b"PK\x03\x04", "a ZIP archive", "unpack it and give the pictures inside"),
    (b"\xff\xd8", "a JPEG file without a picture", "copy or download the file again"),
    (b"8BPS", "a Photoshop document", _CONVERT),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture", _CONVERT),
    (b"#?RADIANCE", "a Radiance HDR picture", _CONVERT),
    (b"\xff\x0a", "a JPEG XL picture", _CONVERT),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL picture", _CONVERT),
    (b"FUJIFILMCCD-RAW", "a raw photograph of a camera", _DEVELOP),
    (b"IIRO", "a raw photograph of a camera", _DEVELOP),
    (b"IIRS", "a raw photograph of a camera", _DEVELOP),
    (b"IIU\x00", "a raw photograph of a camera", _DEVELOP),
    (b"\x1a\x45\xdf\xa3", "a video or sound file", _CONVERT),
    (b"RIFF", "a video or sound file", _CONVERT),
)
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
HEIC_HINT = "export it as JPEG, or install the reader: pip install 'pixel2style2pixel-cli[heif]'"


def describe_unknown(head: bytes) -> tuple[str, str]:
    """What the first bytes of a file say it is, with an article, and a hint; no file of the kinds we read."""
    for start, found, hint in _STARTS:
        if head.startswith(start):
            return found, hint
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "the download saved a page instead of the picture; open the link in a browser"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer", "run git lfs pull in the repository it came from"
    if b"<svg" in text:
        return "an SVG drawing", _CONVERT
    if head[4:8] == b"ftyp":
        return _describe_boxes(head[8:12])
    if b"\x00" not in head and all(byte >= 32 or byte in b"\t\r\n\x0c" for byte in head):
        return "a text file", "give a picture, or @FILE for a list of paths"
    return "not a picture of a known kind", _CONVERT


def _describe_boxes(brand: bytes) -> tuple[str, str]:
    if brand in HEIC_BRANDS:
        return "a HEIC photograph", HEIC_HINT
    if brand in (b"avif", b"avis"):
        return "an AVIF picture this Pillow cannot read", _CONVERT
    return ("a raw photograph of a camera", _DEVELOP) if brand == b"crx " else ("a video", _CONVERT)
