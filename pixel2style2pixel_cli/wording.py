"""Values as one printable piece of text: times, sizes, columns, and names that cannot harm a terminal."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TextIO

from pixel2style2pixel_cli.errors import clean


def duration(seconds: float) -> str:
    """Seconds in words: ``5.1 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def file_size(count: int) -> str:
    """Bytes in words, in powers of ten as shops and file managers count: ``9.7 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if round(size, 1) < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def share(done: int, total: int | None, unit: str) -> str:
    """How far a work is: ``3/10``, or ``12.0 MB/1.2 GB`` where the unit is bytes; the total only where it is known."""
    shown = [file_size(count) if unit == "bytes" else str(count) for count in (done, total) if count is not None]
    return "/".join(shown)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded with spaces, two between them."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def record_lines(fields: Mapping[str, object], indent: str = "") -> list[str]:
    """Lines ``name  value``; mappings are indented, each of a list of them too, lists of plain values joined."""
    width = max((len(name) for name in fields), default=0)
    lines: list[str] = []
    for name, value in fields.items():
        inner = [value] if isinstance(value, Mapping) else value if isinstance(value, list) else []
        if any(inner) and all(isinstance(item, Mapping) for item in inner):
            for item in inner:
                lines += [indent + clean(str(name)), *record_lines(item, indent + "  ")]
        else:
            lines.append(f"{indent}{clean(str(name)).ljust(width)}  {plain(value)}".rstrip())
    return lines


def plain(value: object) -> str:
    """A value as people write it: yes and no, six digits, lists joined, a dash for nothing."""
    if value is None or value == {} or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(f"[{plain(v)}]" if isinstance(v, (list, tuple)) else plain(v) for v in value)
    return clean(str(value))


def json_text(value: Mapping[str, object]) -> str:
    """One line of JSON: ASCII, so that any encoding carries any file name; null for what JSON has no number for."""
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


def short_warnings() -> None:
    """Let Python's warnings be one line of what they say, without the file of a library and its source."""

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        stream = file or sys.stderr
        if stream is not None:
            stream.write(" ".join(str(message).split()) + "\n")

    warnings.showwarning = show
