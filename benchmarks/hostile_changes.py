"""Files changed at random, the same for the same seed: bytes, values in texts, parts of archives."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

_EXTREMES = (0, 1, 2, 4, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)

_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\[[^\[\]]*\]|\{[^{}]*\}')
_VALUES = (
    b"0", b"-1", b"1", b"2147483648", b"18446744073709551616", b"9" * 5000, b"-0.0", b"1e999", b"NaN", b"Infinity",
    b"nan", b"inf", b"-inf", b"1e-300", b"0x10", b"2020-01-01",
    b"1.5", b"true", b"null", b"[]", b"{}", b'""', b'"text"', b'"\\ud800"', b'"\\u001b[31m"', b"[[0]]", b"[1,2,3]",
    b"[" * 3000,
    b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000, b"{a=" * 3000, b"[" + b"9," * 64 + b"9]",
    b"[" + b"4294967296," * 64 + b"1]", b"[100000000, 1, 1, 1]", b"40000", b"4096", b'"../../x"', b'"a/b"',
    b'"w_plus"', b'"W+"', b'"F64"', b'"BF16"', b'"latent 1"', b"[0,0]", b"[0,128]", b'"' + b"x" * 9999 + b'"',
)  # fmt: skip

_PNG = b"\x89PNG\r\n\x1a\n"
_ZIP = b"PK\x03\x04"


def changed(files: Sequence[bytes], rng: np.random.Generator, *, text: bool = False) -> bytes:
    """One of the files with one to six changes, most of them near its beginning, or in its text where it has some.

    Half of the changed PNGs get right checksums again, and most archives: what checks those alone is tried by the rest.
    """
    data = files[rng.integers(len(files))]
    if (text or data[:1] == b"{") and rng.random() < 0.7:
        return _changed_text(data, rng)
    if data[8:9] == b"{" and rng.random() < 0.7:  # safetensors: the text has its length before it
        end = 8 + int.from_bytes(data[:8], "little")
        inner = _changed_text(data[8:end], rng)
        return len(inner).to_bytes(8, "little") + inner + data[end:]
    if data.startswith(_ZIP) and rng.random() < 0.7:
        return _changed_entry(data, rng)
    found = _changed_bytes(bytearray(data), rng)
    return _with_checksums(found) if found.startswith(_PNG) and rng.random() < 0.5 else found


def _changed_text(data: bytes, rng: np.random.Generator) -> bytes:
    """A text with one to three of its values exchanged."""
    for _ in range(rng.integers(1, 4)):
        places = list(_VALUE.finditer(data))
        if not places:
            break
        found = places[rng.integers(len(places))]
        value = _VALUES[rng.integers(len(_VALUES))] if rng.random() < 0.8 else places[rng.integers(len(places))][0]
        data = data[: found.start()] + value + data[found.end() :]
    return data


def _changed_entry(data: bytes, rng: np.random.Generator) -> bytes:
    """An archive packed anew with one entry changed, so that its checksums are right: mostly the pickle in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as copy:
        entries = archive.infolist()
        pickles = [entry for entry in entries if entry.filename.endswith(".pkl")] or entries
        among = pickles if rng.random() < 0.8 else entries
        chosen = among[rng.integers(len(among))]
        for entry in entries:
            content = archive.read(entry)
            if entry is chosen:
                content = _changed_bytes(bytearray(content), rng)
            copy.writestr(zipfile.ZipInfo(entry.filename), content)
    return out.getvalue()


def _changed_bytes(data: bytearray, rng: np.random.Generator) -> bytes:
    for _ in range(rng.integers(1, 7)):
        reach = len(data) if rng.random() < 0.4 else min(len(data), 400)
        if reach < 8:
            break
        at = int(rng.integers(reach))
        kind = rng.integers(8)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind in (2, 3):
            form = str(rng.choice(["<H", ">H", "<I", ">I"]))
            value = _EXTREMES[rng.integers(len(_EXTREMES))] % (1 << 8 * struct.calcsize(form))
            data[at : at + struct.calcsize(form)] = struct.pack(form, value)
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 40))]
        elif kind == 5:
            data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif kind == 6:
            start, length = int(rng.integers(len(data))), int(rng.integers(1, 60))
            data[at:at] = data[start : start + length]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def _with_checksums(data: bytes) -> bytes:
    """A PNG with the checksum of each whole chunk made right."""
    out, at = bytearray(data), len(_PNG)
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)
